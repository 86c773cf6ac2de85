"""JSON texts at the edges of the signed subset, and whether they belong to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

ACCEPTED: tuple[bytes, ...] = (
    b"null", b"true", b"0", b"-1", b'""', b"[]", b"{}", b"9007199254740991", b"-9007199254740991",
    b"[" * 16 + b"]" * 16, b'{"a":' * 15 + b"{}" + b"}" * 15, b"[" * 16 + b"1" + b"]" * 16,
    b'{"":0}', b'{"__proto__":1}', b'{"constructor":1,"prototype":{}}', b'{"10":1,"9":2}', b'{"1":1,"a":2}',
    '{"\U0001f600":1,"\ue000":2}'.encode(), '{"€":1,"😀":2}'.encode(), '"é"'.encode(), '"한"'.encode(),
    b'"\\b\\t\\n\\f\\r\\"\\\\"', b'"\\u0000\\u001f"', b'"\x7f"', '"\u2028\u2029"'.encode(), '"\ufeff"'.encode(),
    '"\U0010ffff"'.encode(), b'"[[[[[[[[[[[[[[[[[[[["', b'["\\"[[[[[[[[[[[[[[[[[[[["]', b'{"a":[{"b":null},false]}',
)  # fmt: skip
REFUSED: tuple[bytes, ...] = (
    b"", b" ", b"1 ", b" 1", b"\n1", b"[1, 2]", b"[1,]", b"[,1]", b"{,}", b'{"a":1,}', b"[", b"]", b"{", b'"', b"'a'",
    b"NaN", b"Infinity", b"-Infinity", b"undefined", b"True", b"nul", b"+1", b"01", b"-0", b"-01", b".5", b"1.",
    b"1.5", b"1.0", b"1e3", b"1E3", b"1e-3", b"1e400", b"-1e400", b"0.0", b"0x10", b"1_000", b"9007199254740992",
    b"-9007199254740992", b"9007199254740993", b"1" * 400, b"1" * 5000, b'{"a":1,"a":1}', b'{"a":1,"a":2}',
    b'{"a":1,"\\u0061":1}', b'{"b":1,"a":1}', b'{"a":1,"B":1}', '{"\ue000":2,"\U0001f600":1}'.encode(),
    b'{"9":2,"10":1}', b"{1:2}", b"{a:1}", b'{"a"}', b'"\\u0061"', b'"\\/"', b'"\\u000a"', b'"\\u007f"',
    b'"\\u00e9"', b'"\\u001F"', b'"\x00"', b'"\n"', b'"\t"', b'"\\x41"', b'"\\u12"', b'"\\ud83d\\ude00"',
    b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\ud800"', b'"\xed\xa0\x80"', b'"\xff"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"',
    b'"\xe2\x82"', "\ufeff1".encode(), '"e\u0301"'.encode(), '{"e\u0301":1}'.encode(), '"\u1112\u1161\u11ab"'.encode(),
    '"\u212b"'.encode(), '"\u0958"'.encode(), '"\U0001d15e"'.encode(), b"[" * 17 + b"]" * 17,
    b"[" * 17 + b"1" + b"]" * 17, b'"' + b'\\"' * 200_000 + b"\\",
    b"[" * 100_000, b'{"a":' * 17 + b"1" + b"}" * 17, b"[]]", b"[][]", b"1 2", b"//1", b"/**/1", b"1//", b"\x001",
    "1\u00a0".encode(), "１".encode(), "\u2028".encode(), b'"' + b"a" * (1 << 20) + b'"',
)  # fmt: skip
_LONG_BYTES = 300
_PIECES = (
    b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u", b"0", b"1", b"-", b".", b"e", b"null", b"true", b'"a"',
    b'"b":', b" ", b"\xc3\xa9", b"e\xcc\x81", b"\xff", b"\xed\xa0\x80", b"\\ud83d", b"\\ude00", b"9007199254740992",
)  # fmt: skip


def cases() -> list[dict[str, object]]:
    """The corpus."""
    assert not set(ACCEPTED) & set(REFUSED)
    verdicts = [(text, True) for text in ACCEPTED] + [(text, False) for text in REFUSED]
    return [_case(text, accepted=accepted) for text, accepted in verdicts]


def _case(text: bytes, *, accepted: bool) -> dict[str, object]:
    """Long repetitions are written as such."""
    if len(text) <= _LONG_BYTES:
        return {"text": text.hex(), "accepted": accepted}
    for before, unit in ((0, 1), (1, 1), (1, 2)):
        body, repeated = text[before:-1], text[before : before + unit]
        if body == repeated * (len(body) // unit):
            parts = {"before": text[:before].hex(), "repeated": repeated.hex(), "after": text[-1:].hex()}
            return {**parts, "times": len(body) // unit, "accepted": accepted}
    raise AssertionError("a long text repeats something")


def bytes_of(case: dict[str, object]) -> bytes:
    """The text of a case."""
    if "text" in case:
        return bytes.fromhex(str(case["text"]))
    before, repeated, after = (bytes.fromhex(str(case[name])) for name in ("before", "repeated", "after"))
    return before + repeated * int(str(case["times"])) + after


def drawn(count: int, seed: int) -> Iterator[bytes]:
    """Texts near the edges, drawn at random: encodings of values, some with pieces put in, taken out or doubled."""
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    for _ in range(count):
        text = bytearray(json.dumps(_value(random, 0), ensure_ascii=random.random() < 0.5,
                                    sort_keys=random.random() < 0.7, separators=(",", ":")).encode())  # fmt: skip
        for _ in range(random.choice((0, 0, 1, 1, 2))):
            at = random.randrange(len(text) + 1)
            text[at : at + random.choice((0, 0, 1, 2))] = random.choice(_PIECES)
        yield bytes(text)


def _value(random: Random, depth: int) -> object:
    kind = random.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return random.choice((None, True, False))
    if kind <= 2:
        return random.choice((0, 1, -1, 2**53 - 1, 2**53, -(2**53), 10**17, 1.5, 1e21, random.randrange(1000)))
    if kind <= 4:
        return "".join(random.choice('aZ"\\/\b\x00\x7féé한\u0301\u2028€😀\ue000') for _ in range(random.randrange(5)))
    if kind <= 5:
        return [_value(random, depth + 1) for _ in range(random.randrange(4))]
    return {str(_value(random, 9)): _value(random, depth + 1) for _ in range(random.randrange(4))}
