"""Enrolment: the code, the statement, the ledger, the register, and crashes between them."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from domain import statements
from domain.errors import Conflict, Denied, Invalid, OutcomeUnknown, Tampered, YilianError
from domain.identifiers import decode_bytes, encode_bytes, identifier
from domain.jcs import JsonObject
from node_service.client import wire
from node_service.database.models import EnrolmentCode, PatientKey, Person, RecordVersion, Wrap
from node_service.organization_keys import hospital_card
from node_service.records.reading import open_version
from node_service.sharing import enrolment, wallet_records
from node_service.sharing.enrolment_codes import issue_code
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.unseal import unseal
from offchain.envelope.wraps import KeyBinding, unwrap_for_patient
from offchain.envelope.wraps import Wrap as PatientWrap
from tests.unit.node_service.sharing.consortium import A, B, Consortium, Hospital, Wallet, history, run

SECOND_PROBLEM: JsonObject = {"resourceType": "Condition", "id": "c2", "subject": {"reference": "urn:uuid:p1"}}


@pytest.fixture
def unclaimed(consortium: Consortium) -> Wallet:
    """A person with records at A and no wallet yet."""
    stored = consortium[A].ingest(*history())
    patient = next(one.patient for one in stored if one.resource_type == "Patient")
    assert patient is not None
    return Wallet(consortium[A], patient)


def code_for(hospital: Hospital, patient: str) -> str:
    node = hospital.node
    card = hospital_card(node.settings, node.secrets, "yilian")
    return issue_code(node, patient, identifier(os.urandom(16)), card).code


def finish(wallet: Wallet, code: str, signed: tuple[str, str] | None = None) -> wire.Committed:
    text, signature = signed or wallet.sign(statements.Enrol(wallet.keys))
    body = wire.EnrolmentFinish(code=code, statement=text, signature=signature)
    return run(enrolment.finish(wallet.custodian.node, body))


def person(wallet: Wallet) -> tuple[str, int]:
    """Status of the person, and how many keys the register has."""
    with wallet.custodian.node.database.reading() as session:
        keys = session.execute(select(func.count()).select_from(PatientKey)).scalar_one()
        return session.get_one(Person, wallet.patient).status, keys


def test_a_code_binds_the_wallets_keys_to_the_person(unclaimed: Wallet) -> None:
    code = code_for(unclaimed.custodian, unclaimed.patient)
    card = hospital_card(unclaimed.custodian.node.settings, unclaimed.custodian.node.secrets, "yilian")
    offered = enrolment.offer(unclaimed.custodian.node, wire.EnrolmentStart(code=code.lower()), card)
    assert offered.patient == unclaimed.patient
    assert finish(unclaimed, code).block > 0
    assert person(unclaimed) == ("enrolled", 1)


def test_only_a_keyed_hash_of_the_code_is_kept(unclaimed: Wallet) -> None:
    code = code_for(unclaimed.custodian, unclaimed.patient)
    assert len(code.replace("-", "")) == 16
    with unclaimed.custodian.node.database.reading() as session:
        row = session.scalars(select(EnrolmentCode)).one()
        assert code not in repr(vars(row))
        assert len(row.code_hash) == 32


def test_a_code_is_over_after_ten_minutes(unclaimed: Wallet) -> None:
    code = code_for(unclaimed.custodian, unclaimed.patient)
    unclaimed.custodian.clock.advance(600)
    with pytest.raises(Denied):
        finish(unclaimed, code)
    assert person(unclaimed) == ("unclaimed", 0)


def test_a_code_that_was_given_while_the_clock_was_ahead_does_not_outlast_it(unclaimed: Wallet) -> None:
    unclaimed.custodian.clock.advance(8 * 86_400)
    code = code_for(unclaimed.custodian, unclaimed.patient)
    unclaimed.custodian.clock.advance(-8 * 86_400)
    with pytest.raises(Denied) as refused:
        finish(unclaimed, code)
    assert refused.value.reason == "enrolment-code"
    assert person(unclaimed) == ("unclaimed", 0)


def test_a_wrong_code_looks_like_an_expired_one(unclaimed: Wallet) -> None:
    with pytest.raises(Denied) as wrong:
        finish(unclaimed, "AAAA-AAAA-AAAA-AAAA")
    assert wrong.value.reason == "enrolment-code"


def test_five_failures_end_a_code(unclaimed: Wallet) -> None:
    code = code_for(unclaimed.custodian, unclaimed.patient)
    text, _ = unclaimed.sign(statements.Enrol(unclaimed.keys))
    for _ in range(5):
        with pytest.raises(Tampered):
            finish(unclaimed, code, (text, encode_bytes(bytes(64))))
    with pytest.raises(Denied):
        finish(unclaimed, code)


def test_keys_are_not_registered_without_their_own_signature(unclaimed: Wallet) -> None:
    code = code_for(unclaimed.custodian, unclaimed.patient)
    other = Wallet(unclaimed.custodian, unclaimed.patient)
    text, _ = unclaimed.sign(statements.Enrol(unclaimed.keys))
    with pytest.raises(Tampered):
        finish(unclaimed, code, (text, encode_bytes(other.signing.sign(text.encode()))))
    assert person(unclaimed) == ("unclaimed", 0)


@pytest.mark.parametrize(
    "changes", [{"patient": identifier(bytes(16))}, {"custodian": B}, {"channel": "other"}, {"key_epoch": 2}]
)
def test_a_statement_for_another_place_is_refused(unclaimed: Wallet, changes: dict[str, Any]) -> None:
    code = code_for(unclaimed.custodian, unclaimed.patient)
    with pytest.raises(Invalid):
        finish(unclaimed, code, unclaimed.sign(statements.Enrol(unclaimed.keys), **changes))
    assert person(unclaimed) == ("unclaimed", 0)


def test_a_wrap_key_of_small_order_is_refused(unclaimed: Wallet) -> None:
    code = code_for(unclaimed.custodian, unclaimed.patient)
    text = unclaimed.sign(statements.Enrol(unclaimed.keys))[0].replace(unclaimed.keys.wrap, encode_bytes(bytes(32)))
    with pytest.raises(Invalid) as refused:
        finish(unclaimed, code, (text, encode_bytes(unclaimed.signing.sign(text.encode()))))
    assert refused.value.reason == "weak-key"


def test_the_same_enrolment_again_is_the_same_success(unclaimed: Wallet) -> None:
    code = code_for(unclaimed.custodian, unclaimed.patient)
    signed = unclaimed.sign(statements.Enrol(unclaimed.keys))
    finish(unclaimed, code, signed)
    finish(unclaimed, code, signed)
    assert person(unclaimed) == ("enrolled", 1)


def test_a_second_wallet_does_not_take_over(unclaimed: Wallet) -> None:
    first, second = (code_for(unclaimed.custodian, unclaimed.patient) for _ in range(2))
    finish(unclaimed, first)
    with pytest.raises(Conflict):
        finish(Wallet(unclaimed.custodian, unclaimed.patient), second)
    with pytest.raises(Conflict):
        code_for(unclaimed.custodian, unclaimed.patient)


def test_a_crash_before_the_commit_is_seen_is_completed_later(unclaimed: Wallet) -> None:
    code = code_for(unclaimed.custodian, unclaimed.patient)
    unclaimed.custodian.commits.frozen = True
    with pytest.raises(OutcomeUnknown):
        finish(unclaimed, code)
    assert person(unclaimed) == ("enrolling", 1)
    unclaimed.custodian.commits.frozen = False
    unclaimed.custodian.commits.follow()
    enrolment.Enrolments(unclaimed.custodian.node).step(unclaimed.custodian.clock.now())
    assert person(unclaimed) == ("enrolled", 1)


def test_what_the_ledger_refuses_leaves_no_key_behind(unclaimed: Wallet) -> None:
    code = code_for(unclaimed.custodian, unclaimed.patient)
    signed = unclaimed.sign(statements.Enrol(unclaimed.keys), valid_for=timedelta(days=31))
    with pytest.raises(YilianError):
        finish(unclaimed, code, signed)
    assert person(unclaimed) == ("unclaimed", 0)
    finish(unclaimed, code)
    assert person(unclaimed) == ("enrolled", 1)


def test_every_older_and_newer_version_gets_a_wrap_that_the_wallet_opens(unclaimed: Wallet) -> None:
    hospital = unclaimed.custodian
    unclaimed.enrol()
    hospital.settle()
    later = hospital.ingest(*history(), SECOND_PROBLEM)
    hospital.settle()
    with hospital.node.database.reading() as session:
        versions = session.execute(select(func.count()).select_from(RecordVersion)).scalar_one()
        wraps = session.execute(select(func.count()).where(Wrap.recipient == "patient")).scalar_one()
    assert (versions, wraps) == (6, 5)  # the clinic is no patient's record
    for one in later:
        sealed = wallet_records.sealed_record(hospital.node, unclaimed.patient, one.record)
        assert content_of(unclaimed, sealed) == open_version(hospital.node, one.record).content


def content_of(wallet: Wallet, item: wire.SealedRecord) -> bytes:
    """What the wallet sees with its own key alone."""
    binding = KeyBinding(item.object_id, item.entry.record, item.entry.version)
    key = unwrap_for_patient(PatientWrap.parse(decode_bytes(item.wrap, "wrap")), wallet.wrap, binding)
    sealed = SealedBytes.of(decode_bytes(item.sealed, "sealed", max_length=1 << 20))
    return unseal(sealed.verified(sealed.digest), key, object_id=item.object_id).whole(max_bytes=1 << 20).content
