"""PDF files in: bytes kept, and of the rest only what the caller says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from domain.errors import Invalid, NotFound
from node_service.client.wire import IngestReport
from node_service.documents.pdf import PdfFacts, ingest_pdf
from node_service.fhir.resource import parse_resource
from node_service.fhir.validation import validate
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from tests.unit.node_service.documents.files import pdf
from tests.unit.node_service.records.hospital import Hospital

PDF = "application/pdf"


@pytest.fixture
def said(hospital: Hospital) -> PdfFacts:
    patient = json.dumps({"resourceType": "Patient", "id": "p1"}).encode()
    stored = ingest_fhir(hospital.node, patient, "application/fhir+json", "his").stored[0]
    assert stored.patient is not None
    return PdfFacts("D-1", stored.patient, "心电图报告", "2024-03-05", "http://loinc.org|11524-6")


def take(hospital: Hospital, body: bytes, said: PdfFacts) -> IngestReport:
    return ingest_pdf(hospital.node, body, PDF, "scanner", said)


def test_a_pdf_is_kept_byte_for_byte_under_what_the_caller_says(hospital: Hospital, said: PdfFacts) -> None:
    body = pdf()
    report = take(hospital, body, said)
    document, reference = report.stored
    opened = open_version(hospital.node, document.record)
    assert (opened.content, opened.media_type, opened.patient) == (body, PDF, said.patient)
    content = open_version(hospital.node, reference.record).content
    assert validate(parse_resource(content)) == ()
    value = json.loads(content)
    assert value["type"] == {"coding": [{"system": "http://loinc.org", "code": "11524-6"}], "text": "心电图报告"}
    assert value["context"]["period"] == {"start": "2024-03-05", "end": "2024-03-05"}
    assert value["content"][0]["attachment"]["contentType"] == PDF
    assert report.quality == {}


def test_no_byte_of_a_pdf_lies_in_clear(hospital: Hospital, said: PdfFacts, tmp_path: Path) -> None:
    take(hospital, pdf(), said)
    for file in tmp_path.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert b"CANARYPDF" not in content
        assert "心电图报告".encode() not in content


def test_the_same_bytes_change_nothing_and_others_are_the_next_version(hospital: Hospital, said: PdfFacts) -> None:
    first, body = take(hospital, pdf(), said), pdf(3)
    assert take(hospital, pdf(), said).unchanged == 1
    second = take(hospital, body, said)
    assert [(one.record, one.version) for one in second.stored] == [(one.record, 2) for one in first.stored]
    other = take(hospital, body, replace(said, document="D-2"))
    assert other.stored[0].record != first.stored[0].record


def test_an_encrypted_pdf_is_kept_and_reported(hospital: Hospital, said: PdfFacts) -> None:
    body = pdf(password="secret")
    report = take(hospital, body, said)
    assert report.quality == {"pdf-encrypted": 1}
    assert open_version(hospital.node, report.stored[0].record).content == body


def test_a_damaged_pdf_is_kept_and_reported(hospital: Hospital, said: PdfFacts) -> None:
    assert take(hospital, pdf().replace(b"\nxref\n", b"\nxrex\n"), said).quality == {"pdf-damaged": 1}


def test_a_pdf_of_nobody_or_without_sense_is_refused(hospital: Hospital, said: PdfFacts) -> None:
    with pytest.raises(NotFound):
        take(hospital, pdf(), replace(said, patient="a" * 26))
    with pytest.raises(Invalid, match="a PDF file begins"):
        take(hospital, b"text", said)
    with pytest.raises(Invalid, match="application/pdf"):
        ingest_pdf(hospital.node, pdf(), "text/plain", "scanner", said)
    for wrong in ({"date": "5.3.2024"}, {"document": ""}, {"title": "x" * 300}, {"title": "a\x00b"}):
        with pytest.raises(Invalid):
            replace(said, **wrong)
