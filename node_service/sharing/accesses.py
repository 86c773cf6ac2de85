"""Accesses and emergencies that this hospital opens at a custodian, with their one-use keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from domain import jcs, leaves, messages, statements
from domain.checks import check_member, check_members
from domain.entries import FloorEntry, GrantEntry, PatientEntry
from domain.errors import Conflict, Denied, Invalid, NotFound, Tampered
from domain.identifiers import check_identifier, decode_bytes, encode_bytes, identifier
from domain.instants import instant, later
from domain.transactions import MAX_ACCESS_SECONDS, MAX_EMERGENCY_SECONDS, BreakGlass, OpenAccess
from domain.vocabulary import BREAK_GLASS_PURPOSE, BREAK_GLASS_REASONS, CATEGORIES, PATIENT_WRAP_ALG, PURPOSES
from node_service.client import exchange_wire, wire
from node_service.context import Node
from node_service.database.models import HeldConsent, OpenedAccess
from node_service.ledger_sync import projection
from node_service.ledger_sync.registry import active_organization
from node_service.ledger_sync.submission import submit_and_wait
from node_service.sharing import held_consents
from node_service.sharing.practitioners import Practitioner
from node_service.sharing.sealed_messages import from_wire, to_wire
from node_service.witnessing.freshness import wait_until_fresh
from offchain.envelope.hpke import HPKE_HYBRID, RecipientPrivateKey, RecipientPublicKey
from offchain.envelope.messages import SealedMessage, seal_message

LEAST_REMAINING: Final = timedelta(seconds=60)
_IDLE: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class OwnOpening:
    """An opening of this hospital with what reading under it needs; secrets show in no ``repr``.

    Attributes:
        block: the newest of the own projection, which has the entry, too; a custodian answers on a view that has it.
    """

    id: str
    kind: str
    custodian: str
    patient: str
    practitioner: str
    purpose: str
    valid_until: str
    local_patient: str | None
    block: int
    private_key: RecipientPrivateKey = field(repr=False)
    subject_salt: str | None = field(repr=False)
    reader: SealedMessage = field(repr=False)

    def wire(self) -> exchange_wire.Opening:
        """What the custodian is told."""
        return exchange_wire.Opening(
            access=self.id, patient=self.patient, subject_salt=self.subject_salt, block=self.block,
            reader=to_wire(self.reader),
        )  # fmt: skip


async def open_access(node: Node, practitioner: Practitioner, body: wire.OpenAccessBody) -> wire.AccessHandle:
    """Announce a read under a confirmed grant; a live access of the same practitioner and purpose is used again.

    Raises:
        NotFound: this hospital holds no such grant.
        Conflict: no person has confirmed yet whose records it opens (``unconfirmed``).
        Invalid, Denied: purpose, practitioner or grant do not allow it.
        Unavailable, OutcomeUnknown: open again.
    """
    check_member(body.purpose, "purpose", PURPOSES)
    await wait_until_fresh(node)  # what the patient did a moment ago elsewhere counts
    known = await node.in_database(_live_access, node, practitioner, body)
    if known is not None:
        return known
    row, transaction = await node.in_crypto(_prepare_access, node, practitioner, body)
    return await _announce(node, row, transaction)


async def open_emergency(node: Node, practitioner: Practitioner, body: wire.EmergencyBody) -> wire.AccessHandle:
    """Break the glass for a patient of another hospital, for at most four hours.

    Raises:
        Denied: outside the demo profile, where second factors are required (``second-factor-required``).
        Invalid, NotFound: card, reason or categories break a rule.
        Unavailable, OutcomeUnknown: open again.
    """
    if node.settings.profile != "demo":
        raise Denied("break-glass needs a second factor", reason="second-factor-required")
    check_member(body.reason, "reason", BREAK_GLASS_REASONS)
    check_members(body.categories, "categories", CATEGORIES)
    check_identifier(body.card.patient, "card.patient")
    await wait_until_fresh(node, body.card.custodian)
    row, transaction = await node.in_crypto(_prepare_emergency, node, practitioner, body)
    return await _announce(node, row, transaction)


def own_opening(node: Node, session: Session, practitioner: str, access: str) -> OwnOpening:
    """An opening of this very practitioner, while its key is there.

    Raises:
        NotFound: none, somebody else's, or over.
        Tampered: the sealed key was altered.
    """
    row = session.get(OpenedAccess, check_identifier(access, "access"))
    live = row is not None and row.tx_id is not None and row.valid_until > instant(node.clock.now())
    if row is None or not live or row.practitioner != practitioner or row.secret is None:
        raise NotFound("there is no such open access", reason="no-access")
    secret = jcs.parse_object(node.secrets.open_local(_context(row.id), row.secret))
    held = session.get(HeldConsent, (row.patient, row.grant, "grantee")) if row.grant is not None else None
    salt = secret.get("subject_salt")
    return OwnOpening(
        id=row.id,
        kind=row.kind,
        custodian=row.custodian,
        patient=row.patient,
        practitioner=row.practitioner,
        purpose=row.purpose,
        valid_until=row.valid_until,
        local_patient=None if held is None else held.local_patient,
        block=max(projection.height(session) - 1, 0),
        private_key=RecipientPrivateKey(HPKE_HYBRID, decode_bytes(secret.get("private_key"), "private_key")),
        subject_salt=salt if isinstance(salt, str) else None,
        reader=from_wire(wire.SealedMessage.model_validate(secret.get("reader"))),
    )


class OneUseKeys:
    """Destroys the one-use keys of accesses that are over."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def step(self, now: datetime) -> datetime:
        """Destroy what is over; return when to look again."""
        over = OpenedAccess.valid_until <= instant(now)
        with self._node.database.reading() as session:
            found = session.scalars(select(OpenedAccess.id).where(over, OpenedAccess.secret.is_not(None))).first()
        if found is not None:
            with self._node.database.transaction() as session:
                session.execute(update(OpenedAccess).where(over).values(secret=None))
        return now + _IDLE


def _live_access(node: Node, practitioner: Practitioner, body: wire.OpenAccessBody) -> wire.AccessHandle | None:
    until = instant(node.clock.now() + LEAST_REMAINING)
    query = select(OpenedAccess).where(
        OpenedAccess.patient == body.patient,
        OpenedAccess.grant == body.grant,
        OpenedAccess.practitioner == practitioner.id,
        OpenedAccess.purpose == body.purpose,
        OpenedAccess.valid_until > until,
        OpenedAccess.tx_id.is_not(None),
        OpenedAccess.secret.is_not(None),
    )
    with node.database.reading() as session:
        row = session.scalars(query.limit(1)).first()
        return _handle(row) if row is not None and _stands(session, row.patient, body.grant) else None


def _stands(session: Session, patient: str, grant: str) -> bool:
    """Whether the own view still has the grant; where it has not, the contract is asked and says why."""
    entry, floor = projection.entry(session, GrantEntry, patient, grant), projection.entry(session, FloorEntry, patient)
    lowest = 1 if floor is None else floor.grant_epoch
    return entry is not None and entry.status == "active" and entry.grant_epoch >= lowest


def _prepare_access(
    node: Node, practitioner: Practitioner, body: wire.OpenAccessBody
) -> tuple[OpenedAccess, OpenAccess]:
    now = instant(node.clock.now())
    with node.database.reading() as session:
        names = check_identifier(body.patient, "patient"), check_identifier(body.grant, "grant")
        held = session.get(HeldConsent, (*names, "grantee"))
        if held is None:
            raise NotFound("this hospital holds no such grant", reason="no-grant")
        if held.confirmed_at is None:
            raise Conflict("nobody has confirmed yet whose records this grant opens", reason="unconfirmed")
        if active_organization(session, held.custodian) is None:
            raise NotFound("the grant's custodian is no member any more", reason="no-organization", place="grant")
        terms = statements.parse(held_consents.open_copy(node, held).statement).body
        patient_key = _patient_key(session, held.patient)
    assert isinstance(terms, statements.GrantTerms)  # noqa: S101 - checked when the package came
    valid_until = min(later(now, timedelta(seconds=MAX_ACCESS_SECONDS)), terms.valid_until)
    access = _OpeningKeys(node, practitioner, held.patient, patient_key)
    transaction = OpenAccess(
        id=access.id,
        patient=held.patient,
        grant=held.id,
        practitioner=practitioner.id,
        purpose=body.purpose,
        key_digest=access.private_key.public.digest,
        reader_digest=access.reader.digest,
        valid_until=valid_until,
    )
    row = access.row("grant", held.id, held.custodian, body.purpose, valid_until, None)
    return row, transaction


def _prepare_emergency(
    node: Node, practitioner: Practitioner, body: wire.EmergencyBody
) -> tuple[OpenedAccess, BreakGlass]:
    with node.database.reading() as session:
        if active_organization(session, body.card.custodian) is None or body.card.custodian == node.msp_id:
            raise NotFound("there is no such hospital in the registry", place="card.custodian")
        patient_key = _patient_key(session, body.card.patient)
    salt = node.random(leaves.SALT_BYTES)
    valid_until = instant(node.clock.now() + timedelta(seconds=MAX_EMERGENCY_SECONDS))
    access = _OpeningKeys(node, practitioner, body.card.patient, patient_key)
    transaction = BreakGlass(
        id=access.id,
        custodian=body.card.custodian,
        subject_tag=leaves.subject_tag(body.card.patient, salt),
        practitioner=practitioner.id,
        reason=body.reason,
        categories=tuple(body.categories),
        key_digest=access.private_key.public.digest,
        reader_digest=access.reader.digest,
        valid_until=valid_until,
    )
    row = access.row("emergency", None, body.card.custodian, BREAK_GLASS_PURPOSE, valid_until, encode_bytes(salt))
    return row, transaction


class _OpeningKeys:
    """A fresh id, one-use key and reader message for one opening."""

    def __init__(self, node: Node, practitioner: Practitioner, patient: str, patient_key: RecipientPublicKey) -> None:
        self._node, self._practitioner, self._patient = node, practitioner, patient
        self.id = identifier(node.random(16))
        self.private_key = RecipientPrivateKey.generate(HPKE_HYBRID)
        self.reader = practitioner.reader(node.random)
        self._message = seal_message(patient_key, messages.reader(self.id, patient), self.reader.encode())

    def row(
        self, kind: str, grant: str | None, custodian: str, purpose: str, valid_until: str, subject_salt: str | None
    ) -> OpenedAccess:
        """The row with the secrets sealed at rest."""
        secret: jcs.JsonObject = {
            "private_key": encode_bytes(self.private_key.reveal()),
            "subject_salt": subject_salt,
            "reader": to_wire(self._message).model_dump(),
        }
        node = self._node
        return OpenedAccess(
            id=self.id,
            kind=kind,
            grant=grant,
            custodian=custodian,
            patient=self._patient,
            practitioner=self._practitioner.id,
            purpose=purpose,
            secret=node.secrets.seal_local(_context(self.id), jcs.canonical(secret), node.random),
            valid_until=valid_until,
            opened_at=instant(node.clock.now()),
        )


async def _announce(node: Node, row: OpenedAccess, transaction: OpenAccess | BreakGlass) -> wire.AccessHandle:
    """The row first, so that a commit after a crash finds its key; what the contract refuses is removed again."""
    await node.in_database(_add, node, row)
    try:
        done = await submit_and_wait(node, transaction)
    except (Invalid, Denied, NotFound, Conflict):
        await node.in_database(_remove, node, row.id)
        raise
    return await node.in_database(_note, node, row.id, done.tx_id)


def _add(node: Node, row: OpenedAccess) -> None:
    with node.database.transaction() as session:
        session.add(row)


def _remove(node: Node, access: str) -> None:
    with node.database.transaction() as session:
        row = session.get(OpenedAccess, access)
        if row is not None:
            session.delete(row)


def _note(node: Node, access: str, tx_id: str) -> wire.AccessHandle:
    with node.database.transaction() as session:
        row = session.get_one(OpenedAccess, access)
        row.tx_id = tx_id
        return _handle(row)


def _handle(row: OpenedAccess) -> wire.AccessHandle:
    return wire.AccessHandle(
        id=row.id,
        kind="grant" if row.kind == "grant" else "emergency",
        custodian=row.custodian,
        valid_until=row.valid_until,
        tx_id=row.tx_id or "",
    )


def _patient_key(session: Session, patient: str) -> RecipientPublicKey:
    """The patient's wrap key on the ledger: to it the reader's name is sealed.

    Raises:
        NotFound: the ledger knows no such patient.
    """
    registered = projection.entry(session, PatientEntry, patient)
    if registered is None:
        raise NotFound("the ledger knows no such registration", reason="no-patient")
    try:
        return RecipientPublicKey.parse(PATIENT_WRAP_ALG, registered.keys.wrap, "keys.wrap")
    except Invalid as error:
        raise Tampered("the patient's wrap key on the ledger is none", reason="patient-key") from error


def _context(access: str) -> list[str]:
    return ["opened_access", "secret", access]
