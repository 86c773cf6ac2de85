"""PDF files: header, end and pages; damaged and hostile ones."""

from __future__ import annotations

import re

import pytest

from domain.errors import Invalid
from node_service.documents.pdf_file import PdfFile, read_pdf
from tests.unit.node_service.documents.files import pdf


def test_version_and_pages_are_read() -> None:
    assert read_pdf(pdf(3)) == PdfFile("1.3", 3, encrypted=False)


def test_an_encrypted_file_is_told_and_not_opened() -> None:
    assert read_pdf(pdf(password="secret")) == PdfFile("1.3", None, encrypted=True)


def test_a_header_may_stand_behind_what_a_printer_wrote() -> None:
    read = read_pdf(b"@PJL JOB\n" + pdf())
    assert read.version == "1.3"


@pytest.mark.parametrize(
    ("encoded", "reason", "place"),
    [
        (b"", "not-pdf", "header"),
        (b"SECRET", "not-pdf", "header"),
        (b" " * 2000 + pdf(), "not-pdf", "header"),
        (pdf()[:-40], "truncated", "trailer"),
        (pdf()[: len(pdf()) // 2], "truncated", "trailer"),
        (pdf() + b" " * 5000, "truncated", "trailer"),
        (b"%PDF-1.7" + b" " * (65 << 20), "too-large", ""),
    ],
)
def test_what_is_no_whole_pdf_is_refused(encoded: bytes, reason: str, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_pdf(encoded)
    assert (refused.value.reason, refused.value.place) == (reason, place)


@pytest.mark.parametrize(
    "encoded",
    [
        pdf().replace(b"/Count 2", b"/Count -"),
        pdf().replace(b"/Count 2", b"/Count 9" + b"9" * 12),
        pdf().replace(b"/Pages", b"/Pagez"),
        re.sub(rb"startxref\s+\d+", b"startxref\n99999999", pdf()),
        re.sub(rb"startxref\s+\d+", b"startxref\n0", pdf()),
        pdf().replace(b"\nxref\n", b"\nxrex\n"),
        b"%PDF-1.7\n" + b"<<" * 100_000 + b"\nstartxref\n9\n%%EOF",
        b"%PDF-1.7\n" + b"[" * 1_000_000 + b"\nstartxref\n9\n%%EOF",
        b"%PDF-1.7\nxref\n0 999999999\ntrailer\n<</Root 1 0 R/Size 999999999>>\nstartxref\n9\n%%EOF",
        b"%PDF-1.7\nxref\n0 1\n0000000000 65535 f \ntrailer\n<</Root 1 0 R/Prev 9>>\nstartxref\n9\n%%EOF",
    ],
)
def test_a_damaged_file_is_still_a_file_whose_pages_are_not_known(encoded: bytes) -> None:
    assert read_pdf(encoded).pages is None
