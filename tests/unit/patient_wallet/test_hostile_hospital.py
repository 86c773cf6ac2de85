"""What a hospital that lies cannot do to a wallet."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from domain import leaves, messages, statements
from domain.errors import Invalid, Tampered
from domain.identifiers import decode_bytes, encode_bytes
from offchain.envelope.hpke import RecipientPublicKey
from offchain.envelope.messages import seal_message
from patient_wallet.drafts import GrantChoice
from patient_wallet.export import export_records
from tests.unit.patient_wallet.hostile_hospital import (
    MSP,
    HostileHospital,
    an_id,
    enrolled,
    record_entry,
    sealed_record,
)


def test_a_genuine_record_opens(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, registration = enrolled(tmp_path, hospital)
    sealed = sealed_record(registration)
    hospital.answers[f"/wallet/records/{sealed.entry.record}/sealed"] = sealed.model_dump()
    assert wallet.open(MSP, sealed.entry.record).content == b'{"resourceType":"Basic"}'


def test_another_record_of_the_same_patient_is_not_taken_for_the_one_that_was_asked_for(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, registration = enrolled(tmp_path, hospital)
    asked = an_id()
    hospital.answers[f"/wallet/records/{asked}/sealed"] = sealed_record(registration).model_dump()
    with pytest.raises(Tampered) as caught:
        wallet.open(MSP, asked)
    assert caught.value.reason == "other-record"


def test_an_id_that_is_none_asks_nobody(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, _ = enrolled(tmp_path, hospital)
    with pytest.raises(Invalid):
        wallet.open(MSP, "../grants?")
    assert hospital.received == []


@pytest.mark.parametrize("resource_type", ["../outside", "/outside", "..", "A/../../outside", "", "a\0b"])
def test_an_export_stays_within_its_folder(tmp_path: Path, resource_type: str) -> None:
    hospital = HostileHospital()
    wallet, registration = enrolled(tmp_path, hospital)
    sealed = sealed_record(registration)
    record = sealed.entry.record
    entry = record_entry(record, resource_type)
    hospital.answers["/wallet/records"] = {"items": [entry.model_dump()], "next": None}
    hospital.answers[f"/wallet/records/{record}/sealed"] = sealed.model_copy(update={"entry": entry}).model_dump()
    before = {path for path in tmp_path.rglob("*") if "wallet" not in path.name}
    with pytest.raises(Tampered):
        export_records(wallet, MSP, tmp_path / "export")
    assert {path for path in tmp_path.rglob("*") if "wallet" not in path.name} - before == {tmp_path / "export"}


def test_an_export_takes_no_record_id_that_leads_elsewhere(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, registration = enrolled(tmp_path, hospital)
    sealed = sealed_record(registration).model_dump()
    hospital.answers["/wallet/records"] = {"items": [record_entry("../../x").model_dump()], "next": None}
    hospital.answers["/wallet/records/../../x/sealed"] = hospital.answers["/x/sealed"] = sealed
    with pytest.raises(Tampered):
        export_records(wallet, MSP, tmp_path / "export")
    assert list((tmp_path / "export").iterdir()) == []


def test_an_object_without_an_end_is_not_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patient_wallet.opening.RANGE_BYTES", 1000)
    monkeypatch.setattr("patient_wallet.opening.MAX_RECORD_BYTES", 10_000)
    hospital = HostileHospital()
    wallet, registration = enrolled(tmp_path, hospital)
    sealed = sealed_record(registration)
    digest = leaves.parse_record_leaf(decode_bytes(sealed.leaf, "leaf")).digest
    hospital.answers[f"/wallet/objects/{digest}"] = bytes(1000)
    record = sealed.entry.record
    hospital.answers[f"/wallet/records/{record}/sealed"] = sealed.model_copy(update={"sealed": None}).model_dump()
    with pytest.raises(Tampered) as caught:
        wallet.open(MSP, record)
    assert caught.value.reason == "answer-size"
    assert len(hospital.received) < 20


def test_a_request_of_another_form_hides_no_other_and_is_not_shown(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, registration = enrolled(tmp_path, hospital)
    public = RecipientPublicKey.parse("HPKE-X25519", registration.keys.public.wrap)
    request = an_id()
    text = b'{"purpose": {"name": "Zhang Secret"}}'
    message = seal_message(public, messages.access_request(request, registration.patient), text)
    sealed = {"kid": message.key_id, "alg": message.alg, "sealed": encode_bytes(message.sealed)}
    entry = {
        "id": request,
        "requester": "BMSP",
        "valid_until": "2026-03-02T00:00:00Z",
        "received_at": "2026-03-01T12:00:00Z",
        "message": sealed,
    }
    unsealed = {**entry, "message": {**sealed, "sealed": encode_bytes(bytes(64))}}
    elsewhere = {**entry, "message": {**sealed, "kid": encode_bytes(bytes(32))}}
    hospital.answers["/wallet/requests"] = [entry, unsealed, elsewhere]
    found = wallet.requests(MSP)
    assert [(one.id, one.requester, one.content) for one in found] == [(request, "BMSP", None)] * 3


# --- Epochs ---------------------------------------------------------------------------------------------------------


def signed_floor(hospital: HostileHospital) -> int:
    """The floor of the last revocation of everything that the wallet signed."""
    body = [body for path, body in hospital.received if path == "/wallet/statements"][-1]
    statement = statements.parse(json.loads(body)["statement"])
    assert isinstance(statement.body, statements.RevokeEverything)
    return statement.body.floor


def revoking(hospital: HostileHospital, floor: int) -> None:
    hospital.answers["/wallet/grants"] = {"grants": [], "dissents": [], "floor": floor}
    hospital.answers["/wallet/statements"] = {"id": "x", "tx_id": "x", "block": 7}


def test_a_wallet_whose_file_is_old_still_revokes_everything(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, _ = enrolled(tmp_path, hospital)
    revoking(hospital, 41)
    wallet.revoke_all(MSP)
    assert signed_floor(hospital) == 42


def test_a_hospital_cannot_lower_the_floor_that_the_wallet_asks_for(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, _ = enrolled(tmp_path, hospital)
    revoking(hospital, 1)
    wallet.revoke_all(MSP)
    wallet.revoke_all(MSP)
    assert signed_floor(hospital) == 3


def silent(request: httpx.Request) -> object:
    raise httpx.ConnectError("nobody listens", request=request)


def test_a_hospital_cannot_drive_the_epoch_up_until_no_revocation_fits(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, _ = enrolled(tmp_path, hospital)
    revoking(hospital, 1_000_000)
    hospital.answers["/hospital"] = silent
    with pytest.raises(Tampered) as caught:
        wallet.grant(MSP, GrantChoice("BMSP"), "https://b.example")
    assert caught.value.reason == "floor"
    assert wallet.registration(MSP).grant_epoch == 1


def test_everything_is_revoked_through_another_member_while_the_custodian_is_silent(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, _ = enrolled(tmp_path, hospital)
    revoking(hospital, 1)
    del hospital.answers["/wallet/nonces"]
    wallet.revoke_all(MSP, through="https://c.example")
    assert signed_floor(hospital) == 2


def test_the_highest_epoch_is_still_revoked(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, registration = enrolled(tmp_path, hospital, grant_epoch=statements.MAX_EPOCH)
    revoking(hospital, 1)
    wallet.revoke_all(MSP)
    assert signed_floor(hospital) == statements.MAX_EPOCH
    assert registration.grant_epoch == statements.MAX_EPOCH


def test_a_path_that_leads_nowhere_is_only_the_hospitals_claim(tmp_path: Path) -> None:
    hospital = HostileHospital()
    wallet, registration = enrolled(tmp_path, hospital)
    row = leaves.AccessLeaf(
        id=an_id(), at="2026-03-01T12:00:00Z", action="read", organisation=MSP, actor="doctor", purpose="TREAT",
        access=None, patient=registration.patient, records=(), outcome="ok", salt=encode_bytes(bytes(32)),
    )  # fmt: skip
    nowhere = {"incarnation": 1, "index": 0, "size": 2, "hashes": [encode_bytes(bytes(32))]}
    entry = {"leaf": encode_bytes(leaves.encode(row)), "path": nowhere, "reader": None}
    hospital.answers["/wallet/accesses"] = {"items": [entry], "next": None}
    (access,) = wallet.accesses(MSP)
    assert access.row == row
    assert access.claimed_anchored
    assert not hasattr(access, "anchored")


def test_a_readers_name_that_does_not_open_hides_no_line(tmp_path: Path) -> None:
    """The reading hospital sealed it: rubbish there would end the list of who read at its own line."""
    hospital = HostileHospital()
    wallet, registration = enrolled(tmp_path, hospital)
    row = leaves.AccessLeaf(
        id=an_id(), at="2026-03-01T12:00:00Z", action="release", organisation="BMSP", actor=an_id(), purpose="TREAT",
        access=an_id(), patient=registration.patient, records=(), outcome="ok", salt=encode_bytes(bytes(32)),
    )  # fmt: skip
    rubbish = {"kid": encode_bytes(bytes(32)), "alg": "none", "sealed": encode_bytes(bytes(32))}
    line = {"leaf": encode_bytes(leaves.encode(row)), "path": None}
    hospital.answers["/wallet/accesses"] = {
        "items": [{**line, "reader": rubbish}, {**line, "reader": None}],
        "next": None,
    }
    assert [(one.row, one.reader, one.reader_unreadable) for one in wallet.accesses(MSP)] == [
        (row, None, True),
        (row, None, False),
    ]
