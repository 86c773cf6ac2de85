"""One byte range of a sealed object (RFC 9110 section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fastapi import Response

from domain.errors import Invalid

SEALED_OBJECT: Final = "application/octet-stream"
MAX_RANGE_BYTES: Final = 16 << 20
_RANGE: Final = re.compile(r"bytes=(\d{1,15})-(\d{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """From ``offset``, at most ``length`` bytes."""

    offset: int
    length: int


def parse_range(header: str | None) -> ByteRange:
    """The one range that a request asks for; without a header the object's beginning.

    Raises:
        Invalid: several ranges, an open or empty one, or one longer than 16 MiB.
    """
    if header is None:
        return ByteRange(0, MAX_RANGE_BYTES)
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        raise Invalid("one range with both ends is expected, such as bytes=0-1048575", reason="range", place="Range")
    first, last = int(found[1]), int(found[2])
    if last < first or last - first >= MAX_RANGE_BYTES:
        raise Invalid(f"a range of 1 to {MAX_RANGE_BYTES} bytes is expected", reason="range", place="Range")
    return ByteRange(first, last - first + 1)


def partial(asked: ByteRange, content: bytes) -> Response:
    """The answer with a range; the object's length stays unsaid."""
    headers = {"Content-Range": f"bytes {asked.offset}-{asked.offset + len(content) - 1}/*", "Accept-Ranges": "bytes"}
    return Response(content, 206, headers, SEALED_OBJECT)
