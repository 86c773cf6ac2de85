"""The wallet's side of an erasure: kept before it is sent, and no certificate believed that says something else."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import statements
from domain.erasure import Certificate, ErasedRecord, records_digest
from domain.errors import Conflict, OutcomeUnknown, Tampered
from domain.identifiers import decode_bytes, encode_bytes, identifier
from node_service.client import erasure_wire, wire
from patient_wallet.erasure import Erasures
from patient_wallet.keys import derive
from patient_wallet.registration import Registration
from patient_wallet.seeding import create_wallet
from patient_wallet.vault import Vault
from patient_wallet.words import seed_of
from tests.scenario.actors import cheap_passphrases

MSP = "RenheMSP"
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
AT = "2026-03-01T08:00:00Z"
RECORD, OTHER = sorted(identifier(os.urandom(16)) for _ in range(2))


@dataclass
class Hospital:
    """Takes wishes, certifies what it is told to, loses answers if it is told to."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    asked: list[erasure_wire.ErasureRequest] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    later_keys: list[bytes] = field(default_factory=list)
    change: Callable[[Certificate], Certificate] = lambda certificate: certificate

    def __post_init__(self) -> None:
        self.first_key = public_bytes(self.key)

    def request_erasure(self, body: erasure_wire.ErasureRequest) -> wire.Committed:
        self.asked.append(body)
        if self.fails:
            raise self.fails.pop()
        return wire.Committed(id=statements.parse(body.statement).envelope.id, tx_id="t", block=1)

    def erasures(self) -> list[erasure_wire.ErasureCase]:
        return [self._case(body) for body in self.asked]

    def _case(self, body: erasure_wire.ErasureRequest) -> erasure_wire.ErasureCase:
        case = statements.parse(body.statement).envelope.id
        erased = tuple(ErasedRecord(one, "ab", AT, AT, AT, (), ()) for one in body.records)
        digest = records_digest(body.records, decode_bytes(body.salt, "salt"))
        made = self.change(Certificate("yilian", MSP, "signing-1", case, case, digest, AT, erased))
        text = made.encode()
        signature = encode_bytes(self.key.sign(text.encode()))
        return erasure_wire.ErasureCase(
            id=case, kind="statement", patient=RECORD, created_at=AT, anchored=True, decided_at=AT, items=[],
            certificate=erasure_wire.ErasureCertificate(text=text, signature=signature),
        )  # fmt: skip


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


@pytest.fixture
def erasures(hospital: Hospital, tmp_path: Path) -> Erasures:
    with cheap_passphrases():
        vault = Vault.create(tmp_path / "wallet.json", "a passphrase for a test")
    keys = derive(seed_of(create_wallet(vault, "english", os.urandom)), MSP, 1)
    registration = Registration(MSP, "Renhe", "http://x", "yilian", identifier(bytes(16)), keys, grant_epoch=1)
    known: Any = SimpleNamespace(signing_keys=lambda _msp: [hospital.first_key])
    now: Any = SimpleNamespace(signing_keys=lambda _msp: [hospital.first_key, *hospital.later_keys])
    client: Any = hospital
    return Erasures(
        vault,
        lambda _m: registration,
        lambda _m: client,
        lambda _m: known,
        lambda _m: now,
        lambda _u: client,
        os.urandom,
        lambda: NOW,
    )


def test_a_certificate_about_what_was_asked_is_believed(erasures: Erasures) -> None:
    erasures.ask(MSP, [OTHER, RECORD, RECORD])
    (shown,) = erasures.cases(MSP)
    assert shown.problem is None
    assert shown.certificate is not None
    assert {one.record for one in shown.certificate.erased} == {RECORD, OTHER}


@pytest.mark.parametrize(
    "change",
    [
        lambda made: replace(made, custodian="TongjiMSP"),
        lambda made: replace(made, channel="other"),
        lambda made: replace(made, case=OTHER),
        lambda made: replace(made, statement=OTHER),
        lambda made: replace(made, records_digest=records_digest([OTHER], bytes(32))),
        lambda made: replace(made, erased=made.erased[:1]),
    ],
    ids=["custodian", "channel", "case", "statement", "digest", "a-record-is-missing"],
)
def test_a_certificate_about_something_else_is_not_believed(
    erasures: Erasures, hospital: Hospital, change: Callable[[Certificate], Certificate]
) -> None:
    erasures.ask(MSP, [RECORD, OTHER])
    hospital.change = change
    (shown,) = erasures.cases(MSP)
    assert shown.certificate is None
    assert isinstance(shown.problem, Tampered)


def test_a_certificate_by_a_key_that_the_members_do_not_know_is_not_believed(
    erasures: Erasures, hospital: Hospital
) -> None:
    erasures.ask(MSP, [RECORD])
    hospital.key = Ed25519PrivateKey.generate()
    (shown,) = erasures.cases(MSP)
    assert isinstance(shown.problem, Tampered)


def test_a_certificate_by_a_key_that_the_hospital_took_since_is_believed(
    erasures: Erasures, hospital: Hospital
) -> None:
    erasures.ask(MSP, [RECORD])
    hospital.key = Ed25519PrivateKey.generate()
    hospital.later_keys.append(public_bytes(hospital.key))
    (shown,) = erasures.cases(MSP)
    assert shown.problem is None
    assert shown.certificate is not None


def test_a_lost_answer_sends_the_same_statement_again_and_a_refused_wish_is_forgotten(
    erasures: Erasures, hospital: Hospital
) -> None:
    hospital.fails = [OutcomeUnknown("lost", tx_id="")]
    with pytest.raises(OutcomeUnknown):
        erasures.ask(MSP, [RECORD])
    done = erasures.ask(MSP, [RECORD])
    assert hospital.asked[0] == hospital.asked[1]
    assert erasures.ask(MSP, [RECORD]).id != done.id
    hospital.fails = [Conflict("no")]
    with pytest.raises(Conflict):
        erasures.ask(MSP, [OTHER])
    assert sum(name.startswith("erasure:") for name in erasures.vault.names()) == 2


def test_a_statement_that_no_ledger_takes_any_more_is_signed_anew(erasures: Erasures, hospital: Hospital) -> None:
    hospital.fails = [OutcomeUnknown("lost", tx_id="")]
    with pytest.raises(OutcomeUnknown):
        erasures.ask(MSP, [RECORD])
    later = replace(erasures, now=lambda: NOW + timedelta(days=2))
    later.ask(MSP, [RECORD])
    assert hospital.asked[0].statement != hospital.asked[1].statement
