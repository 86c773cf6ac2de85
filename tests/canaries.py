"""Searches files for a text in every usual spelling."""

from __future__ import annotations

import json
import sys
from array import array
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tests.files_at_work import content, files_below

WINDOW_BYTES: Final = 8
FEW_SPELLINGS: Final = 64
"""So many are looked for one by one."""


def spellings(text: str) -> Iterator[bytes]:
    """How a text may stand in a file."""
    encoded = text.encode()
    yield from (encoded, encoded.lower(), text.upper().encode(), text.encode("utf-16-le"), text.encode("utf-16-be"))
    yield from (encoded.hex().encode(), encoded.hex().upper().encode())
    yield from (quote(text, safe="").encode(), quote(text, safe="").lower().encode())
    escaped = json.dumps(text)[1:-1].encode()
    yield from (escaped, escaped.upper().replace(b"\\U", b"\\u"), json.dumps(text, ensure_ascii=False)[1:-1].encode())
    yield from (repr(text)[1:-1].encode(), text.encode("gb18030"))
    yield from base64_within(encoded)


def base64_within(encoded: bytes) -> Iterator[bytes]:
    """The part of base64 that is the same wherever the text begins within a longer one; both alphabets."""
    for before in range(3):
        whole = b64encode(b"\0" * before + encoded)
        start, spare = (0, 2, 3)[before], (len(encoded) + before) % 3
        inner = whole[start : len(whole) - (4 if spare else 0)]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def found_in(folder: Path, texts: list[str]) -> list[str]:
    """The files that hold one of the texts, with its number; never the text."""
    wanted = windows(texts)
    found = {
        f"{path.name}: text {number}" for path in files_below(folder) for number in numbers_in(content(path), wanted)
    }
    return sorted(found)


def windows(texts: list[str]) -> dict[int, list[tuple[int, bytes]]]:
    """Every spelling of every text under its first eight bytes, as a number of this machine."""
    wanted: dict[int, list[tuple[int, bytes]]] = {}
    for number, text in enumerate(texts):
        for spelling in set(spellings(text)):
            assert len(spelling) >= WINDOW_BYTES
            wanted.setdefault(int.from_bytes(spelling[:WINDOW_BYTES], sys.byteorder), []).append((number, spelling))
    return wanted


def numbers_in(content: bytes, wanted: dict[int, list[tuple[int, bytes]]]) -> set[int]:
    """Which texts the content holds; where they are many, all eight alignments are read as arrays to save minutes."""
    if sum(map(len, wanted.values())) <= FEW_SPELLINGS:
        return {number for listed in wanted.values() for number, spelling in listed if spelling in content}
    found: set[int] = set()
    for offset in range(WINDOW_BYTES):
        words = array("Q")
        words.frombytes(content[offset : offset + (len(content) - offset) // WINDOW_BYTES * WINDOW_BYTES])
        for word in wanted.keys() & set(words):
            found.update(number for number, spelling in wanted[word] if spelling in content)
    return found
