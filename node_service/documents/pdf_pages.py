"""How many pages a PDF file says that it has, read with pypdf."""

from __future__ import annotations

import io
import logging
import zlib
from typing import Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError

MAX_PAGES: Final = 100_000
_UNREADABLE: Final = (
    PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, ArithmeticError,
    RecursionError, NotImplementedError, OSError, zlib.error,
)  # fmt: skip
"""What pypdf raises for files that are not as the standard says; nothing else is done with it."""


def count_pages(encoded: bytes) -> tuple[int | None, bool]:
    """The number of pages, None where they cannot be counted, and whether the file is encrypted."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its warnings repeat what stands in the file
    try:
        reader = PdfReader(io.BytesIO(encoded), strict=True)
        return (None, True) if reader.is_encrypted else (_pages(reader), False)
    except _UNREADABLE:
        return None, False


def _pages(reader: PdfReader) -> int | None:
    """What the root of the page tree says; the tree itself is not walked, since a hostile one never ends."""
    tree = reader.root_object["/Pages"]
    count = tree.get_object()["/Count"]  # type: ignore[index]
    return int(count) if isinstance(count, int) and 0 < count <= MAX_PAGES else None
