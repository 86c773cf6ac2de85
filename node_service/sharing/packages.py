"""Grant packages at the grantee: what a wallet hands over so that this hospital knows whose records a grant opens."""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import messages, statements
from domain import wire as wire_values
from domain.entries import GrantEntry, PatientEntry
from domain.errors import Denied, Invalid, NotFound, Tampered
from domain.instants import instant
from node_service.client import wire
from node_service.context import Node
from node_service.database.models import HeldConsent, Person
from node_service.ledger_sync import projection
from node_service.sharing import held_consents
from node_service.sharing.consent_content import check_consent, time_zone
from node_service.sharing.sealed_messages import from_wire, open_for_hospital
from node_service.witnessing.freshness import catch_up

MAX_RECEIVED = 1000


async def receive_package(node: Node, body: wire.SealedMessage) -> str:
    """Open, verify and keep a package; return the grant's id. The same package again is a success.

    Raises:
        Invalid, Denied, Tampered: not a package for this hospital, or its parts do not belong together.
        NotFound: the grant is not on the ledger (yet).
        Unavailable: the own projection is not fresh in time.
    """
    opened = await node.in_crypto(open_for_hospital, node, messages.grant_package(node.msp_id), from_wire(body))
    try:
        package = wire.GrantPackage.model_validate_json(opened)
    except ValidationError:
        raise Invalid("the message holds no grant package", place="package") from None
    await catch_up(node)
    await node.in_database(_keep, node, package)
    return package.grant


def list_received(node: Node) -> list[wire.ReceivedGrant]:
    """The packages that this hospital holds, newest first."""
    query = select(HeldConsent).where(HeldConsent.role == "grantee").order_by(HeldConsent.received_at.desc())
    with node.database.reading() as session:
        return [_entry(node, row) for row in session.scalars(query.limit(MAX_RECEIVED))]


def confirm_match(node: Node, staff: str, patient: str, grant: str, body: wire.MatchConfirmation) -> wire.ReceivedGrant:
    """A person confirms whose records a grant opens; only then may it be used.

    Args:
        patient: the id at the custodian, as the package names it; a grant's id is unique only for its patient.

    Raises:
        NotFound: no such package, or no such person here.
    """
    with node.database.transaction() as session:
        row = session.get(HeldConsent, (patient, grant, "grantee"))
        if row is None or (body.local_patient is not None and session.get(Person, body.local_patient) is None):
            raise NotFound("there is no such grant or person")
        row.local_patient, row.confirmed_by = body.local_patient, staff
        row.confirmed_at = instant(node.clock.now())
        return _entry(node, row)


def _keep(node: Node, package: wire.GrantPackage) -> None:
    copy = held_consents.ConsentCopy(package.consent, package.salt, package.statement, package.signature)
    with node.database.transaction() as session:
        statement = _verified(node, session, package)
        terms, envelope = statement.body, statement.envelope
        assert isinstance(terms, statements.GrantTerms)  # noqa: S101 - the committed grant has the same terms
        copy.verify_digest(terms.consent_digest)
        check_consent(copy.consent, envelope.patient, time_zone(node.settings))
        held_consents.hold(
            node,
            session,
            copy,
            consent_id=envelope.id,
            kind="grant",
            role="grantee",
            patient=envelope.patient,
            custodian=envelope.custodian,
        )


def _verified(node: Node, session: Session, package: wire.GrantPackage) -> statements.Statement:
    """The statement, signed by the patient's key on the ledger, with the terms of the committed grant for us."""
    envelope = statements.parse(package.statement).envelope
    named = (package.grant, package.card.patient, package.card.custodian)
    if (envelope.id, envelope.patient, envelope.custodian) != named:
        raise Denied("the package's parts do not belong together", reason="package")
    registered = projection.entry(session, PatientEntry, envelope.patient)
    committed = projection.entry(session, GrantEntry, envelope.patient, envelope.id)
    if registered is None or committed is None or committed.status != "active":
        raise NotFound("the grant is not on the ledger", reason="not-active")
    if registered.custodian != envelope.custodian or registered.key_epoch != envelope.key_epoch:
        raise Denied("the grant was signed for another hospital or key epoch", reason="package")
    try:
        statement = statements.verify(package.statement, package.signature, registered.keys.signing)
    except Tampered as error:
        raise Denied(error.detail, reason=error.reason, place="signature") from error
    if statement.body != committed.terms or committed.terms.grantee != node.msp_id:
        raise Denied("the committed grant is another, or not for this hospital", reason="package")
    return statement


def _entry(node: Node, row: HeldConsent) -> wire.ReceivedGrant:
    terms = statements.parse(held_consents.open_copy(node, row).statement).body
    return wire.ReceivedGrant(
        id=row.id,
        custodian=row.custodian,
        patient=row.patient,
        terms=wire_values.to_json(terms),
        local_patient=row.local_patient,
        confirmed=row.confirmed_at is not None,
    )
