"""The whole story: ingest, enrol, request, grant, read elsewhere, revoke, break the glass, review."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.errors import Conflict, NotFound
from domain.identifiers import decode_bytes
from node_service.client import wire
from patient_wallet.drafts import GrantChoice
from patient_wallet.wallet import Wallet
from tests.scenario.network import Hospital, eventually


def smallest_bundle(shared_data: Path) -> bytes:
    paths = sorted((shared_data / "fhir" / "synthea").glob("*.json"), key=lambda path: path.stat().st_size)
    return next(content for path in paths if b'"Patient"' in (content := path.read_bytes()))


def enrolled(hospital: Hospital, wallet: Wallet, patient: str) -> None:
    code = hospital.staff("registrar").issue_enrolment_code(patient)
    wallet.enrol(hospital.url, code.code)


def test_records_are_read_elsewhere_under_a_grant_and_not_once_its_revocation_is_answered(
    renhe: Hospital, tongji: Hospital, new_wallet: Callable[[], Wallet], shared_data: Path
) -> None:
    report = renhe.staff("archive").ingest_fhir(smallest_bundle(shared_data), source="synthea")
    assert report.refused == []
    patient = next(ref.patient for ref in report.stored if ref.resource_type == "Patient")
    assert patient is not None

    wallet = new_wallet()
    enrolled(renhe, wallet, patient)
    own = list(wallet.records("RenheMSP"))
    assert {entry.record for entry in own} == {ref.record for ref in report.stored if ref.patient == patient}

    card = wallet.registration("RenheMSP").card
    asked = tongji.clinician.request_access(
        wire.AccessRequest(card=card, purpose="TREAT", categories=["problem", "result"], message="手术前想看化验。")
    )
    (request,) = wallet.requests("RenheMSP")
    assert request.content is not None
    assert (request.id, request.requester, request.content.message) == (asked.id, "TongjiMSP", "手术前想看化验。")

    choice = GrantChoice(grantee="TongjiMSP", request=request.id)
    preview = wallet.preview("RenheMSP", choice)
    granted = wallet.grant("RenheMSP", choice, tongji.url)
    assert granted.delivered
    (received,) = [one for one in tongji.clinician.grants() if one.id == granted.id]
    with pytest.raises(Conflict):
        tongji.clinician.open_access(granted.patient, granted.id, "TREAT")
    tongji.clinician.confirm_match(received.patient, received.id, None)
    access = tongji.clinician.open_access(granted.patient, granted.id, "TREAT")

    eventually(lambda: renhe.staff("dr").status().outbox == 0)
    chart = tongji.clinician.chart(access.id)
    assert set(preview.released) <= {item.entry.record for item in chart.items}
    for item in chart.items:
        custodians = renhe.staff("dr").record_content(item.entry.record)
        assert decode_bytes(item.content, "content", max_length=1 << 30) == custodians
    observation = next(item for item in chart.items if item.entry.resource_type == "Observation")
    assert tongji.clinician.record(access.id, observation.entry.record).content == observation.content

    wallet.revoke("RenheMSP", granted.id)
    for read_again in (
        lambda: tongji.clinician.record(access.id, observation.entry.record),
        lambda: tongji.clinician.records(access.id),
        lambda: tongji.clinician.chart(access.id),
    ):
        with pytest.raises(NotFound):
            read_again()

    seen = list(wallet.accesses("RenheMSP"))
    released = {
        record for access_row in seen if access_row.row.action == "release" for record in access_row.row.records
    }
    assert {item.entry.record for item in chart.items if item.entry.patient} <= released
    assert any(one.reader is not None and one.reader.name == "dr 测试" for one in seen if one.row.access == access.id)


def test_a_broken_glass_is_seen_by_the_patient_and_reviewed_by_both_hospitals(
    renhe: Hospital, tongji: Hospital, new_wallet: Callable[[], Wallet]
) -> None:
    patient, allergy = emergency_patient(renhe)
    wallet = new_wallet()
    enrolled(renhe, wallet, patient)
    card = wallet.registration("RenheMSP").card
    handle = tongji.clinician.break_glass(
        wire.EmergencyBody(card=card, reason="unconscious", categories=["allergy", "medication"])
    )
    eventually(lambda: renhe.staff("dr").status().outbox == 0)
    page = tongji.clinician.records(handle.id)
    assert allergy in {entry.record for entry in page.items}
    assert {entry.category for entry in page.items} <= {"allergy", "medication", "directory"}
    assert json.loads(decode_bytes(tongji.clinician.record(handle.id, allergy).content, "content"))["id"] == allergy
    assert "break-glass" in {notice.event for notice in wallet.notices("RenheMSP")}

    for hospital in (tongji, renhe):
        verdict = wire.ReviewBody(outcome="justified", note="Seen with the head of the ward.")
        answer = hospital.staff("privacy").call("POST", f"/api/shared/emergencies/{handle.id}/reviews", body=verdict)
        assert answer.status == 201
    assert "break-glass-reviewed" in {notice.event for notice in wallet.notices("RenheMSP")}


def test_a_dissent_wins_over_a_broken_glass(
    renhe: Hospital, tongji: Hospital, new_wallet: Callable[[], Wallet]
) -> None:
    patient, allergy = emergency_patient(renhe)
    wallet = new_wallet()
    enrolled(renhe, wallet, patient)
    wallet.dissent("RenheMSP")
    card = wallet.registration("RenheMSP").card
    handle = tongji.clinician.break_glass(wire.EmergencyBody(card=card, reason="unconscious", categories=["allergy"]))
    eventually(lambda: renhe.staff("dr").status().outbox == 0)
    with pytest.raises(NotFound):
        tongji.clinician.record(handle.id, allergy)


def emergency_patient(hospital: Hospital) -> tuple[str, str]:
    """A fresh person with an allergy and a payment."""
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry("urn:uuid:1b1f7f0e-0000-4000-8000-000000000001", {"resourceType": "Patient", "gender": "female"}),
            entry(
                "urn:uuid:1b1f7f0e-0000-4000-8000-000000000002",
                {
                    "resourceType": "AllergyIntolerance",
                    "patient": {"reference": "urn:uuid:1b1f7f0e-0000-4000-8000-000000000001"},
                    "code": {"text": f"Penicillin {time.monotonic_ns()}"},
                },
            ),
        ],
    }
    report = hospital.staff("archive").ingest_fhir(json.dumps(bundle).encode(), source="ward")
    assert report.refused == []
    patient = next(ref.patient for ref in report.stored if ref.resource_type == "Patient")
    allergy = next(ref.record for ref in report.stored if ref.resource_type == "AllergyIntolerance")
    assert patient is not None
    return patient, allergy


def entry(full_url: str, resource: dict[str, object]) -> dict[str, object]:
    kind = str(resource["resourceType"])
    return {"fullUrl": full_url, "resource": resource, "request": {"method": "POST", "url": kind}}
