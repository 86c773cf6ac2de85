"""A PDF file (ISO 32000-1) as far as a node looks into it: header, end, pages, encryption. Nothing in it is run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from domain.errors import Invalid
from node_service.documents.pdf_pages import count_pages

MAX_DOCUMENT_BYTES: Final = 64 << 20
_HEADER_WITHIN_BYTES: Final = 1024
_END_WITHIN_BYTES: Final = 2048
_HEADER = re.compile(rb"%PDF-([12]\.\d)")
_END = re.compile(rb"startxref\s{1,8}(\d{1,12})\s{1,8}%%EOF")


@dataclass(frozen=True, slots=True)
class PdfFile:
    """What the file says about itself.

    Attributes:
        version: of the header, for example ``1.7``.
        pages: None where they cannot be counted: encrypted, damaged, or too much effort (pdf_pages.py).
    """

    version: str
    pages: int | None
    encrypted: bool


def read_pdf(encoded: bytes) -> PdfFile:
    """Look at a PDF file.

    Raises:
        Invalid: too large, no header, or no end (a truncated file).
    """
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise Invalid(f"a PDF file has at most {MAX_DOCUMENT_BYTES} bytes", reason="too-large")
    header = _HEADER.search(encoded, 0, _HEADER_WITHIN_BYTES)
    if header is None:
        raise Invalid("a PDF file begins with %PDF and its version", reason="not-pdf", place="header")
    ends = list(_END.finditer(encoded, max(0, len(encoded) - _END_WITHIN_BYTES)))
    if not ends:
        raise Invalid("a PDF file ends with startxref and %%EOF", reason="truncated", place="trailer")
    pages, encrypted = count_pages(encoded, int(ends[-1][1]))
    return PdfFile(header[1].decode(), pages, encrypted=encrypted)
