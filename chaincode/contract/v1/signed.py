"""Acceptance of a patient's signed statement (ledger.md, rule 3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final, Generic, TypeVar

from chaincode.contract.v1.call import Call, Put
from domain import statements
from domain.entries import PatientEntry, UsedEntry
from domain.errors import Conflict, Denied, Invalid, NotFound, Tampered
from domain.identifiers import encode_bytes
from domain.instants import later
from domain.statements import Body, Envelope
from domain.transactions import SignedStatement

MAX_ANCHOR_BY: Final = timedelta(days=30)

SomeBody = TypeVar("SomeBody", bound=Body)


@dataclass(frozen=True, slots=True)
class Fresh(Generic[SomeBody]):
    """A statement that was not accepted before, for this channel and in time; ``used`` marks it as accepted."""

    envelope: Envelope
    body: SomeBody
    used: Put


@dataclass(frozen=True, slots=True)
class Accepted(Generic[SomeBody]):
    """A fresh statement whose signature by the patient's current key was verified."""

    envelope: Envelope
    body: SomeBody
    used: Put
    patient: PatientEntry


def text_digest(text: str) -> str:
    """SHA-256 of a signed text."""
    return encode_bytes(sha256(text.encode()).digest())


def read_fresh(call: Call, text: str, kind: type[SomeBody]) -> Fresh[SomeBody] | None:
    """Read a statement and check what does not depend on the patient; None if this very text was accepted before.

    Raises:
        Invalid: not such a statement.
        Denied: for another channel, or outside its time.
        Conflict: another text was accepted under its id.
    """
    statement = statements.parse(text)
    body, envelope = statement.body, statement.envelope
    if not isinstance(body, kind):
        raise Invalid("a statement of another type is expected", place="statement.type")
    if envelope.channel != call.stub.channel:
        raise Denied("the statement is for another channel", reason="channel")
    attributes = (envelope.patient, envelope.id)
    digest = text_digest(text)
    accepted = call.read(UsedEntry, *attributes)
    if accepted is not None:
        if accepted.digest != digest:
            raise Conflict("another statement was accepted under this id", reason="statement-id")
        return None
    if not call.now <= envelope.anchor_by <= later(call.now, MAX_ANCHOR_BY):
        raise Denied("the statement may not be anchored at this time", reason="anchor-by")
    return Fresh(envelope, body, Put(UsedEntry(digest), attributes))


def accept(
    call: Call, signed: SignedStatement, kind: type[SomeBody], *, also_closed: bool = False
) -> Accepted[SomeBody] | None:
    """Verify a statement against the patient's registration; None if this very text was accepted before.

    Raises:
        Invalid, Conflict: as :func:`read_fresh`.
        Denied: also for a closed registration, another custodian or key epoch, or a signature that does not fit.
        NotFound: no such patient.
    """
    fresh = read_fresh(call, signed.statement, kind)
    if fresh is None:
        return None
    envelope = fresh.envelope
    patient = call.read(PatientEntry, envelope.patient)
    if patient is None:
        raise NotFound("there is no such registration", place="statement.patient")
    if patient.status != "active" and not also_closed:
        raise Denied("the registration is closed", reason="closed")
    if envelope.custodian != patient.custodian:
        raise Denied("the statement names another custodian", reason="custodian")
    if envelope.key_epoch != patient.key_epoch:
        raise Denied("the statement was signed in another key epoch", reason="key-epoch")
    verify_signature(signed.statement, signed.signature, patient.keys.signing)
    return Accepted(envelope, fresh.body, fresh.used, patient)


def verify_signature(text: str, signature: str, signing_key: str) -> None:
    """Verify a signature over a statement's text.

    Raises:
        Denied: it does not fit.
    """
    try:
        statements.verify(text, signature, signing_key)
    except Tampered as error:
        raise Denied(error.detail, reason=error.reason, place="signature") from error
