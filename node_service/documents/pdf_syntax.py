"""Dictionaries and streams of a PDF file (ISO 32000-1, 7.3), read without recursion and with bounded effort."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Final

MAX_DICTIONARY_BYTES: Final = 1 << 20
MAX_PACKED_BYTES: Final = 1 << 20
MAX_STREAM_BYTES: Final = 4 << 20
MAX_EFFORT: Final = 8 << 20
"""For one file. A page tree without branches and with the most pages takes a third of it."""

_STEP: Final = 32
"""What a token or a lookup costs besides its bytes."""

_SPACE: Final = rb"[\0\t\n\f\r ]"
_TOKEN: Final = re.compile(
    rb"(?:%(space)s++|%%[^\r\n]*+)*+"
    rb"(<<|>>|\[|\]"
    rb"|/[^\0\t\n\f\r ()<>\[\]{}/%%]*+"
    rb"|\d{1,10}%(space)s{1,4}\d{1,5}%(space)s{1,4}R(?![^\0\t\n\f\r ()<>\[\]{}/%%])"
    rb"|[+-]?[\d.]++|true|false|null"
    rb"|<[0-9A-Fa-f\0\t\n\f\r ]*+>"
    rb"|\((?:[^()\\]++|\\.|\((?:[^()\\]++|\\.)*+\))*+\))" % {b"space": _SPACE},
    re.DOTALL,
)
"""Nothing is tried twice (possessive), so that the time grows with the bytes only."""

_NUMBER: Final = re.compile(rb"\d{1,10}")
_REFERENCE: Final = re.compile(rb"(\d{1,10})\s{1,4}\d{1,5}\s{1,4}R")
_OBJECT: Final = re.compile(rb"\s{0,8}(\d{1,10})\s{1,4}\d{1,5}\s{1,4}obj")
_STREAM: Final = re.compile(rb"\s{0,8}stream\r?\n")

Dictionary = dict[bytes, bytes]
"""The entries of one dictionary: names with their slash, values as they stand in the file."""


class Unreadable(Exception):
    """The file is not as the standard says, or it takes more effort than is made for it; nothing of it is quoted."""


@dataclass(slots=True)
class Effort:
    """What may still be spent on one file, in bytes."""

    left: int = MAX_EFFORT

    def spend(self, bytes_: int = 0) -> None:
        """Pay for one step over some bytes.

        Raises:
            Unreadable: nothing is left.
        """
        self.left -= bytes_ + _STEP
        if self.left < 0:
            raise Unreadable


def dictionary(text: bytes, at: int, effort: Effort) -> tuple[Dictionary, int]:
    """Read the dictionary that begins here, and where it ends.

    Raises:
        Unreadable: none is there, it is too long, or too many tokens stand in it.
    """
    last = min(len(text), at + MAX_DICTIONARY_BYTES)
    token = _TOKEN.match(text, at, last)
    if token is None or token[1] != b"<<":
        raise Unreadable
    entries: Dictionary = {}
    name, begin, depth, end = b"", 0, 1, token.end()
    while token := _TOKEN.match(text, end, last):
        effort.spend(token.end() - end)
        end, word = token.end(), token[1]
        begin = token.start(1) if depth == 1 else begin
        depth += (word in (b"<<", b"[")) - (word in (b">>", b"]"))
        if depth == 0:
            return entries, end
        if depth == 1:  # a whole name or value has ended
            name = _take(entries, name, text[begin:end])
    raise Unreadable


def _take(entries: Dictionary, name: bytes, word: bytes) -> bytes:
    """Take a name, or the value of the name before; returns the name that waits for its value."""
    if name:
        entries[name] = word
        return b""
    if not word.startswith(b"/"):
        raise Unreadable
    return word


def integer(entries: Dictionary, name: bytes) -> int:
    """A number that is no reference.

    Raises:
        Unreadable: there is none.
    """
    if not _is_number(entries, name):
        raise Unreadable
    return int(entries[name])


def _is_number(entries: Dictionary, name: bytes) -> bool:
    return _NUMBER.fullmatch(entries.get(name, b"")) is not None


def reference(entries: Dictionary, name: bytes) -> int:
    """The number of the object to which an entry refers.

    Raises:
        Unreadable: there is no such entry.
    """
    found = _REFERENCE.fullmatch(entries.get(name, b""))
    if found is None:
        raise Unreadable
    return int(found[1])


def object_at(text: bytes, at: int) -> tuple[int, int]:
    """The number of the object whose header stands here, and where its value begins.

    Raises:
        Unreadable: no object begins here.
    """
    found = _OBJECT.match(text, at)
    if found is None:
        raise Unreadable
    return int(found[1]), found.end()


def stream(text: bytes, entries: Dictionary, at: int, effort: Effort) -> bytes:
    """The content of the stream whose dictionary ends here; more may stand behind it where its length is elsewhere.

    Raises:
        Unreadable: not a stream, packed otherwise than by FlateDecode, broken or too long.
    """
    begin = _STREAM.match(text, at)
    if begin is None:
        raise Unreadable
    length = min(int(entries[b"/Length"]), MAX_PACKED_BYTES) if _is_number(entries, b"/Length") else MAX_PACKED_BYTES
    packed = memoryview(text)[begin.end() : begin.end() + length]
    effort.spend(len(packed))
    match entries.get(b"/Filter", b"").strip(b"[] \r\n"):
        case b"":
            return bytes(packed)
        case b"/FlateDecode":
            return _inflated(packed, effort)
    raise Unreadable


def _inflated(packed: memoryview, effort: Effort) -> bytes:
    inflate = zlib.decompressobj()
    try:
        content = inflate.decompress(packed, min(MAX_STREAM_BYTES, effort.left + 1))
    except zlib.error as error:
        raise Unreadable from error
    effort.spend(len(content))
    if not inflate.eof:
        raise Unreadable
    return content
