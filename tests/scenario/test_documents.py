"""Documents through HTTP and the command line's feed: CDA and PDF in, and read back byte for byte."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from domain.errors import Denied, Invalid, NotFound
from node_service.client.node_client import StaffClient
from tests.scenario.network import Hospital
from tests.unit.node_service.cda.documents import admission, ccd, discharge
from tests.unit.node_service.documents.files import pdf
from yilian.ingestion import Feed


@pytest.fixture(scope="module")
def archive(renhe: Hospital) -> StaffClient:
    return renhe.staff("archive")


@pytest.fixture(scope="module")
def doctor(renhe: Hospital) -> StaffClient:
    return renhe.staff("dr")


def test_a_cda_document_comes_in_and_out_byte_for_byte(archive: StaffClient, doctor: StaffClient) -> None:
    document, reference = archive.ingest_cda(admission(encoding="GB18030"), source="emr").stored
    assert doctor.record_content(document.record) == admission(encoding="GB18030")
    assert doctor.record(reference.record).derived_from == document.record
    assert doctor.record(document.record).derived_from is None
    read = doctor.fhir("GET", f"/DocumentReference/{reference.record}")
    url = json.loads(read.content)["content"][0]["attachment"]["url"]
    attached = doctor.fhir("GET", f"/{url}")
    assert (attached.content, attached.headers["content-type"]) == (admission(encoding="GB18030"), "application/xml")
    with pytest.raises(NotFound):
        doctor.fhir("GET", f"/{url}/_history")  # a history is a Bundle, and the document no resource


def test_a_pdf_comes_in_and_out_byte_for_byte(archive: StaffClient, doctor: StaffClient) -> None:
    patient = archive.ingest_cda(ccd(), source="emr").stored[0].patient
    assert patient is not None
    body = pdf(3)
    said = {"source": "scanner", "document": "ECG 7", "patient": patient, "title": "心电图", "date": "2024-03-05"}
    document, reference = archive.ingest_pdf(body, code="http://loinc.org|11524-6", **said).stored
    assert doctor.record_content(document.record) == body
    entry = doctor.record(reference.record)
    assert (entry.derived_from, entry.clinical_start, entry.patient) == (document.record, "2024-03-05", patient)
    told = json.loads(doctor.record_content(reference.record))["content"][0]["attachment"]
    assert told["title"] == "心电图"
    again = archive.ingest_pdf(body, code="http://loinc.org|11524-6", **said)
    assert (again.stored, again.unchanged) == ([], 1)


def test_what_is_refused_says_why(archive: StaffClient, doctor: StaffClient) -> None:
    with pytest.raises(Invalid) as refused:
        archive.ingest_cda(b"<!DOCTYPE x><ClinicalDocument/>", source="emr")
    assert (refused.value.reason, refused.value.place) == ("forbidden-xml", "line 1")
    with pytest.raises(Invalid) as refused:
        archive.ingest_pdf(pdf()[:-40], source="scanner", document="1", patient="a" * 26)
    assert (refused.value.reason, refused.value.place) == ("truncated", "trailer")
    with pytest.raises(Denied):
        doctor.ingest_cda(ccd(), source="emr")


def test_the_feed_sorts_documents_among_other_files(archive: StaffClient, tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    folder.mkdir()
    number = {"inpatient": "ZY77", "identity": "11010519600101003X"}
    (folder / "a.xml").write_bytes(admission("A", **number))
    (folder / "b.xml").write_bytes(discharge("B", **number))
    (folder / "c.json").write_bytes(b'{"resourceType":"Basic","code":{"text":"x"}}')
    (folder / "d.pdf").write_bytes(pdf())
    (folder / "e.xml").write_bytes(b"<note/>")
    feed = Feed(archive, os.urandom)
    summary = feed.files([folder], lambda _source: None)
    assert summary.resources_by_type == {"Document": 2, "DocumentReference": 2, "Basic": 1}
    assert [(one.source, one.reason) for one in summary.refused] == [
        ("d.pdf", "a PDF does not say whose it is: name the patient")
    ]
    assert [one.source for one in summary.skipped] == ["e.xml"]
    patient = summary.stored[0].patient
    again = Feed(archive, os.urandom, patient=patient).files([folder / "a.xml", folder / "d.pdf"], lambda _source: None)
    assert (again.unchanged, again.resources_by_type) == (1, {"Document": 1, "DocumentReference": 1})
