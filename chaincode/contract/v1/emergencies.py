"""Reads without a grant, announced and reviewed by both sides (ledger.md, rule 12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from chaincode.contract.v1.call import UNCHANGED, Call, Changes, Put
from domain.entries import EmergencyEntry, ReviewEntry
from domain.errors import Conflict, Denied, NotFound
from domain.instants import later
from domain.transactions import MAX_EMERGENCY_SECONDS, BreakGlass, ReviewBreakGlass

MAX_EMERGENCY: Final = timedelta(seconds=MAX_EMERGENCY_SECONDS)


def break_glass(call: Call, transaction: BreakGlass) -> Changes:
    """Announce an emergency read."""
    entry = _entry(call, transaction)
    present = call.read(EmergencyEntry, transaction.id)
    if present is not None:
        if replace(present, opened_at=entry.opened_at) == entry:
            return UNCHANGED
        raise Conflict("the emergency id is in use", reason="emergency-id")
    if not call.now < transaction.valid_until <= later(call.now, MAX_EMERGENCY):
        raise Denied(f"an emergency lasts at most {MAX_EMERGENCY_SECONDS} s", reason="valid-until")
    if transaction.custodian == call.caller or not call.is_active_organization(transaction.custodian):
        raise Denied("the custodian is an active member other than the caller", reason="custodian")
    return (Put(entry, (transaction.id,)),)


def review(call: Call, transaction: ReviewBreakGlass) -> Changes:
    """The verdict of one of the two hospitals, once."""
    emergency = call.read(EmergencyEntry, transaction.id)
    if emergency is None:
        raise NotFound("there is no such emergency", place="id")
    if call.caller not in (emergency.requester, emergency.custodian):
        raise Denied("only the requester and the custodian review", reason="reviewer")
    entry = ReviewEntry(transaction.outcome, transaction.reviewer, transaction.note_digest, call.now)
    present = call.read(ReviewEntry, transaction.id, call.caller)
    if present is not None:
        if replace(present, at=entry.at) == entry:
            return UNCHANGED
        raise Conflict("the hospital has reviewed already", reason="reviewed")
    return (Put(entry, (transaction.id, call.caller)),)


def _entry(call: Call, transaction: BreakGlass) -> EmergencyEntry:
    return EmergencyEntry(
        custodian=transaction.custodian,
        requester=call.caller,
        subject_tag=transaction.subject_tag,
        practitioner=transaction.practitioner,
        reason=transaction.reason,
        categories=transaction.categories,
        opened_at=call.now,
        valid_until=transaction.valid_until,
        key_digest=transaction.key_digest,
        reader_digest=transaction.reader_digest,
    )
