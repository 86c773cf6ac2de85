"""Requests for access, and reads announced under a grant (ledger.md, rule 11)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from chaincode.contract.v1.call import UNCHANGED, Call, Changes, Put
from chaincode.contract.v1.grants import floor
from domain.decisions import Deny
from domain.entries import AccessEntry, GrantEntry, PatientEntry, RequestEntry
from domain.errors import Conflict, Denied, Invalid, NotFound
from domain.grants import AccessRequest, decide_opening
from domain.instants import later
from domain.transactions import MAX_ACCESS_SECONDS, OpenAccess, RequestAccess

MAX_REQUEST: Final = timedelta(days=90)
MAX_ACCESS: Final = timedelta(seconds=MAX_ACCESS_SECONDS)


def request(call: Call, transaction: RequestAccess) -> Changes:
    """Announce that the calling hospital asks; whom and what for goes sealed to the wallet."""
    entry = RequestEntry(call.caller, transaction.valid_until)
    present = call.read(RequestEntry, transaction.id)
    if present == entry:
        return UNCHANGED
    if present is not None:
        raise Conflict("the request id is in use", reason="request-id")
    if not call.now < transaction.valid_until <= later(call.now, MAX_REQUEST):
        raise Invalid(f"a request is valid for at most {MAX_REQUEST.days} days", place="valid_until")
    return (Put(entry, (transaction.id,)),)


def open_access(call: Call, transaction: OpenAccess) -> Changes:
    """Announce a read under a grant, before any key is released."""
    entry = _entry(call, transaction)
    present = call.read(AccessEntry, transaction.id)
    if present is not None:
        if replace(present, opened_at=entry.opened_at) == entry:
            return UNCHANGED
        raise Conflict("the access id is in use", reason="access-id")
    grant = call.read(GrantEntry, transaction.patient, transaction.grant)
    patient = call.read(PatientEntry, transaction.patient)
    if grant is None or patient is None:
        raise NotFound("there is no such grant", place="grant")
    asked = AccessRequest(call.caller, transaction.practitioner, transaction.purpose, call.now)
    lowest = floor(call, transaction.patient)
    decision = decide_opening(grant, registration=patient.status, floor=lowest, request=asked)
    if isinstance(decision, Deny):
        raise Denied("the grant does not allow this access", reason=decision.reason)
    _check_end(call, transaction, grant)
    return (Put(entry, (transaction.id,)),)


def _check_end(call: Call, transaction: OpenAccess, grant: GrantEntry) -> None:
    if not call.now < transaction.valid_until <= later(call.now, MAX_ACCESS):
        raise Denied(f"an access is open for at most {MAX_ACCESS_SECONDS} s", reason="valid-until")
    if grant.terms is None or transaction.valid_until > grant.terms.valid_until:
        raise Denied("an access ends with its grant", reason="valid-until")


def _entry(call: Call, transaction: OpenAccess) -> AccessEntry:
    return AccessEntry(
        patient=transaction.patient,
        grant=transaction.grant,
        requester=call.caller,
        practitioner=transaction.practitioner,
        purpose=transaction.purpose,
        opened_at=call.now,
        valid_until=transaction.valid_until,
        key_digest=transaction.key_digest,
        reader_digest=transaction.reader_digest,
    )
