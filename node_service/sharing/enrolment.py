"""Enrolment: a wallet proves possession of its keys, and the ledger binds them to the patient id.

Order: the statement is verified, the keys stand in the enrolment register (person ``enrolling``), ``RegisterPatient``
is submitted durably, and after its commit the person is ``enrolled``. A crash between two of these is healed by
:class:`Enrolments`, or by the wallet asking again with the same code and statement.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import statements
from domain.entries import PatientEntry
from domain.errors import Conflict, Denied, Invalid, Tampered
from domain.instants import instant
from domain.transactions import RegisterPatient
from node_service.access_log.rows import Entry, record
from node_service.client.wire import Committed, EnrolmentFinish, EnrolmentOffer, EnrolmentStart, HospitalCard
from node_service.context import Node
from node_service.database.models import PatientKey, Person
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import submit_and_wait
from node_service.sharing.enrolment_codes import count_failure, live_code
from offchain.envelope.hpke import RecipientPublicKey

IDLE = timedelta(seconds=30)


def offer(node: Node, request: EnrolmentStart, hospital: HospitalCard) -> EnrolmentOffer:
    """The patient id to which the wallet binds its keys.

    Raises:
        Denied: the code is not accepted.
    """
    with node.database.reading() as session:
        return EnrolmentOffer(patient=live_code(node, session, request.code).patient, hospital=hospital)


async def finish(node: Node, request: EnrolmentFinish) -> Committed:
    """Verify the wallet's statement, register its keys here and on the ledger.

    Raises:
        Denied: the code is not accepted.
        Invalid, Tampered: the statement breaks a rule, or its signature does not fit the keys that it brings.
        Conflict: the person is enrolled with other keys.
        Unavailable, OutcomeUnknown: ask again with the same code and statement.
    """
    try:
        statement = await node.in_database(_register, node, request)
    except (Invalid, Conflict, Tampered):
        await node.in_database(count_failure, node, request.code)
        raise
    try:
        committed = await submit_and_wait(node, RegisterPatient(request.statement, request.signature))
    except (Invalid, Denied, Conflict):
        await node.in_database(_withdraw, node, statement.envelope.patient)
        raise
    await node.in_database(complete, node, statement.envelope.patient)
    return Committed(id=statement.envelope.patient, tx_id=committed.tx_id, block=committed.block)


def complete(node: Node, patient: str) -> bool:
    """Mark a person as enrolled whose keys the own projection shows as registered; true if so."""
    with node.database.transaction() as session:
        person, key = session.get(Person, patient), session.get(PatientKey, (patient, 1))
        registered = projection.entry(session, PatientEntry, patient)
        if person is None or key is None or registered is None or registered.keys.signing != key.signing:
            return False
        if person.status == "enrolling":
            person.status, person.key_epoch, person.enrolled_at = "enrolled", 1, instant(node.clock.now())
            record(node, session, Entry("enrol", node.msp_id, "patient", patient))
        return True


class Enrolments:
    """Completes enrolments whose commit was seen after a crash."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def step(self, now: datetime) -> datetime:
        """Complete what can be completed; return when to look again."""
        with self._node.database.reading() as session:
            waiting = session.scalars(select(Person.id).where(Person.status == "enrolling").limit(100)).all()
        for patient in waiting:
            complete(self._node, patient)
        return now + IDLE


def _register(node: Node, request: EnrolmentFinish) -> statements.Statement:
    """Verify, and write the keys into the enrolment register, in one transaction."""
    statement = statements.parse(request.statement)
    body = statement.body
    if not isinstance(body, statements.Enrol):
        raise Invalid("a statement of type enrol is expected", place="statement.type")
    with node.database.transaction() as session:
        code = live_code(node, session, request.code)
        _check_addressed(node, statement, code.patient)
        statements.verify(request.statement, request.signature, body.keys.signing)
        RecipientPublicKey.parse(body.keys.wrap_alg, body.keys.wrap, "keys.wrap")
        person = session.get_one(Person, code.patient)
        known = session.get(PatientKey, (person.id, 1))
        if known is not None and known.statement != request.statement:
            raise Conflict("the person is enrolled with other keys", reason="enrolled")
        if known is None:
            _enter(node, session, person, request, body.keys)
        code.used_at = code.used_at or instant(node.clock.now())
    return statement


def _check_addressed(node: Node, statement: statements.Statement, patient: str) -> None:
    envelope, now = statement.envelope, node.clock.now()
    if (envelope.patient, envelope.custodian, envelope.channel) != (patient, node.msp_id, node.ledger.channel):
        raise Invalid("the statement is for another patient, hospital or channel", place="statement")
    if envelope.key_epoch != 1 or envelope.grant_epoch != 1:
        raise Invalid("the first keys are of epoch 1", place="statement.key_epoch")
    if envelope.anchor_by < instant(now):
        raise Invalid("the statement has expired", place="statement.anchor_by", reason="expired")


def _enter(
    node: Node, session: Session, person: Person, request: EnrolmentFinish, keys: statements.PatientKeys
) -> None:
    if person.status not in ("unclaimed", "enrolling"):
        raise Conflict("the person is enrolled or closed", reason=person.status)
    person.status = "enrolling"
    session.add(
        PatientKey(
            patient=person.id,
            key_epoch=1,
            signing=keys.signing,
            wrap=keys.wrap,
            statement=request.statement,
            signature=request.signature,
            since=instant(node.clock.now()),
        )
    )


def _withdraw(node: Node, patient: str) -> None:
    """The ledger refused the registration: the register forgets the keys, so that the person can enrol again."""
    with node.database.transaction() as session:
        person = session.get(Person, patient)
        if (
            person is None
            or person.status != "enrolling"
            or projection.entry(session, PatientEntry, patient) is not None
        ):
            return
        person.status = "unclaimed"
        key = session.get(PatientKey, (patient, 1))
        if key is not None:
            session.delete(key)
