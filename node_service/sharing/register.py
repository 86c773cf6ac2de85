"""Patients' statements, verified against this hospital's own enrolment register: the ledger's copy is only a claim."""

from __future__ import annotations

from sqlalchemy.orm import Session

from domain import statements
from domain.errors import Denied, Tampered
from node_service.context import Node
from node_service.database.models import PatientKey, Person


def verify_statement(node: Node, session: Session, text: str, signature: str) -> statements.Statement:
    """Read a statement of a patient of this hospital, signed by the key of its epoch that was verified here.

    Raises:
        Invalid: no statement.
        Denied: not addressed to this hospital and channel, or the register has no such patient or key epoch.
        Tampered: the signature is not by the registered key.
    """
    envelope = statements.parse(text).envelope
    if (envelope.custodian, envelope.channel) != (node.msp_id, node.ledger.channel):
        raise Denied("the statement is for another hospital or channel", reason="addressee")
    person = session.get(Person, envelope.patient)
    key = session.get(PatientKey, (envelope.patient, envelope.key_epoch))
    if person is None or key is None or person.status not in ("enrolled", "closed"):
        raise Denied("this hospital has not enrolled the signer", reason="not-enrolled")
    return statements.verify(text, signature, key.signing)


def verify_current(node: Node, session: Session, text: str, signature: str) -> statements.Statement:
    """A statement by the patient's present key, as a new statement must be.

    Raises:
        Invalid, Denied: as :func:`verify_statement`; a signature that does not fit is the sender's fault here.
    """
    try:
        statement = verify_statement(node, session, text, signature)
    except Tampered as error:
        raise Denied(error.detail, reason=error.reason, place="signature") from error
    person = session.get_one(Person, statement.envelope.patient)
    if person.key_epoch != statement.envelope.key_epoch:
        raise Denied("the statement was signed in another key epoch", reason="key-epoch")
    return statement
