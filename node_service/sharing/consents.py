"""Grants and dissents as the custodian takes them from the wallet: full Consent kept first, then put on the ledger."""

from __future__ import annotations

from domain import statements
from domain.entries import DissentEntry, GrantEntry
from domain.errors import Conflict, Denied, Invalid, NotFound
from domain.transactions import AuthorizeAccess, Dissent
from node_service.access_log.rows import Entry, record
from node_service.client.wire import Committed, ConsentedStatement
from node_service.context import Node
from node_service.database.models import HeldConsent
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import submit_and_wait
from node_service.sharing import held_consents
from node_service.sharing.consent_content import check_consent, time_zone
from node_service.sharing.register import verify_current

Terms = statements.GrantTerms | statements.DissentTerms


async def receive_grant(node: Node, patient: str, body: ConsentedStatement) -> Committed:
    """Keep the Consent of a grant and put the grant on the ledger.

    Args:
        patient: whose session it is.

    Raises:
        Invalid, Denied: statement, signature or Consent are not right; nothing was kept.
        Denied, Conflict: the contract's answer.
        Unavailable, OutcomeUnknown: the same statement may be sent again.
    """
    return await _receive(node, patient, body, statements.GrantTerms)


async def receive_dissent(node: Node, patient: str, body: ConsentedStatement) -> Committed:
    """Keep the Consent of a dissent and put the dissent on the ledger; raises as :func:`receive_grant`."""
    return await _receive(node, patient, body, statements.DissentTerms)


async def _receive(node: Node, patient: str, body: ConsentedStatement, kind: type[Terms]) -> Committed:
    statement = await node.in_database(_keep, node, patient, body, kind)
    is_grant = kind is statements.GrantTerms
    arguments = (body.statement, body.signature)
    try:
        done = await submit_and_wait(node, AuthorizeAccess(*arguments) if is_grant else Dissent(*arguments))
    except (Invalid, Denied, NotFound, Conflict):
        await node.in_database(_forget, node, statement)
        raise
    await node.in_database(_log, node, statement)
    return Committed(id=statement.envelope.id, tx_id=done.tx_id, block=done.block)


def _keep(node: Node, patient: str, body: ConsentedStatement, kind: type[Terms]) -> statements.Statement:
    copy = held_consents.ConsentCopy(body.consent, body.salt, body.statement, body.signature)
    with node.database.transaction() as session:
        statement = verify_current(node, session, body.statement, body.signature)
        terms, envelope = statement.body, statement.envelope
        if not isinstance(terms, kind):
            raise Invalid("a statement of another type is expected", place="statement.type")
        if envelope.patient != patient:
            raise Denied("the statement is another patient's", reason="other-patient")
        copy.verify_digest(terms.consent_digest)
        check_consent(copy.consent, patient, time_zone(node.settings))
        held_consents.hold(
            node,
            session,
            copy,
            consent_id=envelope.id,
            kind=statement.type,
            role="custodian",
            patient=patient,
            custodian=node.msp_id,
        )
    return statement


def _forget(node: Node, statement: statements.Statement) -> None:
    """The contract refused: the Consent is kept only if the ledger has the grant or dissent all the same."""
    envelope = statement.envelope
    kind = GrantEntry if isinstance(statement.body, statements.GrantTerms) else DissentEntry
    with node.database.transaction() as session:
        row = session.get(HeldConsent, (envelope.patient, envelope.id, "custodian"))
        if row is not None and projection.entry(session, kind, envelope.patient, envelope.id) is None:
            session.delete(row)


def _log(node: Node, statement: statements.Statement) -> None:
    with node.database.transaction() as session:
        record(node, session, Entry(statement.type, node.msp_id, "patient", statement.envelope.patient))
