"""Records by id, their status, and attestations about copies (ledger.md, rule 10): all under the caller's own MSP."""

from __future__ import annotations

from chaincode.contract.v1.call import UNCHANGED, Call, Changes, Put
from domain import lifecycles
from domain.entries import AttestationEntry, OrganizationEntry, RecordEntry, StatusEntry
from domain.errors import Conflict, Denied, Invalid
from domain.transactions import AttestErasure, CreateRecord, EraseRecord, LockRecord, RetractRecord


def create(call: Call, transaction: CreateRecord) -> Changes:
    """Put a leaf hash on the ledger by record id."""
    entry = RecordEntry(transaction.leaf)
    present = call.read(RecordEntry, call.caller, transaction.record)
    if present == entry:
        return UNCHANGED
    if present is not None:
        raise Conflict("the record id has another leaf", reason="record-id")
    return (Put(entry, (call.caller, transaction.record)),)


def retract(call: Call, transaction: RetractRecord) -> Changes:
    """Declare an own record wrong; a lock on it goes on: evidence does not become erasable by being called wrong."""
    present = call.read(StatusEntry, call.caller, transaction.record)
    until = None if present is None else present.until
    return _change(call, transaction.record, "retract", reason=transaction.reason, until=until)


def lock(call: Call, transaction: LockRecord) -> Changes:
    """Keep an own record from release and erasure; a lock is only ever prolonged."""
    present = call.read(StatusEntry, call.caller, transaction.record)
    entry = StatusEntry("locked", transaction.reason, transaction.until)
    if present == entry:
        return UNCHANGED
    if transaction.until <= call.now:
        raise Invalid("a lock ends in the future", place="until")
    if present is not None and present.until is not None and transaction.until <= present.until:
        raise Conflict("the record is locked at least as long", reason="lock-shorter")
    return _change(call, transaction.record, "lock", reason=transaction.reason, until=transaction.until)


def erase(call: Call, transaction: EraseRecord) -> Changes:
    """Declare the keys of own records destroyed, all or none."""
    return tuple(
        change
        for record in transaction.records
        for change in _change(call, record, "erase", reason=None, until=None)
    )  # fmt: skip


def attest_erasure(call: Call, transaction: AttestErasure) -> Changes:
    """Say what became of copies of another hospital's records."""
    if transaction.custodian == call.caller:
        raise Denied("the custodian erases, it does not attest", reason="custodian")
    if call.read(OrganizationEntry, transaction.custodian) is None:
        raise Invalid("the custodian is not registered", place="custodian")
    return tuple(
        change for record in transaction.records for change in _attest(call, transaction, record)
    )  # fmt: skip


def _change(call: Call, record: str, event: str, *, reason: str | None, until: str | None) -> Changes:
    present = call.read(StatusEntry, call.caller, record)
    state = "active" if present is None else present.status
    entry = StatusEntry(_result_of(event), reason, until)
    if present == entry:
        return UNCHANGED
    status = lifecycles.after(lifecycles.RECORD, state, event)
    if event == "erase" and present is not None and present.until is not None and call.now < present.until:
        raise Conflict("the record is locked until a later time", reason="locked")
    return (Put(StatusEntry(status, reason, until), (call.caller, record)),)


def _result_of(event: str) -> str:
    return lifecycles.RECORD[("active", event)]


def _attest(call: Call, transaction: AttestErasure, record: str) -> Changes:
    attributes = (transaction.custodian, record, call.caller)
    entry = AttestationEntry(transaction.retained_until)
    present = call.read(AttestationEntry, *attributes)
    if present == entry:
        return UNCHANGED
    if present is not None and (present.retained_until is None or entry.retained_until is not None):
        raise Conflict("only the destruction of a retained copy may follow", reason="attested")
    return (Put(entry, attributes),)
