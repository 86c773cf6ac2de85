"""FHIR's interactions through HTTP: what is written comes back byte for byte, versions and keys hold."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

import pytest

from domain.errors import Conflict, Denied, Invalid, NotFound
from node_service.client.node_client import FHIR_JSON, StaffClient
from node_service.client.transport import Answer
from tests.scenario.network import Hospital


@pytest.fixture(scope="module")
def doctor(renhe: Hospital) -> StaffClient:
    return renhe.staff("dr")


@pytest.fixture(scope="module")
def patient(doctor: StaffClient) -> str:
    created = doctor.fhir("POST", "/Patient", content=b'{"resourceType":"Patient","gender":"female"}')
    return place(created)[0]


def observation(patient: str, value: str = "72.50") -> bytes:
    """Spelled unusually, so that a re-dump would show."""
    return (
        '{ "resourceType":"Observation",  "status":"final","code":{"text":"心率 heart rate"},'
        f'"subject":{{"reference":"Patient/{patient}"}},"valueQuantity":{{"value":{value},"unit":"/min"}} }}'
    ).encode()


def place(answer: Answer) -> tuple[str, str]:
    """Record and version out of ``Location``."""
    parts = answer.headers["location"].split("/")
    assert parts[-2] == "_history"
    return parts[-3], parts[-1]


def test_a_created_resource_comes_back_as_received_but_for_id_meta_and_references(
    doctor: StaffClient, patient: str
) -> None:
    created = doctor.fhir("POST", "/Observation", content=observation(patient))
    record, version = place(created)
    assert (created.status, version, created.headers["etag"]) == (201, "1", 'W/"1"')
    assert created.headers["yilian-state"] == "stored"
    read = doctor.fhir("GET", f"/Observation/{record}")
    assert read.headers["content-type"] == FHIR_JSON
    assert read.headers["etag"] == 'W/"1"'
    assert b'"value":72.50,"unit"' in read.content
    assert b'  "status":"final"' in read.content
    assert json.loads(read.content)["id"] == record
    assert doctor.record_content(record) == read.content


def test_the_same_idempotency_key_stores_once_and_refuses_another_body(doctor: StaffClient, patient: str) -> None:
    key = str(uuid.uuid4())
    first = doctor.fhir("POST", "/Observation", content=observation(patient), idempotency_key=key)
    again = doctor.fhir("POST", "/Observation", content=observation(patient), idempotency_key=key)
    assert place(again) == place(first)
    with pytest.raises(Conflict) as refusal:
        doctor.fhir("POST", "/Observation", content=observation(patient, "80"), idempotency_key=key)
    assert refusal.value.reason == "idempotency-key"
    without = doctor.fhir("POST", "/Observation", content=observation(patient))
    assert place(without)[0] != place(first)[0]


def test_an_update_needs_the_version_that_was_read(doctor: StaffClient, patient: str) -> None:
    record, _ = place(doctor.fhir("POST", "/Observation", content=observation(patient)))
    changed = json.loads(doctor.fhir("GET", f"/Observation/{record}").content) | {"status": "amended"}
    body = json.dumps(changed).encode()
    with pytest.raises(Invalid) as missing:
        doctor.fhir("PUT", f"/Observation/{record}", content=body)
    assert missing.value.reason == "precondition-required"
    updated = doctor.fhir("PUT", f"/Observation/{record}", content=body, if_match='W/"1"')
    assert place(updated) == (record, "2")
    with pytest.raises(Conflict) as stale:
        doctor.fhir("PUT", f"/Observation/{record}", content=body, if_match='W/"1"')
    assert stale.value.reason == "precondition"


def test_every_version_stays_readable_and_the_history_holds_their_exact_bytes(
    doctor: StaffClient, patient: str
) -> None:
    record, _ = place(doctor.fhir("POST", "/Observation", content=observation(patient)))
    first = doctor.fhir("GET", f"/Observation/{record}").content
    changed = first.replace(b'"final"', b'"amended"')
    doctor.fhir("PUT", f"/Observation/{record}", content=changed, if_match='W/"1"')
    second = doctor.fhir("GET", f"/Observation/{record}/_history/2").content
    assert doctor.fhir("GET", f"/Observation/{record}/_history/1").content == first
    history = doctor.fhir("GET", f"/Observation/{record}/_history").content
    assert first in history
    assert second in history
    bundle = json.loads(history)
    assert [one["response"]["etag"] for one in bundle["entry"]] == ['W/"2"', 'W/"1"']
    assert bundle["total"] == 2


def test_an_update_cannot_move_a_record_to_another_patient(doctor: StaffClient, patient: str) -> None:
    other, _ = place(doctor.fhir("POST", "/Patient", content=b'{"resourceType":"Patient","gender":"male"}'))
    record, _ = place(doctor.fhir("POST", "/Observation", content=observation(patient)))
    moved = json.loads(doctor.fhir("GET", f"/Observation/{record}").content)
    moved["subject"]["reference"] = f"Patient/{other}"
    with pytest.raises(Conflict) as refusal:
        doctor.fhir("PUT", f"/Observation/{record}", content=json.dumps(moved).encode(), if_match='W/"1"')
    assert refusal.value.reason == "other-patient"


def test_ids_are_given_by_the_server_only(doctor: StaffClient, patient: str) -> None:
    body = json.loads(observation(patient)) | {"id": "mfrggzdfmztwq2lknnwg23tpoe"}
    with pytest.raises(NotFound):
        doctor.fhir("PUT", f"/Observation/{body['id']}", content=json.dumps(body).encode(), if_match='W/"1"')


def test_one_type_does_not_answer_under_another(doctor: StaffClient, patient: str) -> None:
    record, _ = place(doctor.fhir("POST", "/Observation", content=observation(patient)))
    with pytest.raises(NotFound):
        doctor.fhir("GET", f"/Condition/{record}")


def test_a_reference_to_an_unknown_patient_is_refused(doctor: StaffClient) -> None:
    with pytest.raises(Invalid):
        doctor.fhir("POST", "/Observation", content=observation("mfrggzdfmztwq2lknnwg23tpoe"))


def test_a_transaction_is_stored_whole_or_not_at_all(doctor: StaffClient, patient: str) -> None:
    good = {"resource": json.loads(observation(patient)), "request": {"method": "POST", "url": "Observation"}}
    bad = {"resource": {"resourceType": "Observation"}, "request": {"method": "POST", "url": "Observation"}}
    before = doctor.status().records
    with pytest.raises(Invalid):
        doctor.fhir("POST", "", content=bundle("transaction", good, bad))
    assert doctor.status().records == before
    answer = json.loads(doctor.fhir("POST", "", content=bundle("transaction", good, good)).content)
    assert answer["type"] == "transaction-response"
    assert [one["response"]["status"] for one in answer["entry"]] == ["201 Created", "201 Created"]
    assert doctor.status().records == before + 2


def test_a_batch_tells_for_each_entry_what_became_of_it(doctor: StaffClient, patient: str) -> None:
    good = {"resource": json.loads(observation(patient)), "request": {"method": "POST", "url": "Observation"}}
    bad = {"resource": {"resourceType": "Observation"}, "request": {"method": "POST", "url": "Observation"}}
    answer = json.loads(doctor.fhir("POST", "", content=bundle("batch", bad, good)).content)
    first, second = (one["response"] for one in answer["entry"])
    assert first["status"] == "400 Bad Request"
    assert first["outcome"]["resourceType"] == "OperationOutcome"
    location = second["location"].split("/")
    assert doctor.fhir("GET", f"/{location[0]}/{location[1]}").status == 200


def test_errors_below_fhir_are_operation_outcomes_that_repeat_nothing(renhe: Hospital, doctor: StaffClient) -> None:
    token = doctor.authorise("", "")["Authorization"]
    headers = {"Authorization": token, "Content-Type": FHIR_JSON}
    http = doctor.transport._http
    answer = http.post(f"{renhe.url}/fhir/Observation", content=b'{"resourceType":"Wang Xiaoming"}', headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == FHIR_JSON
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert "Xiaoming" not in answer.text
    assert http.get(f"{renhe.url}/fhir/Observation/x").json()["issue"][0]["code"] == "login"


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [("Accept", "application/fhir+xml", 406), ("Content-Type", "application/fhir+xml", 415)],
)
def test_other_formats_than_json_are_refused_as_such(
    renhe: Hospital, doctor: StaffClient, patient: str, header: str, value: str, status: int
) -> None:
    headers = {"Content-Type": FHIR_JSON, **doctor.authorise("", ""), header: value}
    http = doctor.transport._http
    answer = http.post(f"{renhe.url}/fhir/Observation", content=observation(patient), headers=headers)
    assert answer.status_code == status


def test_the_capability_statement_states_no_search_and_no_deletion(renhe: Hospital, doctor: StaffClient) -> None:
    statement = json.loads(doctor.transport.call("GET", "/fhir/metadata").content)
    codes = {one["code"] for one in statement["rest"][0]["resource"][0]["interaction"]}
    assert codes == {"read", "vread", "update", "history-instance", "create"}
    assert "searchParam" not in statement["rest"][0]["resource"][0]
    assert statement["implementation"]["url"] == f"{renhe.url}/fhir"


def test_an_interface_engine_writes_but_does_not_read(renhe: Hospital, patient: str) -> None:
    engine = renhe.staff("engine")
    record, _ = place(engine.fhir("POST", "/Observation", content=observation(patient)))
    with pytest.raises(Denied):
        engine.fhir("GET", f"/Observation/{record}")


def test_the_fhir_interface_is_for_staff_with_a_clinical_role(
    renhe: Hospital, doctor: StaffClient, patient: str
) -> None:
    record, _ = place(doctor.fhir("POST", "/Observation", content=observation(patient)))
    for username in ("administrator", "auditor", "registrar"):
        with pytest.raises(Denied):
            renhe.staff(username).fhir("GET", f"/Observation/{record}")


def bundle(kind: str, *entries: Mapping[str, object]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)}).encode()
