"""PDF files: header, end and trailer; damaged and hostile ones."""

from __future__ import annotations

import re
import tracemalloc

import pytest

from domain.errors import Invalid
from node_service.documents.pdf_file import PdfFile, read_pdf
from tests.cpu import frugal
from tests.unit.node_service.documents.bombs import BOMBS
from tests.unit.node_service.documents.files import pdf

MAX_CPU_S = 0.2
MAX_GROWTH_BYTES = 64 << 20


def test_the_version_is_read() -> None:
    assert read_pdf(pdf()) == PdfFile("1.3", encrypted=False)


def test_an_encrypted_file_is_told_and_not_opened() -> None:
    assert read_pdf(pdf(password="secret")) == PdfFile("1.3", encrypted=True)


def test_a_header_may_stand_behind_what_a_printer_wrote() -> None:
    assert read_pdf(b"@PJL JOB\n" + pdf()) == PdfFile("1.3", encrypted=False)


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
        re.sub(rb"startxref\s+\d+", b"startxref\n99999999", pdf()),
        re.sub(rb"startxref\s+\d+", b"startxref\n0", pdf()),
        pdf().replace(b"\nxref\n", b"\nxrex\n"),
        pdf().replace(b"trailer", b"trailen"),
        b"%PDF-1.7\n" + b"<<" * 100_000 + b"\nstartxref\n9\n%%EOF",
        b"%PDF-1.7\n" + b"[" * 1_000_000 + b"\nstartxref\n9\n%%EOF",
    ],
)
def test_a_file_without_a_trailer_where_its_end_says_is_damaged(encoded: bytes) -> None:
    assert read_pdf(encoded).encrypted is None


@pytest.mark.parametrize("name", BOMBS)
def test_a_structure_that_costs_a_reader_much_costs_nothing(name: str) -> None:
    encoded = BOMBS[name]()
    tracemalloc.start()
    try:
        read = read_pdf(encoded)
        assert tracemalloc.get_traced_memory()[1] <= MAX_GROWTH_BYTES
    finally:
        tracemalloc.stop()
    assert read == PdfFile("1.7", encrypted=False)
    frugal(MAX_CPU_S, lambda: read_pdf(encoded))


@pytest.mark.parametrize(("entry", "encrypted"), [(b"", False), (b"/Encrypt 9 0 R", True)])
def test_a_cross_reference_stream_says_whether_the_file_is_encrypted(entry: bytes, *, encrypted: bool) -> None:
    start = (
        b"4 0 obj\n<</Type/XRef/Size 5/W[1 4 2]/Root 1 0 R%s/Length 8>>stream\n/Encrypt\nendstream\nendobj\n" % entry
    )
    assert read_pdf(b"%PDF-1.5\n" + start + b"startxref\n9\n%%EOF\n") == PdfFile("1.5", encrypted=encrypted)


def test_the_newest_revision_says_it() -> None:
    before = pdf()
    table = b"xref\n0 0\ntrailer\n<</Size 9/Encrypt 5 0 R/Prev 9>>\nstartxref\n%d\n%%%%EOF\n" % len(before)
    assert read_pdf(before + table).encrypted
