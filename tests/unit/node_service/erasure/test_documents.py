"""A document and what describes it: erased together, refused when it comes again, filed anew together."""

from __future__ import annotations

import json

import pytest

from domain.errors import NotFound
from node_service.client import erasure_wire, wire
from node_service.documents.pdf import PdfFacts, ingest_pdf
from node_service.erasure import retracting
from node_service.records.reading import open_version
from tests.unit.node_service.documents.files import pdf
from tests.unit.node_service.erasure.office import OFFICER, Office
from tests.unit.node_service.sharing.consortium import history


def take(office: Office, patient: str, body: bytes) -> wire.IngestReport:
    facts = PdfFacts("D-1", patient, "心电图报告", "2024-03-05", "http://loinc.org|11524-6")
    report = ingest_pdf(office.node, body, "application/pdf", "scanner", facts)
    office.hospital.settle()
    return report


def test_a_document_goes_with_what_describes_it_and_does_not_come_back(office: Office) -> None:
    document, reference = take(office, office.patient, pdf()).stored
    case = office.ask(reference.record)
    assert {item.record for item in office.case(case.id).items} == {document.record, reference.record}
    office.decide(case.id)
    office.work()
    for record in (document.record, reference.record):
        with pytest.raises(NotFound):
            open_version(office.node, record)
    for again in (pdf(), pdf(3)):
        report = take(office, office.patient, again)
        assert report.stored == []
        assert [issue.reason.split(":")[0] for issue in report.refused] == ["record-erased"]


def test_a_document_of_the_wrong_patient_is_filed_anew_with_what_describes_it(office: Office) -> None:
    document, reference = take(office, office.patient, pdf()).stored
    stored = office.hospital.ingest(*history("p2"), source="elsewhere")
    right = next(one for one in stored if one.resource_type == "Patient")
    assert right.patient is not None
    body = erasure_wire.RetractionBody(reason="wrong-patient", patient=right.patient)
    done = retracting.retract(office.node, OFFICER, document.record, body)
    office.work()
    assert set(done.retracted) == {document.record, reference.record}
    filed = {one.resource_type: one.record for one in done.filed}
    assert open_version(office.node, filed["Document"]).content == pdf()
    value = json.loads(open_version(office.node, filed["DocumentReference"]).content)
    assert value["id"] == filed["DocumentReference"]
    assert value["subject"] == {"reference": f"Patient/{right.record}"}
    assert value["content"][0]["attachment"]["url"] == f"Document/{filed['Document']}"

    later = take(office, right.patient, pdf(3))
    assert {(one.record, one.version) for one in later.stored} == {(one, 2) for one in filed.values()}
