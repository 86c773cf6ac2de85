"""Which part of a content of known length an answer holds (RFC 9110 sections 13.1.5 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

WHOLE: Final = 200
PART: Final = 206
UNSATISFIABLE: Final = 416
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """From ``begin`` to before ``end``, with the status and headers that say so."""

    status: int
    begin: int
    end: int
    headers: dict[str, str] = field(default_factory=dict)


def entity_tag(object_id: str) -> str:
    """The strong entity tag of a sealed object's content, which never changes."""
    return f'"{object_id}"'


def part_of(length: int, tag: str, asked: str | None, if_range: str | None = None) -> Part:
    """The part that a request asks for.

    The whole, where none is asked for, several are (which section 14.2 leaves to the server), or the asked one belongs
    to another content than the one with this tag.
    """
    headers = {"Accept-Ranges": "bytes", "ETag": tag}
    found = None if asked is None or if_range not in (None, tag) else _RANGE.fullmatch(asked.strip())
    if found is None or not (found[1] or found[2]):
        return Part(WHOLE, 0, length, headers | {"Content-Length": str(length)})
    if found[1]:
        begin, end = int(found[1]), min(int(found[2]) + 1 if found[2] else length, length)
        if found[2] and int(found[2]) < begin:
            return Part(WHOLE, 0, length, headers | {"Content-Length": str(length)})
    else:
        begin, end = max(length - int(found[2]), 0), length
    if begin >= end:
        return Part(UNSATISFIABLE, 0, 0, {"Content-Range": f"bytes */{length}"})
    said = {"Content-Range": f"bytes {begin}-{end - 1}/{length}", "Content-Length": str(end - begin)}
    return Part(PART, begin, end, headers | said)
