"""Small changes of inputs, seeded: of bytes, and of the structure of JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from tests.fuzz.target import SECRET

_MAX_CHANGES: Final = 4
_TOKENS: Final = (
    b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\ud800", b"\\u0000", b"e\xcc\x81", b"1e400", b"-0",
    b"9007199254740993", b"NaN", b"Infinity", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\r\n", b"\n",
    b"../../etc/passwd", b"%00", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\x80\x80\x80\x80\x01", b"<!ENTITY",
    b"\xe2\x80\xae", b"\xf0\x9d\x9f\x98", SECRET.encode(),
)  # fmt: skip
_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -0.0, -1, 1.5, 2**53, 2**53 + 1, 10**30, -(10**400), 1e308, "", " ", "\x00", "\ud800",
    "e\u0301", "\u202e", "\u0661", "9" * 400, "a" * 5000, "../..", "2020-13-45T99:99:99Z", "0001-01-01", "9999-12-31",
    [], {}, [[]], [None], {"": None}, {SECRET: SECRET}, [SECRET], SECRET,
)  # fmt: skip


def mutate(data: bytes, others: Sequence[bytes], random: Random, *, takes_json: bool, max_bytes: int) -> bytes:
    """One input with a few changes; the same seed gives the same."""
    for _ in range(random.randint(1, _MAX_CHANGES)):
        if takes_json and random.random() < 0.6:
            data = _change_value(data, random)
        else:
            data = _change_bytes(data, others, random)
    return data[:max_bytes]


def _change_bytes(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    start = random.randint(0, len(data))
    end = min(len(data), start + random.choice((1, 1, 2, 4, 16, 64)))
    piece = data[start:end]
    match random.randrange(7):
        case 0 if piece:
            return data[:start] + bytes((piece[0] ^ 1 << random.randrange(8),)) + data[start + 1 :]
        case 1:
            return data[:start]
        case 2:
            return data[:start] + data[end:]
        case 3:
            return data[:end] + piece * random.choice((1, 2, 50)) + data[end:]
        case 4:
            return data[:start] + random.choice(_TOKENS) + data[random.choice((start, end)) :]
        case 5:
            other = random.choice(others)
            return data[:start] + other[random.randint(0, len(other)) :]
        case _:
            return data[:start] + random.randbytes(len(piece)) + data[end:]


def _change_value(data: bytes, random: Random) -> bytes:
    """Replace, remove, add, or wrap one value somewhere in a JSON text; other bytes stay as they are."""
    try:
        root: list[Any] = [json.loads(data)]
    except (ValueError, RecursionError):
        return data
    places = list(_places(root))
    holder, key = random.choice(places)
    match random.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[random.choice((SECRET, "", "id", "é", "e\u0301", "\ud800", "resourceType"))] = random.choice(_VALUES)
        case 2:
            holder[key] = random.choice(([holder[key]], {"x": holder[key]}, [holder[key]] * 30))
        case 3:
            other, name = random.choice(places)
            holder[key] = other[name]
        case _:
            holder[key] = random.choice(_VALUES)
    return _spelled(root[0] if root else None, random)


def _places(value: Any) -> Any:
    keys = range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _spelled(value: Any, random: Random) -> bytes:
    is_ascii = random.random() < 0.2
    try:
        text = json.dumps(value, ensure_ascii=is_ascii, sort_keys=random.random() < 0.8, separators=(",", ":"))
    except (ValueError, RecursionError):
        return b"null"
    return text.encode("utf-8", "surrogatepass")
