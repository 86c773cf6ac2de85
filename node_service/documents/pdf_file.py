"""A PDF file (ISO 32000-1) as far as a node looks into it: header, end, encryption. Nothing in it is run or inflated.

Its objects are not read. A general reader builds a map of all of them first, which a chain of ``/Prev`` links, millions
of rows or a stream that inflates make as dear as somebody likes: pypdf took 24 s for a file of 65 MB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from domain.errors import Invalid

MAX_DOCUMENT_BYTES: Final = 64 << 20
_HEADER_WITHIN_BYTES: Final = 1024
_END_WITHIN_BYTES: Final = 2048
_TRAILER_BYTES: Final = 16 << 10
_HEADER = re.compile(rb"%PDF-([12]\.\d)")
_END = re.compile(rb"startxref\s{1,8}(\d{1,12})\s{1,8}%%EOF")
_TABLE = re.compile(rb"\s{0,8}xref\s")
_BEHIND = re.compile(rb"startxref|stream")
_STREAM = re.compile(rb"\s{0,8}\d{1,10}\s{1,8}\d{1,10}\s{1,8}obj\b")


@dataclass(frozen=True, slots=True)
class PdfFile:
    """What the file says about itself.

    Attributes:
        version: of the header, for example ``1.7``.
        encrypted: as the trailer of its newest revision says (7.5.5); None where there is no trailer where its end says
            that it is: the file is damaged.
    """

    version: str
    encrypted: bool | None


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
    cross_reference, end = int(ends[-1][1]), ends[-1].start()
    places = dict.fromkeys((header.start() + cross_reference, cross_reference))  # programs count from either
    trailer = next((found for at in places if (found := _trailer(encoded, at, end)) is not None), None)
    return PdfFile(header[1].decode(), None if trailer is None else b"/Encrypt" in trailer)


def _trailer(encoded: bytes, cross_reference: int, end: int) -> bytes | None:
    """The dictionary behind a cross-reference table, or that of a cross-reference stream (7.5.8)."""
    at = -1
    if _TABLE.match(encoded, cross_reference):
        at = encoded.find(b"trailer", cross_reference, end)
    elif _STREAM.match(encoded, cross_reference):
        at = cross_reference
    return None if at < 0 else _BEHIND.split(encoded[at : at + _TRAILER_BYTES], maxsplit=1)[0]
