"""Signed statements that any member relays for any patient, without a session.

Revoke, revoke all, dissent; and that erasure was asked for, so that a custodian cannot deny it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from domain import statements
from domain.entries import PatientEntry
from domain.errors import Denied, Invalid, NotFound, Tampered
from domain.transactions import AnchorStatement, Dissent, RevokeAccess, RevokeAll
from node_service.access_log.rows import Entry, record
from node_service.client.wire import Committed, SignedStatementBody
from node_service.context import Node
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import submit_and_wait
from node_service.witnessing.freshness import catch_up

_ACTIONS: Final = {statements.DissentTerms: "dissent", statements.Erasure: "erase"}


async def relay(node: Node, body: SignedStatementBody) -> Committed:
    """Put a patient's statement on the ledger and wait for its commit.

    Raises:
        Invalid: no such statement, or of a type that is not relayed.
        NotFound, Denied: the ledger knows no such patient, or the signature is not by the patient's present key.
        Conflict: the contract's answer.
        Unavailable, OutcomeUnknown: the same statement may be sent again, also through another member.
    """
    await catch_up(node)  # a refusal goes to the ledger also where no other witness is heard
    statement = await node.in_database(_verified, node, body)
    done = await submit_and_wait(node, _transaction(statement, body))
    await node.in_database(_log, node, statement)
    return Committed(id=statement.envelope.id, tx_id=done.tx_id, block=done.block)


def _verified(node: Node, body: SignedStatementBody) -> statements.Statement:
    """Checked before anything is queued, so that strangers fill neither the ledger nor the table of pending writes."""
    statement = statements.parse(body.statement)
    _transaction(statement, body)
    with node.database.reading() as session:
        _verify_signature(session, statement, body)
    return statement


def _verify_signature(session: Session, statement: statements.Statement, body: SignedStatementBody) -> None:
    registered = projection.entry(session, PatientEntry, statement.envelope.patient)
    if registered is None:
        raise NotFound("there is no such registration", place="statement.patient")
    try:
        statements.verify(body.statement, body.signature, registered.keys.signing)
    except Tampered as error:
        raise Denied(error.detail, reason=error.reason, place="signature") from error


def _transaction(
    statement: statements.Statement, body: SignedStatementBody
) -> RevokeAccess | RevokeAll | Dissent | AnchorStatement:
    match statement.body:
        case statements.Revoke():
            return RevokeAccess(body.statement, body.signature)
        case statements.RevokeEverything():
            return RevokeAll(body.statement, body.signature)
        case statements.DissentTerms():
            return Dissent(body.statement, body.signature)
        case statements.Erasure(records_digest):
            return AnchorStatement(
                statement.envelope.id, "erasure-request", records_digest, body.statement, body.signature
            )
    raise Invalid("a statement of this type is not relayed without a session", place="statement.type")


def _log(node: Node, statement: statements.Statement) -> None:
    """The custodian's own log shows the patient's act; elsewhere the ledger alone does."""
    if statement.envelope.custodian != node.msp_id:
        return
    action = _ACTIONS.get(type(statement.body), "revoke")
    outcome = "anchored" if action == "erase" else "ok"
    with node.database.transaction() as session:
        record(node, session, Entry(action, node.msp_id, "patient", statement.envelope.patient, outcome=outcome))
