"""The custodian's word that a patient's refusal binds at its node (docs/formats/witness.md, "Effective").

It is given once the own projection, which every release looks at within its last transaction, holds the statement. So
whatever process of this node releases after that moment has seen it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from domain import effective, statements, transactions
from domain.errors import NotFound
from domain.identifiers import check_identifier
from domain.instants import instant
from domain.signed_texts import SignedText
from domain.transactions import Dissent, RevokeAccess, RevokeAll
from node_service import organization_keys
from node_service.context import Node
from node_service.database.models import LedgerTransaction
from node_service.ledger_sync import projection

_REFUSALS: Final = (RevokeAccess, RevokeAll, Dissent)


def sign_effective(node: Node, patient: str, statement: str) -> SignedText:
    """Say that a revoke, revoke-all or dissent of a patient of this hospital binds here from now on.

    Raises:
        NotFound: the projection holds no such valid statement, or it is for another custodian.
    """
    with node.database.reading() as session:
        committed = _committed(session, check_identifier(patient, "patient"), check_identifier(statement, "statement"))
    if committed is None or _custodian(committed) != node.msp_id:
        raise NotFound("this hospital has seen no such statement", reason="not-effective")
    word = effective.Effective(
        channel=node.ledger.channel,
        custodian=node.msp_id,
        patient=patient,
        statement=statement,
        tx_id=committed.tx_id,
        block=committed.block,
        at=instant(node.clock.now()),
    )
    return effective.sign_effective(word, lambda message: organization_keys.sign(node.secrets, message))


def _committed(session: Session, patient: str, statement: str) -> LedgerTransaction | None:
    """The valid transaction that accepted the statement, once and for all."""
    found = projection.transaction_of(session, "statement-used", patient, statement)
    return found if found is not None and found.code == projection.VALID else None


def _custodian(committed: LedgerTransaction) -> str | None:
    """The custodian that a refusal names; None for any other transaction."""
    signed = transactions.parse(committed.name, committed.arguments)
    if not isinstance(signed, _REFUSALS):
        return None
    return statements.parse(signed.statement).envelope.custodian
