"""PDF files whose structure costs a careless reader far more than their bytes; their ends look whole."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

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


def inflating(length: int) -> bytes:
    """A cross-reference stream that inflates to so many bytes."""
    packed = zlib.compress(b"\x01\x00\x00\x09" * (length // 4), 9)
    said = b"9 0 obj\n<</Type/XRef/Size %d/W[1 2 1]/Root 3 0 R/Filter/FlateDecode/Length %d>>stream\n"
    body = _HEAD + _CATALOG
    return _whole(body + said % (length // 4, len(packed)) + packed + b"\nendstream\nendobj\n", len(body))


BOMBS: Final[dict[str, Callable[[], bytes]]] = {
    "previous-tables-16-mb": lambda: previous_tables(16_000_000),
    "previous-tables-64-mb": lambda: previous_tables(64_600_000),
    "three-million-rows": lambda: rows(3_000_000),
    "stream-of-256-mib": lambda: inflating(1 << 28),
}
