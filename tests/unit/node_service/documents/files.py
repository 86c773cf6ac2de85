"""PDF files for tests, written with pypdf, or by hand where it does not write such files."""

from __future__ import annotations

import io
import re
import zlib

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


def updated(encoded: bytes, pages: int, *, of: bytes | None = None, kids: bytes = b"") -> bytes:
    """The file with another root of its page tree behind it (ISO 32000-1, 7.5.6).

    Args:
        encoded: all that comes before.
        pages: the new count.
        of: the file whose sections are continued, if ``encoded`` is not a whole one.
        kids: an entry for the tree.
    """
    before = of or encoded
    previous = int(re.findall(rb"startxref\s+(\d+)", before)[-1])
    root = re.findall(rb"/Root (\d+) 0 R", before)[-1]
    tree = int(re.findall(rb"/Pages (\d+) 0 R", before)[-1])
    place = len(encoded)
    body = encoded + b"%d 0 obj\n<</Type /Pages %s/Count %d>>\nendobj\n" % (tree, kids, pages)
    table = b"xref\n0 0\n%d 1\n%010d 00000 n \n" % (tree, place)
    trailer = b"trailer\n<</Size 9/Root %s 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n" % (root, previous, len(body))
    return body + table + trailer


def packed_pdf(pages: int, *, predicted: bool, png_filter: int = 2) -> bytes:
    """Catalog and page tree in an object stream, the cross-references in a stream, too (7.5.7, 7.5.8)."""
    objects = zlib.compress(b"1 0 2 34 <</Type/Catalog/Pages 2 0 R>>     <</Type/Pages/Count %d>>" % pages)
    head = b"%PDF-1.5\n"
    body = head + b"3 0 obj\n<</Type/ObjStm/N 2/First 9/Filter/FlateDecode/Length %d>>stream\n" % len(objects)
    body += objects + b"\nendstream\nendobj\n"
    rows = [(0, 0, 65535), (2, 3, 0), (2, 3, 1), (1, len(head), 0), (1, len(body), 0)]
    encoded = [b"%c" % kind + second.to_bytes(4, "big") + third.to_bytes(2, "big") for kind, second, third in rows]
    parameters = b""
    if predicted:
        above = [bytes(7), *encoded]
        encoded = [
            bytes((png_filter, *((new - old) & 0xFF for new, old in zip(row, before, strict=True))))
            for row, before in zip(encoded, above, strict=False)
        ]
        parameters = b"/DecodeParms<</Predictor 12/Columns 7>>"
    packed = zlib.compress(b"".join(encoded))
    start = b"4 0 obj\n<</Filter/FlateDecode/Type/XRef/Size 5/W[1 4 2]/Root 1 0 R%s/Length %d>>stream\n"
    ending = b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % len(body)
    return body + start % (parameters, len(packed)) + packed + ending
