"""PDF files whose structure costs a careless reader far more than their bytes; their ends look whole."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

MIB: Final = 1 << 20
_HEAD: Final = b"%PDF-1.7\n"
_CATALOG: Final = b"1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"


def _whole(body: bytes, start: int) -> bytes:
    return body + b"\nstartxref\n%d\n%%%%EOF\n" % start


def previous_tables(length: int) -> bytes:
    """A chain of ``/Prev`` tables, each with one row, as long as the file."""
    body, before = bytearray(_HEAD), 0
    while len(body) < length:
        at = len(body)
        link = b"/Prev %d" % before if before else b""
        body += b"xref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 1/Root 1 0 R" + link + b">>\n"
        before = at
    return _whole(bytes(body), before)


def rows(count: int) -> bytes:
    """One table of so many rows that are in use."""
    body = _HEAD + _CATALOG
    table = b"xref\n0 %d\n" % count + b"0000000009 00000 n \n" * count
    return _whole(body + table + b"trailer\n<</Size %d/Root 1 0 R>>" % count, len(body))


def subsections(count: int) -> bytes:
    """One table of so many parts of one row."""
    body = _HEAD + _CATALOG
    table = b"xref\n" + b"".join(b"%d 1\n0000000009 00000 n \n" % (number + 5) for number in range(count))
    return _whole(body + table + b"trailer\n<</Size 9/Root 1 0 R>>", len(body))


def inflating(
    length: int, *, entry: bytes = b"\x01\x00\x00\x09", predicted: bool = False, previous: bool = False
) -> bytes:
    """A cross-reference stream that inflates to so many bytes."""
    row = b"\x02" + entry if predicted else entry
    count = length // len(row)
    packed = zlib.compress(row * count, 9)
    said = b"/DecodeParms<</Predictor 12/Columns %d>>" % len(entry) if predicted else b""
    body = bytearray(_HEAD + _CATALOG)
    start = before = 0
    for _ in range(200 if previous else 1):
        start, link = len(body), b"/Prev %d" % before if before else b""
        body += b"9 0 obj\n<</Type/XRef/Size %d/W[1 2 1]/Root 3 0 R/Filter/FlateDecode/Length %d" % (count, len(packed))
        body += said + link + b">>stream\n" + packed + b"\nendstream\nendobj\n"
        before = start
    return _whole(bytes(body), start)


def empty_blocks(length: int) -> bytes:
    """A cross-reference stream that inflates to nothing for ever (RFC 1951, 3.2.4: blocks of no bytes)."""
    packed = b"\x78\x01" + b"\x00\x00\x00\xff\xff" * (length // 5)
    dictionary = b"9 0 obj\n<</Type/XRef/Size 9/W[1 2 1]/Root 1 0 R/Filter/FlateDecode/Length %d>>stream\n" % len(
        packed
    )
    return _whole(_HEAD + dictionary + packed + b"\nendstream", len(_HEAD))


def object_streams(depth: int, inflated: int) -> bytes:
    """The catalog lies in an object stream of which each byte is a token, and its pages in the next one."""
    body, places = bytearray(_HEAD), dict[int, int]()
    for number in range(10, 10 + depth):
        places[number] = len(body)
        objects = b"%d 0 " % (number - 9) + b"[" * inflated
        packed = zlib.compress(objects, 9)
        body += b"%d 0 obj\n<</Type/ObjStm/N 1/First 5/Filter/FlateDecode/Length %d" % (number, len(packed))
        body += b"/Extends %d 0 R>>stream\n" % (number + 1) + packed + b"\nendstream\nendobj\n"
    start = len(body)
    entries = b"".join(b"\x02" + (number + 9).to_bytes(4, "big") + b"\x00" for number in range(1, depth + 1))
    entries += b"".join(b"\x01" + place.to_bytes(4, "big") + b"\x00" for place in places.values())
    index = b"/Index[1 %d 10 %d]" % (depth, depth)
    body += b"999 0 obj\n<</Type/XRef/Size 999/W[1 4 1]/Root 1 0 R/Length %d" % len(entries)
    return _whole(bytes(body) + index + b">>stream\n" + entries + b"\nendstream\nendobj", start)


def trailer(filling: bytes, length: int) -> bytes:
    """A trailer as long as the file."""
    table = b"xref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 1/Root 1 0 R/X"
    return _whole(_HEAD + table + filling * max(1, length // len(filling)), len(_HEAD))


BOMBS: Final[dict[str, Callable[[], bytes]]] = {
    "previous-tables-16-mb": lambda: previous_tables(16_000_000),
    "previous-tables-64-mb": lambda: previous_tables(64_600_000),
    "three-million-rows": lambda: rows(3_000_000),
    "half-a-million-subsections": lambda: subsections(500_000),
    "stream-of-256-mib": lambda: inflating(1 << 28),
    "stream-of-70-mb": lambda: inflating(70_000_000),
    "predicted-stream-of-30-mb": lambda: inflating(30_000_000, predicted=True),
    "200-streams-of-4-mb": lambda: inflating(4 * MIB, previous=True),
    "200-predicted-streams-of-4-mb": lambda: inflating(4 * MIB, predicted=True, previous=True),
    "empty-blocks": lambda: empty_blocks(60 * MIB),
    "object-streams": lambda: object_streams(50, 4 * MIB),
    "arrays-within-arrays": lambda: trailer(b"[", 60 * MIB),
    "arrays": lambda: trailer(b"[1 2 3]", 60 * MIB),
    "text": lambda: trailer(b" (" + b"a" * (60 * MIB) + b")", 60 * MIB),
    "texts-within-texts": lambda: trailer(b"(a", 60 * MIB),
    "names": lambda: trailer(b"/a 1", 60 * MIB),
    "comment": lambda: trailer(b"%\n", 60 * MIB),
}
