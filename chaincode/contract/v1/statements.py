"""Anchored facts: keyed digests, and patients' requests for erasure (ledger.md, "State", ``statement``)."""

from __future__ import annotations

from dataclasses import replace

from chaincode.contract.v1.call import UNCHANGED, Call, Changes, Put
from chaincode.contract.v1.signed import accept, text_digest
from domain.entries import StatementEntry
from domain.errors import Conflict, Invalid
from domain.statements import Erasure
from domain.transactions import AnchorStatement, SignedStatement


def anchor(call: Call, transaction: AnchorStatement) -> Changes:
    """Anchor the digest of a fact; a patient's request brings its signed statement, and any member may relay it."""
    text = transaction.statement
    entry = StatementEntry(transaction.digest, call.caller, call.now, None if text is None else text_digest(text))
    present = call.read(StatementEntry, transaction.kind, transaction.id)
    if present is not None:
        by = entry.by if text is not None else present.by
        if replace(present, at=entry.at, by=by) == entry:
            return UNCHANGED
        raise Conflict("the statement id is in use", reason="statement-id")
    put = Put(entry, (transaction.kind, transaction.id))
    return (put, *_erasure_request(call, transaction))


def _erasure_request(call: Call, transaction: AnchorStatement) -> Changes:
    if transaction.statement is None or transaction.signature is None:
        return UNCHANGED
    accepted = accept(call, SignedStatement(transaction.statement, transaction.signature), Erasure)
    if accepted is None:
        raise Conflict("the statement is anchored under another id", reason="statement-id")
    if (accepted.envelope.id, accepted.body.records_digest) != (transaction.id, transaction.digest):
        raise Invalid("id and digest are those of the statement", place="statement")
    return (accepted.used,)
