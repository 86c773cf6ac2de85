"""PDF files: header, end and pages; damaged and hostile ones."""

from __future__ import annotations

import re
import tracemalloc

import pytest

from domain.errors import Invalid
from node_service.documents.pdf_file import PdfFile, read_pdf
from tests.cpu import frugal
from tests.unit.node_service.documents.bombs import BOMBS
from tests.unit.node_service.documents.files import packed_pdf, pdf, updated

MAX_CPU_S = 1.0
MAX_GROWTH_BYTES = 64 << 20


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


@pytest.mark.parametrize("name", BOMBS)
def test_a_structure_that_costs_much_is_kept_and_its_pages_are_not_known(name: str) -> None:
    encoded = BOMBS[name]()
    tracemalloc.start()
    try:
        read = read_pdf(encoded)
        assert tracemalloc.get_traced_memory()[1] <= MAX_GROWTH_BYTES
    finally:
        tracemalloc.stop()
    assert read == PdfFile("1.7", None, encrypted=False)
    frugal(MAX_CPU_S, lambda: read_pdf(encoded))


@pytest.mark.parametrize("predicted", [True, False])
def test_pages_behind_packed_objects_are_counted(*, predicted: bool) -> None:
    assert read_pdf(packed_pdf(7, predicted=predicted)).pages == 7


@pytest.mark.parametrize("revisions", [1, 2, 300])
def test_the_newest_revision_counts(revisions: int) -> None:
    encoded = pdf(2)
    for revision in range(revisions):
        encoded = updated(encoded, revision + 3)
    assert read_pdf(encoded).pages == revisions + 2


def test_a_large_scan_is_counted() -> None:
    scan = b"9 0 obj\n<</Length 60000000>>stream\n" + bytes(60_000_000) + b"\nendstream\nendobj\n"
    encoded = pdf(3)
    assert read_pdf(updated(encoded[: encoded.rindex(b"startxref")] + scan, 3, of=encoded)).pages == 3


def test_rows_of_19_bytes_are_read_as_some_programs_write_them() -> None:
    begin, end = (pdf().rindex(word) for word in (b"xref\n0", b"trailer"))
    assert read_pdf(pdf()[:begin] + pdf()[begin:end].replace(b" \n", b"\n") + pdf()[end:]).pages == 2


def test_a_page_tree_without_branches_and_the_most_pages_is_counted() -> None:
    kids = b"/Kids [" + b"1234567 0 R " * 80_000 + b"]"
    assert read_pdf(updated(pdf(), 80_000, kids=kids)).pages == 80_000


@pytest.mark.parametrize(
    ("wanted", "instead"),
    [
        (b"/W[1 4 2]", b"/W[1 4]  "),
        (b"/W[1 4 2]", b"/W[0 0 0]"),
        (b"/W[1 4 2]", b"/W[9 9 9]"),
        (b"/Type/XRef", b"/Type/XXXX"),
        (b"/Columns 7", b"/Columns 6"),
        (b"/FlateDecode/Type/XRef", b"/LZWDecodee/Type/XRef"),
        (b"/N 2", b"/N 0"),
        (b"/First 9", b"/First 5"),
        (b"/First 9", b"/Firsd 9"),
        (b"stream\n", b"strean\n"),
    ],
)
def test_broken_packed_objects_are_told(wanted: bytes, instead: bytes) -> None:
    encoded = packed_pdf(7, predicted=True)
    assert wanted in encoded
    assert read_pdf(encoded.replace(wanted, instead)).pages is None


def test_rows_that_are_predicted_otherwise_are_not_guessed() -> None:
    assert read_pdf(packed_pdf(7, predicted=True, png_filter=4)).pages is None
