"""Verifies an opening: is the committed access or emergency the caller's, live, and is what it stands on genuine?

A committed value is a claim, because peers do not run contracts again (architecture.md, rule 3). So everything that
allows something is read from signed bytes: the access from the arguments that its creator signed, the grant from the
patient's statement, verified against this hospital's own enrolment register. The projection's state is believed only
where it forbids. Everything is judged by this hospital's own clock.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar

from sqlalchemy.orm import Session

from domain import leaves, statements, transactions
from domain.decisions import Deny
from domain.entries import DissentEntry, FloorEntry, GrantEntry, PatientEntry
from domain.errors import Denied, Tampered
from domain.grants import AccessRequest, decide_opening
from domain.identifiers import check_identifier, decode_bytes
from domain.instants import instant
from domain.jcs import JsonObject
from domain.transactions import MAX_ACCESS_SECONDS, MAX_EMERGENCY_SECONDS, AuthorizeAccess, BreakGlass, OpenAccess
from domain.vocabulary import BREAK_GLASS_PURPOSE
from node_service.client import exchange_wire
from node_service.context import Node
from node_service.database.models import EmergencyAdmission, PatientKey, Person
from node_service.ledger_sync import projection
from node_service.ledger_sync.alarm import verify_no_alarm
from node_service.ledger_sync.registry import active_organization
from node_service.lifetimes import is_live
from node_service.sharing import held_consents

_VERIFIED_GRANTS: Final = 4096
Announced = TypeVar("Announced", OpenAccess, BreakGlass)


@dataclass(frozen=True, slots=True)
class GrantBasis:
    """A grant whose statement was verified, with its Consent and what the patient refused since."""

    grant: GrantEntry
    floor: int
    consent: JsonObject
    consent_id: str


@dataclass(frozen=True, slots=True)
class EmergencyBasis:
    """The categories that were announced with a broken glass."""

    categories: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class LiveOpening:
    """A verified, live access or emergency of another hospital for one patient of this one.

    Attributes:
        id: of the access or emergency.
        caller: MSP id of the hospital that opened it.
        patient: at this hospital.
        key_digest: of the only key to which data keys may be released.
        reader_digest: commitment to who reads.
    """

    id: str
    caller: str
    patient: str
    practitioner: str
    purpose: str
    valid_until: str
    key_digest: str
    reader_digest: str
    dissents: tuple[DissentEntry, ...]
    basis: GrantBasis | EmergencyBasis

    def asked(self, at: str) -> AccessRequest:
        """Who asks what for, as the decision sees it."""
        return AccessRequest(self.caller, self.practitioner, self.purpose, at)


def verify_opening(node: Node, session: Session, caller: str, opening: exchange_wire.Opening) -> LiveOpening:
    """Verify an opening on the own, fresh projection.

    Raises:
        Denied: the caller is no member; or not the caller's, not live, or not allowed (the reason says which; it stays
            inside).
        Tampered: the grant's statement does not fit the register's key: somebody forged committed state.
        Unavailable: an alarm stands.
    """
    _verify_caller(session, caller)
    check_identifier(opening.access, "opening.access")
    check_identifier(opening.patient, "opening.patient")
    if opening.subject_salt is None:
        return _verify_access(node, session, caller, opening.access, opening.patient)
    salt = decode_bytes(opening.subject_salt, "opening.subject_salt", length=leaves.SALT_BYTES)
    emergency = _emergency(node, session, caller, opening.access)
    if not hmac.compare_digest(leaves.subject_tag(opening.patient, salt), emergency.subject_tag):
        raise Denied("the emergency is about another patient", reason="other-patient")
    return _verify_emergency(node, session, caller, emergency, opening.patient)


def verify_again(node: Node, session: Session, caller: str, access: str) -> LiveOpening:
    """Verify an opening under which something was released before, by its id alone.

    Raises:
        Denied, Tampered, Unavailable: as :func:`verify_opening`.
    """
    _verify_caller(session, caller)
    admission = session.get(EmergencyAdmission, access)
    if admission is not None:
        emergency = _emergency(node, session, caller, access)
        return _verify_emergency(node, session, caller, emergency, admission.patient)
    patient = _announced(session, caller, "access", access, OpenAccess).patient
    return _verify_access(node, session, caller, access, patient)


def patient_of(session: Session, access: str) -> str | None:
    """Whom an access or an emergency is about, whoever opened it; None where there is none of this id."""
    admission = session.get(EmergencyAdmission, access)
    if admission is not None:
        return admission.patient
    committed = projection.transaction_of(session, "access", access)
    if committed is None or committed.code != projection.VALID or committed.name != OpenAccess.__name__:
        return None
    arguments = transactions.parse(committed.name, committed.arguments)
    return arguments.patient if isinstance(arguments, OpenAccess) else None


def verify_grant(node: Node, session: Session, patient: str, grant_id: str) -> GrantBasis:
    """The grant as the patient signed it, where the ledger still has it as active.

    Raises:
        Denied: no such grant, revoked, or its Consent is not here.
        Tampered: committed, but not signed by the registered key.
    """
    state = projection.entry(session, GrantEntry, patient, grant_id)
    committed = projection.transaction_of(session, "grant", patient, grant_id)
    if state is None or committed is None or state.status != "active":
        raise Denied("there is no such live grant", reason="not-active")
    if state.custodian != node.msp_id:  # somebody may have registered this id as its own first: that is no forgery
        raise Denied("the grant is at another hospital", reason="other-custodian")
    if committed.code != projection.VALID or committed.name != AuthorizeAccess.__name__:
        raise Tampered("an active grant was not written by AuthorizeAccess", reason="forged-grant", place=grant_id)
    signed = transactions.parse(committed.name, committed.arguments)
    assert isinstance(signed, AuthorizeAccess)  # noqa: S101 - its name was compared
    statement = _verified_statement(node, session, signed, patient, grant_id)
    terms = statement.body
    if not isinstance(terms, statements.GrantTerms) or state.terms != terms:
        raise Tampered("an active grant has other terms than were signed", reason="forged-grant", place=grant_id)
    copy = held_consents.find(node, session, patient, grant_id, "custodian")
    if copy is None:
        raise Denied("this hospital has not received the grant's Consent", reason="no-consent")
    copy.verify_digest(terms.consent_digest)
    floor = projection.entry(session, FloorEntry, patient)
    envelope = statement.envelope
    entry = GrantEntry("active", node.msp_id, terms, envelope.key_epoch, envelope.grant_epoch, None)
    return GrantBasis(entry, 1 if floor is None else floor.grant_epoch, copy.consent, grant_id)


def dissents_of(session: Session, patient: str) -> tuple[DissentEntry, ...]:
    """The patient's dissents on the ledger, whatever their status."""
    return tuple(entry for _, entry in projection.typed_states(session, DissentEntry, patient))


def registration_of(session: Session, patient: str) -> str:
    """``active`` only if register and ledger both say so."""
    person = session.get(Person, patient)
    registered = projection.entry(session, PatientEntry, patient)
    enrolled = person is not None and person.status == "enrolled"
    return "active" if enrolled and registered is not None and registered.status == "active" else "closed"


def _verify_caller(session: Session, caller: str) -> None:
    """Its token was looked at before the own projection was fresh: it may have left since."""
    verify_no_alarm(session)
    if active_organization(session, caller) is None:
        raise Denied("the caller is not an active member", reason="no-member")


def _verify_access(node: Node, session: Session, caller: str, access_id: str, patient: str) -> LiveOpening:
    access = _announced(session, caller, "access", access_id, OpenAccess)
    if access.patient != patient:
        raise Denied("the access is about another patient", reason="other-patient")
    if session.get(Person, patient) is None:
        # A genuine grant at another custodian is no forgery: it must not stop this hospital's releases by an alarm.
        raise Denied("there is no such patient here", reason="other-custodian")
    now = node.clock.now()
    _check_live(access.valid_until, now, timedelta(seconds=MAX_ACCESS_SECONDS))
    basis = verify_grant(node, session, access.patient, access.grant)
    live = _live(session, caller, access, access.patient, access.purpose, basis)
    decision = decide_opening(
        basis.grant,
        registration=registration_of(session, access.patient),
        floor=basis.floor,
        request=live.asked(instant(now)),
    )
    if isinstance(decision, Deny):
        raise Denied("the grant does not allow this access", reason=decision.reason)
    return live


def _emergency(node: Node, session: Session, caller: str, emergency_id: str) -> BreakGlass:
    if node.settings.profile != "demo":
        raise Denied("break-glass needs second factors, which this hospital has not", reason="second-factor-required")
    emergency = _announced(session, caller, "emergency", emergency_id, BreakGlass)
    if emergency.custodian != node.msp_id:
        raise Denied("the emergency is at another hospital", reason="other-custodian")
    return emergency


def _verify_emergency(node: Node, session: Session, caller: str, emergency: BreakGlass, patient: str) -> LiveOpening:
    _check_live(emergency.valid_until, node.clock.now(), timedelta(seconds=MAX_EMERGENCY_SECONDS))
    if registration_of(session, patient) != "active":
        raise Denied("there is no such patient", reason="closed")
    basis = EmergencyBasis(emergency.categories, emergency.reason)
    live = _live(session, caller, emergency, patient, BREAK_GLASS_PURPOSE, basis)
    if _closed_by_patient(live.dissents):
        raise Denied("the patient refuses break-glass", reason="dissent")
    return live


def _closed_by_patient(dissents: tuple[DissentEntry, ...]) -> bool:
    """A live dissent that names BTG closes the door as a whole: what it does not cover is no reason to open it."""
    return any(
        dissent.status == "active" and dissent.terms is not None and BREAK_GLASS_PURPOSE in dissent.terms.purposes
        for dissent in dissents
    )


def _live(
    session: Session,
    caller: str,
    announced: OpenAccess | BreakGlass,
    patient: str,
    purpose: str,
    basis: GrantBasis | EmergencyBasis,
) -> LiveOpening:
    return LiveOpening(
        id=announced.id,
        caller=caller,
        patient=patient,
        practitioner=announced.practitioner,
        purpose=purpose,
        valid_until=announced.valid_until,
        key_digest=announced.key_digest,
        reader_digest=announced.reader_digest,
        dissents=dissents_of(session, patient),
        basis=basis,
    )


def _announced(session: Session, caller: str, object_type: str, entry_id: str, kind: type[Announced]) -> Announced:
    """The arguments that the caller itself signed; the state under the id only leads to them."""
    committed = projection.transaction_of(session, object_type, entry_id)
    if committed is None or committed.code != projection.VALID or committed.name != kind.__name__:
        raise Denied("there is no such committed entry", reason="no-entry")
    if committed.creator != caller:
        raise Denied("the entry is another hospital's", reason="other-organization")
    arguments = transactions.parse(committed.name, committed.arguments)
    if not isinstance(arguments, kind) or arguments.id != entry_id:
        raise Denied("the entry was written by another transaction", reason="no-entry")
    return arguments


def _check_live(valid_until: str, now: datetime, longest: timedelta) -> None:
    if not is_live(valid_until, now, longest):
        raise Denied("the entry has expired", reason="expired")


def _verified_statement(
    node: Node, session: Session, signed: AuthorizeAccess, patient: str, grant_id: str
) -> statements.Statement:
    """The statement, signed by the key of its epoch in the register; the ledger's copy of the key is not asked."""
    envelope = statements.parse(signed.statement).envelope
    addressed = (envelope.id, envelope.patient, envelope.custodian, envelope.channel)
    if addressed != (grant_id, patient, node.msp_id, node.ledger.channel):
        raise Tampered("an active grant was signed for another place", reason="forged-grant", place=grant_id)
    key = session.get(PatientKey, (patient, envelope.key_epoch))
    if key is None:
        raise Tampered("an active grant's signer is not in the register", reason="forged-grant", place=grant_id)
    return _verify(signed.statement, signed.signature, key.signing)


@lru_cache(maxsize=_VERIFIED_GRANTS)
def _verify(text: str, signature: str, signing_key: str) -> statements.Statement:
    """A verified signature stays verified: remembered by text, signature and key; what may have changed is not here."""
    return statements.verify(text, signature, signing_key)
