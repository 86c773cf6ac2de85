"""Thefts by one hospital that calls everything an emergency."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from domain import jcs, messages, transactions
from domain.errors import Conflict, Invalid, Unavailable
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.leaves import subject_tag
from domain.transactions import ReviewBreakGlass
from domain.vocabulary import PATIENT_WRAP_ALG
from node_service.client import exchange_wire, wire
from node_service.sharing.practitioners import Practitioner
from node_service.sharing.sealed_messages import to_wire
from offchain.envelope.hpke import RecipientPublicKey
from offchain.envelope.messages import seal_message
from patient_wallet.seeding import create_wallet
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from yilian.demo import story
from yilian.demo.report import check
from yilian.evil.malicious import ShiftedClock, emergency, fresh_digest, fresh_id
from yilian.evil.theft import CONTRACT, CUSTODIAN, Refusal, Stage, Theft, denied, refused

_LIMIT: Final = 3
"""Patients whom one practitioner may see in an hour, by a custodian's default."""


def one_emergency_for_many(stage: Stage) -> Refusal:
    """Breaks the glass for one patient and asks about another under it."""
    body = _broken(stage, stage.other_people()[0])
    return denied(stage, body.opening.access, lambda: _search(stage, body))


def emergency_in_secret(stage: Stage) -> Refusal:
    """Breaks the glass and hides who reads."""
    body = _broken(stage, stage.cast.patient)
    return denied(stage, body.opening.access, lambda: _search(stage, body))


def emergency_when_over(stage: Stage) -> Refusal:
    """Reads under an emergency, and goes on under one that ended an hour ago."""
    _search(stage, _broken(stage, stage.cast.patient, named=True))
    body = _broken(stage, stage.cast.patient, named=True, ago=timedelta(hours=5))
    return denied(stage, body.opening.access, lambda: _search(stage, body))


def many_emergencies(stage: Stage) -> Refusal:
    """One practitioner has an emergency with every patient of the custodian, through a node that works as it should."""
    doctor, patients, seen = stage.cast.shared, stage.other_people()[: _LIMIT + 1], list[str]()
    check(len(patients) > _LIMIT, "the custodian has too few patients to try")

    def read_all() -> None:
        for patient in patients:
            body = wire.EmergencyBody(card=_enrolled(stage, patient), reason="unconscious", categories=["allergy"])
            emergency = doctor.break_glass(body)
            story.until_fresh(partial(doctor.chart, emergency.id))
            seen.append(patient)

    refusal = refused(CUSTODIAN, read_all, Unavailable)
    check(bool(seen), "not even the first emergency was let in")
    return refusal


def review_for_both(stage: Stage) -> Refusal:
    """Reviews its own emergency, and again, as if it were the custodian."""
    opened = stage.cheat.break_glass(stage.home, subject_tag(stage.cast.patient, os.urandom(32)), stage.practitioner)
    own, other = (
        ReviewBreakGlass(opened.id, outcome, fresh_id(), fresh_digest()) for outcome in ("justified", "unjustified")
    )
    stage.cheat.commit(own)
    return refused(CONTRACT, lambda: stage.cheat.commit(other), Conflict)


def emergency_without_reason(stage: Stage) -> Refusal:
    """Breaks the glass and gives no reason, or one that is none."""
    _break_without(stage, "curious")
    return _break_without(stage, "")


def _break_without(stage: Stage, reason: str) -> Refusal:
    tag, until = subject_tag(stage.cast.patient, os.urandom(32)), instant(stage.now(hours=1))
    _, transaction = emergency(stage.home, tag, stage.practitioner, fresh_digest(), until)
    name, arguments = transactions.encode(transaction)
    changed = jcs.canonical({**jcs.parse_object(arguments), "reason": reason})
    refusal = refused(CONTRACT, lambda: stage.cheat.submit(name, changed), Invalid)
    check(refusal.detail == "reason", f"refused for another field: {refusal}")
    return refusal


def _broken(
    stage: Stage, patient: str, *, named: bool = False, ago: timedelta = timedelta()
) -> exchange_wire.ExchangeSearch:
    """Break the glass for the story's patient, some time ago by the cheat's clock; the question about somebody.

    Args:
        named: the reader's name goes along, sealed to the patient.
    """
    reader, salt = Practitioner(stage.practitioner, "陈华", "clinician").reader(os.urandom), os.urandom(32)
    tag = subject_tag(stage.cast.patient, salt)
    opened = stage.cheat.break_glass(
        stage.home, tag, stage.practitioner, reader_digest=reader.digest, clock=ShiftedClock(-ago)
    )
    key = RecipientPublicKey.parse(PATIENT_WRAP_ALG, stage.cast.wallet.registration(stage.home).card.wrap_key, "wrap")
    message = seal_message(key, messages.reader(opened.id, stage.cast.patient), reader.encode())
    opening = exchange_wire.Opening(
        access=opened.id,
        patient=patient,
        subject_salt=encode_bytes(salt),
        reader=to_wire(message) if named else None,
    )
    return exchange_wire.ExchangeSearch(opening=opening)


def _search(stage: Stage, body: exchange_wire.ExchangeSearch) -> None:
    story.until_fresh(lambda: stage.cheat.ask(stage.cast.custodian, "POST", "/exchange/search", body))


def _enrolled(stage: Stage, patient: str) -> wire.PatientCard:
    """The emergency card of somebody who has just enrolled a wallet."""
    vault = Vault.create(stage.network.folder / f"wallet-{patient}.json", os.urandom(16).hex())
    create_wallet(vault, "chinese_simplified", os.urandom)
    wallet = Wallet(vault, stage.network.connect, os.urandom, lambda: datetime.now(UTC))
    code = stage.cast.registrar.client.issue_enrolment_code(patient).code
    return wallet.enrol(stage.cast.custodian.public_url, code).card


THEFTS: Final = (
    Theft(
        "emergency-reasonless",
        "breaks the glass without a reason",
        "无理由破窗",
        emergency_without_reason,
        Refusal(CONTRACT, "invalid"),
    ),
    Theft(
        "emergency-other",
        "uses one emergency for two patients",
        "一次破窗读两人",
        one_emergency_for_many,
        Refusal(CUSTODIAN, "other-patient"),
    ),
    Theft(
        "emergency-secret",
        "breaks the glass and hides who reads",
        "破窗却隐瞒读者",
        emergency_in_secret,
        Refusal(CUSTODIAN, "no-reader"),
    ),
    Theft(
        "emergency-over",
        "reads under an emergency that has ended",
        "破窗到期后继续读取",
        emergency_when_over,
        Refusal(CUSTODIAN, "expired"),
    ),
    Theft(
        "emergency-many",
        "has one emergency after another",
        "接连破窗读取众人",
        many_emergencies,
        Refusal(CUSTODIAN, "held"),
    ),
    Theft(
        "self-review",
        "reviews its emergency for both sides",
        "替双方审核破窗",
        review_for_both,
        Refusal(CONTRACT, "reviewed"),
    ),
)
