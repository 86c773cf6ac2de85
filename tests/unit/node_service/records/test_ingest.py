"""Identity, persons, references and refusals of FHIR ingestion."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from domain.errors import Invalid, NotFound
from domain.identifiers import encode_bytes, identifier
from node_service.client.wire import IngestReport
from node_service.database.models import BundleSkeleton, Person, QualityFinding, Record, RecordVersion
from node_service.records.bundles import SealedSkeleton, write_skeleton
from node_service.records.ingest import ingest_fhir
from node_service.records.persons import open_card
from node_service.records.reading import open_version
from offchain.envelope.keys import DataKey
from tests.unit.node_service.records.hospital import Hospital, PreparedOnly

JSON = "application/fhir+json"
NDJSON = "application/fhir+ndjson"


def patient(patient_id: str = "p1", **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient", "id": patient_id, "gender": "female", "birthDate": "1980-02-29",
        "identifier": [{"system": "http://hospital.example/mrn", "value": f"MRN-{patient_id}"}],
        "name": [{"family": "Synthetic", "given": ["Sally"]}],
    } | changes  # fmt: skip


def observation(observation_id: str = "o1", subject: str = "Patient/p1", **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": observation_id, "status": "final", "code": {"text": "pulse"},
        "subject": {"reference": subject}, "effectiveDateTime": "2024-05-06T07:08:09+08:00",
    } | changes  # fmt: skip


def bundle(kind: str, *resources: dict[str, Any], method: str | None = None) -> bytes:
    entries = [
        {"fullUrl": f"urn:uuid:00000000-0000-4000-8000-{at:012d}", "resource": one}
        | ({"request": {"method": method, "url": one.get("resourceType", "")}} if method else {})
        for at, one in enumerate(resources)
    ]
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}, indent=1).encode()


def take(hospital: Hospital, body: bytes | dict[str, Any], media_type: str = JSON, **options: Any) -> IngestReport:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ingest_fhir(hospital.node, encoded, media_type, options.pop("source", "his"), **options)


def opened(hospital: Hospital, record: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(open_version(hospital.node, record).content)
    return found


def people(hospital: Hospital) -> int:
    with hospital.node.database.reading() as session:
        return session.execute(select(func.count()).select_from(Person)).scalar_one()


def test_the_stored_form_has_the_records_id_version_and_time(hospital: Hospital) -> None:
    report = take(hospital, patient())
    stored = opened(hospital, report.stored[0].record)
    assert stored["id"] == report.stored[0].record
    assert stored["meta"] == {"versionId": "1", "lastUpdated": "2026-03-01T08:00:00Z"}
    assert stored["name"] == patient()["name"]


def test_another_content_under_the_same_id_is_the_next_version(hospital: Hospital) -> None:
    first = take(hospital, patient()).stored[0]
    second = take(hospital, patient(gender="other")).stored[0]
    assert (second.record, second.version) == (first.record, 2)
    assert open_version(hospital.node, first.record, 1).content != open_version(hospital.node, first.record).content
    with hospital.node.database.reading() as session:
        rows = {row.version: row for row in session.scalars(select(RecordVersion))}
    assert rows[1].leaf_hash.hex() != rows[2].leaf_hash.hex()
    assert people(hospital) == 1


def test_the_same_id_of_another_source_is_another_record(hospital: Hospital) -> None:
    one = take(hospital, observation()).stored[0]
    other = take(hospital, observation(), source="lab").stored[0]
    assert one.record != other.record
    assert one.patient != other.patient


def test_entries_that_create_are_known_by_bundle_and_full_url(hospital: Hospital) -> None:
    body = bundle("transaction", patient(), observation(), method="POST")
    assert len(take(hospital, body).stored) == 2
    assert take(hospital, body).unchanged == 2
    assert len(take(hospital, body + b"\n").stored) == 2


def test_references_become_those_of_this_hospital(hospital: Hospital) -> None:
    subject = "urn:uuid:00000000-0000-4000-8000-000000000001"
    report = take(hospital, bundle("collection", observation(subject=subject), patient()))
    pulse, person = report.stored
    assert opened(hospital, pulse.record)["subject"]["reference"] == f"Patient/{person.record}"
    assert pulse.patient == person.patient
    later = take(hospital, observation("o2")).stored[0]
    assert opened(hospital, later.record)["subject"]["reference"] == f"Patient/{person.record}"
    assert later.patient == person.patient


def test_a_patient_named_before_the_resource_comes_is_an_unclaimed_person_and_becomes_whole_later(
    hospital: Hospital,
) -> None:
    pulse = take(hospital, observation()).stored[0]
    named = opened(hospital, pulse.record)["subject"]["reference"]
    person = take(hospital, patient()).stored[0]
    assert named == f"Patient/{person.record}"
    assert person.patient == pulse.patient
    assert people(hospital) == 1
    with hospital.node.database.reading() as session:
        row = session.get(Person, person.patient)
        assert row is not None
        assert open_card(hospital.node, row).names == ("Sally Synthetic",)
        assert row.status == "unclaimed"


def test_lines_resolve_each_other_in_any_order(hospital: Hospital) -> None:
    lines = [observation(), patient(), {"resourceType": "Organization", "id": "org", "name": "Clinic"}]
    report = take(hospital, "\n".join(map(json.dumps, lines)).encode(), NDJSON)
    pulse, person, _ = report.stored
    assert opened(hospital, pulse.record)["subject"]["reference"] == f"Patient/{person.record}"
    assert report.resources_by_type == {"Observation": 1, "Patient": 1, "Organization": 1}


def test_a_conditional_reference_finds_a_directory_entry_of_an_earlier_run(hospital: Hospital) -> None:
    number = {"system": "http://hospital.example/staff", "value": "77"}
    doctor = take(hospital, {"resourceType": "Practitioner", "id": "d", "identifier": [number]}).stored[0]
    reference = "Practitioner?identifier=http://hospital.example/staff|77"
    pulse = take(hospital, observation(performer=[{"reference": reference}])).stored[0]
    assert opened(hospital, pulse.record)["performer"][0]["reference"] == f"Practitioner/{doctor.record}"


def test_what_cannot_be_resolved_stays_as_written_and_is_reported(hospital: Hospital) -> None:
    report = take(hospital, observation(performer=[{"reference": "Practitioner/nobody"}]))
    assert opened(hospital, report.stored[0].record)["performer"][0]["reference"] == "Practitioner/nobody"
    assert report.quality == {"reference-unresolved": 1}
    with hospital.node.database.reading() as session:
        assert session.scalars(select(QualityFinding.place)).all() == ["performer[0]"]


def test_the_same_typed_identifier_is_the_same_person(hospital: Hospital) -> None:
    number = {"identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": "11010519491231002X"}],
              "birthDate": "1949-12-31"}  # fmt: skip
    one = take(hospital, patient("a", **number)).stored[0]
    other = take(hospital, patient("b", **number), source="other hospital system").stored[0]
    assert one.patient == other.patient


def test_the_same_identifier_with_another_birth_date_is_a_new_person_and_a_finding(hospital: Hospital) -> None:
    number = {"identifier": [{"system": "http://hospital.example/mrn", "value": "7"}]}
    one = take(hospital, patient("a", **number)).stored[0]
    report = take(hospital, patient("b", birthDate="1999-01-01", **number))
    assert report.stored[0].patient != one.patient
    assert report.quality["contradictory-demographics"] == 1
    third = take(hospital, patient("c", **number)).stored[0]
    assert third.patient == one.patient


def test_identifiers_that_lead_to_two_people_make_a_third_one(hospital: Hospital) -> None:
    numbers = [{"system": "http://hospital.example/mrn", "value": value} for value in ("1", "2")]
    one = take(hospital, patient("a", identifier=numbers[:1])).stored[0]
    two = take(hospital, patient("b", identifier=numbers[1:])).stored[0]
    report = take(hospital, patient("c", identifier=numbers))
    assert report.stored[0].patient not in (one.patient, two.patient)
    assert report.quality["contradictory-demographics"] == 1


def test_a_source_that_uses_a_patient_id_again_for_somebody_else_makes_a_new_person_once(hospital: Hospital) -> None:
    numbers = [{"system": "http://hospital.example/mrn", "value": value} for value in ("1", "2")]
    one = take(hospital, patient("a", identifier=numbers[:1])).stored[0]
    two = take(hospital, patient("b", identifier=numbers[1:])).stored[0]
    entries = [
        {"fullUrl": "http://his/Patient/a", "resource": patient("a", identifier=numbers[1:])},
        {"fullUrl": "http://his/Observation/o", "resource": observation("o", subject="Patient/a")},
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    report = take(hospital, bundle)
    assert [issue.reason.partition(":")[0] for issue in report.refused] == ["other-patient"]
    assert report.quality["contradictory-demographics"] == 1
    pulse = report.stored[0]
    assert pulse.patient not in (one.patient, two.patient)
    assert opened(hospital, pulse.record)["subject"]["reference"] == "Patient/a"  # leads to nobody's record
    assert people(hospital) == 3
    again = take(hospital, bundle)
    assert (again.stored, again.unchanged, people(hospital)) == ([], 1, 3)


def test_an_id_with_other_numbers_and_another_birth_date_is_somebody_else(hospital: Hospital) -> None:
    one = take(hospital, patient("a", identifier=[{"system": "http://h.example/mrn", "value": "1"}])).stored[0]
    other = patient("a", identifier=[{"system": "http://h.example/mrn", "value": "9"}], birthDate="1999-01-01")
    report = take(hospital, other)
    assert (report.stored, len(report.refused), report.quality) == ([], 1, {"contradictory-demographics": 1})
    assert people(hospital) == 1  # without a record nobody is made
    assert opened(hospital, one.record)["birthDate"] == "1980-02-29"


def test_a_corrected_birth_date_or_a_further_number_is_still_the_same_person(hospital: Hospital) -> None:
    numbers = [{"system": "http://hospital.example/mrn", "value": value} for value in ("1", "2")]
    one = take(hospital, patient("a", identifier=numbers[:1])).stored[0]
    corrected = take(hospital, patient("a", identifier=numbers, birthDate="1981-02-28")).stored[0]
    assert (corrected.patient, corrected.version) == (one.patient, 2)


def test_an_identity_number_with_a_wrong_check_digit_joins_nobody(hospital: Hospital) -> None:
    number = {"identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": "110105194912310021"}]}
    one = take(hospital, patient("a", **number)).stored[0]
    assert take(hospital, patient("b", **number)).stored[0].patient != one.patient


def test_the_caller_may_say_whose_the_records_are(hospital: Hospital) -> None:
    person = take(hospital, patient()).stored[0].patient
    assert take(hospital, observation(subject="Patient/unknown"), patient=person).stored[0].patient == person
    with pytest.raises(NotFound):
        take(hospital, observation("o9"), patient="a" * 26)


def test_a_record_does_not_move_to_another_patient(hospital: Hospital) -> None:
    first = take(hospital, observation()).stored[0]
    report = take(hospital, observation(subject="Patient/p2"))
    assert report.stored == []
    assert report.refused[0].reason.startswith("other-patient")
    assert open_version(hospital.node, first.record).version == 1


def test_a_provenance_belongs_to_the_patient_of_what_it_tells_about(hospital: Hospital) -> None:
    provenance = {
        "resourceType": "Provenance", "id": "v", "recorded": "2024-05-06T07:08:09Z",
        "target": [{"reference": "Observation/o1"}], "agent": [{"who": {"display": "device"}}],
    }  # fmt: skip
    report = take(hospital, bundle("collection", provenance, observation()))
    assert report.stored[0].patient == report.stored[1].patient is not None


def test_directory_and_institution_records_have_no_patient(hospital: Hospital) -> None:
    value_set = {"resourceType": "ValueSet", "id": "v", "status": "active"}
    take(hospital, bundle("collection", {"resourceType": "Location", "id": "l", "name": "Ward"}, value_set))
    with hospital.node.database.reading() as session:
        kinds = sorted((row.kind, row.patient) for row in session.scalars(select(Record)))
    assert kinds == [("directory", None), ("institution", None)]


def test_one_bad_entry_stops_a_transaction_whole_with_its_place(hospital: Hospital) -> None:
    bad = {"resourceType": "Observation", "status": "final"}
    report = take(hospital, bundle("transaction", patient(), bad, method="POST"))
    assert report.stored == []
    assert [issue.place for issue in report.refused] == ["entry[1].resource.code"]
    assert people(hospital) == 0


def test_one_bad_entry_of_a_batch_stops_nothing_else(hospital: Hospital) -> None:
    body = bundle("batch", patient(), {"resourceType": "Observation", "status": "final"}, observation(), method="POST")
    report = take(hospital, body)
    assert len(report.stored) == 2
    assert len(report.refused) == 1


def test_of_a_bundle_with_a_refused_resource_nothing_is_kept_that_no_erasure_would_reach(hospital: Hospital) -> None:
    """The refused text may be about somebody none of whose records the Bundle holds."""
    take(hospital, bundle("batch", patient(), {"resourceType": "Observation", "status": "final"}, method="POST"))
    with hospital.node.database.reading() as session:
        assert session.scalars(select(BundleSkeleton.id)).all() == []


def test_what_is_left_of_a_bundle_is_not_written_once_one_of_its_records_is_erased(hospital: Hospital) -> None:
    take(hospital, bundle("batch", patient(), observation(), method="POST"))
    with hospital.node.database.transaction() as session:
        session.execute(delete(BundleSkeleton))
        record = session.scalars(select(Record).where(Record.resource_type == "Observation")).one()
        record.status = "erased"
    skeleton_id, object_id = identifier(os.urandom(16)), identifier(os.urandom(16))
    key, digest = DataKey(bytes(range(32))), encode_bytes(bytes(32))
    skeleton = SealedSkeleton(skeleton_id, object_id, bytes(32), digest, key, frozenset({record.id}))
    with hospital.node.database.transaction() as session:
        write_skeleton(hospital.node, session, skeleton)
        assert session.scalars(select(BundleSkeleton.id)).all() == []


def test_no_secret_is_made_while_the_database_is_locked(hospital: Hospital) -> None:
    """Making one waits for the disk and for the replica."""
    node = replace(hospital.node, custody=PreparedOnly(hospital.node.custody))
    body = bundle("batch", patient(), observation(), method="POST")
    assert len(ingest_fhir(node, body, JSON, "his").stored) == 2
    with node.database.reading() as session:
        assert len(session.scalars(select(BundleSkeleton.id)).all()) == 1


def test_a_bad_line_is_named_and_stops_nothing(hospital: Hospital) -> None:
    body = json.dumps(patient()).encode() + b"\n{broken\n" + json.dumps(observation()).encode()
    report = take(hospital, body, NDJSON)
    assert len(report.stored) == 2
    assert report.refused[0].place.startswith("line 2")


def test_a_resource_that_comes_twice_in_one_run_becomes_two_versions(hospital: Hospital) -> None:
    lines = [patient(), patient(gender="other")]
    report = take(hospital, "\n".join(map(json.dumps, lines)).encode(), NDJSON)
    assert [one.version for one in report.stored] == [1, 2]


def test_a_transaction_that_names_a_resource_twice_is_refused(hospital: Hospital) -> None:
    report = take(hospital, bundle("transaction", patient(), patient(gender="other"), method="PUT"))
    assert report.stored == []
    assert report.refused[0].reason.startswith("duplicate")


def test_other_media_types_are_refused(hospital: Hospital) -> None:
    with pytest.raises(Invalid):
        take(hospital, patient(), "application/fhir+xml")


def test_only_the_changed_line_of_a_repeated_run_is_stored(hospital: Hospital) -> None:
    lines = [patient(), observation("a"), observation("b")]
    take(hospital, "\n".join(map(json.dumps, lines)).encode(), NDJSON)
    lines[2] = observation("b", status="amended")
    report = take(hospital, "\n".join(map(json.dumps, lines)).encode(), NDJSON)
    assert (len(report.stored), report.unchanged) == (1, 2)
    assert report.stored[0].version == 2


def test_what_belongs_to_the_answer_is_written_in_the_same_transaction(hospital: Hospital) -> None:
    seen: list[int] = []
    report = take(hospital, patient(), also=lambda _session, stored: seen.append(len(stored)))
    assert seen == [1]

    def fail(_session: object, _stored: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        take(hospital, observation(), also=fail)
    with hospital.node.database.reading() as session:
        assert session.scalars(select(Record.id)).all() == [report.stored[0].record]


def test_documents_stand_on_the_ledger_by_id(hospital: Hospital) -> None:
    document = {
        "resourceType": "DocumentReference", "id": "d", "status": "current",
        "subject": {"reference": "Patient/p1"}, "content": [{"attachment": {"title": "summary"}}],
    }  # fmt: skip
    stored = take(hospital, document).stored[0]
    hospital.settle()
    answer = hospital.ledger.evaluate("QueryRecord", {"custodian": hospital.node.msp_id, "record": stored.record})
    assert isinstance(answer, dict)
    assert answer["leaf"]
