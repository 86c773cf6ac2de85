"""PDF files for tests, written with pypdf."""

from __future__ import annotations

import io

from pypdf import PdfWriter


def pdf(pages: int = 2, *, password: str = "", text: str = "") -> bytes:
    """A PDF file of empty pages, encrypted where there is a password."""
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(width=595, height=842)
    writer.add_metadata({"/Title": text or "CANARYPDF"})
    if password:
        writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
