"""Grants, dissents and their end, each on the patient's own signature (ledger.md, rules 4, 5, 6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from chaincode.contract.v1.call import UNCHANGED, Call, Changes, Put
from chaincode.contract.v1.signed import Accepted, accept
from domain import lifecycles
from domain.entries import AnswerEntry, DissentEntry, FloorEntry, GrantEntry, RequestEntry
from domain.errors import Denied
from domain.instants import later
from domain.statements import MAX_FLOOR_STEP, DissentTerms, GrantTerms, Revoke, RevokeEverything
from domain.transactions import AuthorizeAccess, Dissent, RevokeAccess, RevokeAll

MAX_GRANT: Final = timedelta(days=5 * 365 + 2)


def authorize(call: Call, transaction: AuthorizeAccess) -> Changes:
    """Put a grant on the ledger, and answer its request."""
    accepted = accept(call, transaction, GrantTerms)
    if accepted is None:
        return UNCHANGED
    envelope, terms = accepted.envelope, accepted.body
    _check_terms(call, terms, custodian=envelope.custodian)
    _check_epoch(envelope.grant_epoch, floor(call, envelope.patient))
    present = call.read(GrantEntry, envelope.patient, envelope.id)
    if present is not None:
        raise Denied("the grant was revoked before it came", reason="revoked")
    status = lifecycles.after(lifecycles.GRANT, lifecycles.ABSENT, "authorize")
    entry = GrantEntry(status, envelope.custodian, terms, envelope.key_epoch, envelope.grant_epoch, None)
    return Put(entry, (envelope.patient, envelope.id)), accepted.used, *_answer(call, terms, envelope.id)


def dissent(call: Call, transaction: Dissent) -> Changes:
    """Put a dissent on the ledger."""
    accepted = accept(call, transaction, DissentTerms, also_closed=True)
    if accepted is None:
        return UNCHANGED
    envelope = accepted.envelope
    if call.read(DissentEntry, envelope.patient, envelope.id) is not None:
        raise Denied("the dissent was withdrawn before it came", reason="revoked")
    status = lifecycles.after(lifecycles.DISSENT, lifecycles.ABSENT, "dissent")
    entry = DissentEntry(status, envelope.custodian, accepted.body, envelope.key_epoch, None)
    return Put(entry, (envelope.patient, envelope.id)), accepted.used


def revoke(call: Call, transaction: RevokeAccess) -> Changes:
    """End a grant or a dissent; one that is not there yet is refused for ever (tombstone)."""
    accepted = accept(call, transaction, Revoke, also_closed=True)
    if accepted is None:
        return UNCHANGED
    ended = _revoked_grant(call, accepted) if accepted.body.kind == "grant" else _withdrawn_dissent(call, accepted)
    if ended is None:
        return UNCHANGED
    return Put(ended, (accepted.envelope.patient, accepted.body.target)), accepted.used


def revoke_all(call: Call, transaction: RevokeAll) -> Changes:
    """Raise the floor of grant epochs, always above every grant that was accepted; one that is as high stays."""
    accepted = accept(call, transaction, RevokeEverything, also_closed=True)
    if accepted is None:
        return UNCHANGED
    patient = accepted.envelope.patient
    old = floor(call, patient)
    new = min(accepted.body.floor, old + MAX_FLOOR_STEP)
    if new <= old:
        return UNCHANGED
    return Put(FloorEntry(new), (patient,)), accepted.used


def floor(call: Call, patient: str) -> int:
    """A patient's lowest valid grant epoch."""
    entry = call.read(FloorEntry, patient)
    return entry.grant_epoch if entry else 1


def _check_epoch(grant_epoch: int, lowest: int) -> None:
    """A grant above what one revocation of everything reaches would outlive it."""
    if grant_epoch < lowest:
        raise Denied("everything granted in this epoch was revoked", reason="below-floor")
    if grant_epoch >= lowest + MAX_FLOOR_STEP:
        raise Denied(f"a grant epoch lies less than {MAX_FLOOR_STEP} above the floor", reason="above-floor")


def _check_terms(call: Call, terms: GrantTerms, *, custodian: str) -> None:
    if not call.now < terms.valid_until <= later(call.now, MAX_GRANT):
        raise Denied("the grant ends in the past or in more than five years", reason="valid-until")
    if terms.grantee == custodian or not call.is_active_organization(terms.grantee):
        raise Denied("the grantee is an active member other than the custodian", reason="grantee")


def _answer(call: Call, terms: GrantTerms, grant: str) -> Changes:
    if terms.request is None:
        return UNCHANGED
    request = call.read(RequestEntry, terms.request)
    if request is None or request.requester != terms.grantee or call.read(AnswerEntry, terms.request) is not None:
        return UNCHANGED
    return (Put(AnswerEntry(grant), (terms.request,)),)


def _revoked_grant(call: Call, accepted: Accepted[Revoke]) -> GrantEntry | None:
    envelope = accepted.envelope
    present = call.read(GrantEntry, envelope.patient, accepted.body.target)
    state = present.status if present else lifecycles.ABSENT
    status = lifecycles.after(lifecycles.GRANT, state, "revoke")
    if status == state:
        return None
    if present is not None:
        return replace(present, status=status, revoked_by=envelope.id)
    return GrantEntry(status, envelope.custodian, None, envelope.key_epoch, envelope.grant_epoch, envelope.id)


def _withdrawn_dissent(call: Call, accepted: Accepted[Revoke]) -> DissentEntry | None:
    envelope = accepted.envelope
    present = call.read(DissentEntry, envelope.patient, accepted.body.target)
    state = present.status if present else lifecycles.ABSENT
    status = lifecycles.after(lifecycles.DISSENT, state, "withdraw")
    if status == state:
        return None
    if present is not None:
        return replace(present, status=status, withdrawn_by=envelope.id)
    return DissentEntry(status, envelope.custodian, None, envelope.key_epoch, envelope.id)
