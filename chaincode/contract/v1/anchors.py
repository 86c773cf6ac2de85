"""Heads of a hospital's record log and access log (ledger.md, rule 9)."""

from __future__ import annotations

from chaincode.contract.v1.call import UNCHANGED, Call, Changes, Put
from domain import merkle
from domain.entries import Head, LogEntry, incarnation_attribute
from domain.errors import Conflict, Invalid, Tampered
from domain.identifiers import decode_bytes, encode_bytes
from domain.transactions import Anchor, LogHead


def anchor(call: Call, transaction: Anchor) -> Changes:
    """Open the next incarnation, or let the highest one grow."""
    number = transaction.incarnation
    present = call.read(LogEntry, call.caller, incarnation_attribute(number))
    entry = _entry(transaction)
    if present is None:
        _check_opening(call, transaction)
    elif _is_same(present, entry, transaction):
        return UNCHANGED
    elif transaction.opening is not None:
        raise Conflict("this incarnation is open already", reason="incarnation-open")
    elif call.read(LogEntry, call.caller, incarnation_attribute(number + 1)) is not None:
        raise Conflict("a later incarnation is open: only the highest one grows", reason="behind")
    _check_growth(present, transaction)
    opening = transaction.opening if present is None else present.opening
    grown = LogEntry(opening, entry.records, entry.access, entry.unwraps)
    return (Put(grown, (call.caller, incarnation_attribute(number))),)


def _entry(transaction: Anchor) -> LogEntry:
    records = Head(transaction.records.size, transaction.records.root)
    access = Head(transaction.access.size, transaction.access.root)
    return LogEntry(transaction.opening, records, access, transaction.unwraps)


def _is_same(present: LogEntry, entry: LogEntry, transaction: Anchor) -> bool:
    heads = (present.records, present.access, present.unwraps) == (entry.records, entry.access, entry.unwraps)
    return heads and transaction.opening in (None, present.opening)


def _check_opening(call: Call, transaction: Anchor) -> None:
    number, opening = transaction.incarnation, transaction.opening
    if (opening is None) != (number == 1):
        raise Invalid("every incarnation but the first, and no other, is opened with a reason", place="opening")
    if opening is None:
        return
    former = call.read(LogEntry, call.caller, incarnation_attribute(number - 1))
    if former is None:
        raise Conflict("the incarnation before this one was never opened", reason="ahead")
    if opening.records_size > former.records.size or opening.access_size > former.access.size:
        raise Conflict("the opening claims more leaves than were anchored", reason="opening-size")


def _check_growth(present: LogEntry | None, transaction: Anchor) -> None:
    empty = Head(0, encode_bytes(merkle.empty_root()))
    records, access = (present.records, present.access) if present else (empty, empty)
    unwraps = present.unwraps if present else 0
    behind = transaction.records.size < records.size or transaction.access.size < access.size
    if behind or transaction.unwraps < unwraps:
        raise Conflict("a later head is anchored already", reason="behind")
    _verify_consistency(records, transaction.records, "records")
    _verify_consistency(access, transaction.access, "access")


def _verify_consistency(old: Head, new: LogHead, place: str) -> None:
    proof = [decode_bytes(item, place, length=merkle.HASH_BYTES) for item in new.proof]
    old_root, new_root = decode_bytes(old.root, place), decode_bytes(new.root, place)
    try:
        merkle.verify_consistency(old.size, old_root, new.size, new_root, proof)
    except Tampered as error:
        raise Conflict(error.detail, reason="inconsistent", place=place) from error
