"""Rows of the access log: committed in the caller's transaction, before anything is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import leaves, messages
from domain.identifiers import encode_bytes, identifier
from domain.instants import instant
from domain.jcs import JsonObject, canonical
from domain.vocabulary import PATIENT_WRAP_ALG
from node_service.context import Node
from node_service.database.models import AccessRow, PatientKey
from offchain.envelope.hpke import RecipientPublicKey
from offchain.envelope.messages import SealedMessage, seal_message

MAX_RECORDS_PER_ROW: Final = 1000
_LOCALLY_SEALED: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who sits at the screen, as the patient is told; ``salt`` keys the digest in the access entry."""

    name: str = field(repr=False)
    role: str
    department: str = field(repr=False)
    salt: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """What an access entry says about the reader: keyed, so that only the salt's holders can compare."""
        return leaves.keyed_digest(self._card(), self.salt)

    def encode(self) -> bytes:
        """JCS of a ``ReaderCard``."""
        return canonical({**self._card(), "salt": encode_bytes(self.salt)})

    def _card(self) -> JsonObject:
        return {"name": self.name, "role": self.role, "department": self.department}


@dataclass(frozen=True, slots=True)
class Entry:
    """What is logged (the fields of :class:`domain.leaves.AccessLeaf`) and who the reader was.

    ``reader`` is a :class:`Reader` of the own hospital, or the message that another hospital sealed to the patient.
    """

    action: str
    organisation: str
    actor: str
    patient: str | None = None
    records: tuple[str, ...] = ()
    purpose: str | None = None
    access: str | None = None
    outcome: str = "ok"
    reader: Reader | SealedMessage | None = None


def record(node: Node, session: Session, entry: Entry) -> tuple[str, ...]:
    """Write the row (one per thousand records) in the caller's transaction; return the leaf ids.

    The caller answers only after its transaction has committed.

    Raises:
        Invalid: a field breaks the rules of an access leaf.
        Unavailable: the database cannot write now.
    """
    count = MAX_RECORDS_PER_ROW
    parts = [entry.records[at : at + count] for at in range(0, len(entry.records), count)] or [()]
    written = [_row(node, session, entry, part) for part in parts]
    session.add_all(row for _, row in written)
    session.flush()
    return tuple(leaf_id for leaf_id, _ in written)


def record_alone(node: Node, entry: Entry) -> tuple[str, ...]:
    """Write the row in a transaction of its own; it is durable when this returns.

    Raises:
        Invalid, Unavailable: as :func:`record`; then nothing may be answered.
    """
    with node.database.transaction() as session:
        return record(node, session, entry)


def reader_message(node: Node, session: Session, row: AccessRow) -> SealedMessage | None:
    """The row's reader, sealed to the patient; who was not enrolled when the row was written gets it sealed now.

    Raises:
        Tampered: the locally sealed reader was altered or moved.
    """
    if row.reader is None:
        return None
    leaf = leaves.parse_access_leaf(row.leaf)
    if row.reader[:1] != _LOCALLY_SEALED:
        return SealedMessage.parse(row.reader)
    key = wrap_key(session, row.patient)
    if key is None or row.patient is None:
        return None
    opened = node.secrets.open_local(["access_row", "reader", leaf.id], row.reader)
    return seal_message(key, messages.reader(leaf.access or leaf.id, row.patient), opened)


def wrap_key(session: Session, patient: str | None) -> RecipientPublicKey | None:
    """The patient's present wrap key out of the hospital's own enrolment register."""
    query = select(PatientKey.wrap).where(PatientKey.patient == patient).order_by(PatientKey.key_epoch.desc())
    text = session.scalars(query.limit(1)).first()
    return None if text is None else RecipientPublicKey.parse(PATIENT_WRAP_ALG, text, "patient_key.wrap")


def _row(node: Node, session: Session, entry: Entry, records: tuple[str, ...]) -> tuple[str, AccessRow]:
    leaf = leaves.AccessLeaf(
        id=identifier(node.random(16)),
        at=instant(node.clock.now()),
        action=entry.action,
        organisation=entry.organisation,
        actor=entry.actor,
        purpose=entry.purpose,
        access=entry.access,
        patient=entry.patient,
        records=records,
        outcome=entry.outcome,
        salt=encode_bytes(node.random(leaves.SALT_BYTES)),
    )
    reader = _sealed_reader(node, session, entry, leaf.id)
    return leaf.id, AccessRow(leaf=leaves.encode(leaf), patient=entry.patient, access=entry.access, reader=reader)


def _sealed_reader(node: Node, session: Session, entry: Entry, leaf_id: str) -> bytes | None:
    if entry.reader is None or entry.patient is None:
        return None
    if isinstance(entry.reader, SealedMessage):
        return entry.reader.encode()
    key = wrap_key(session, entry.patient)
    if key is None:
        return node.secrets.seal_local(["access_row", "reader", leaf_id], entry.reader.encode(), node.random)
    info = messages.reader(entry.access or leaf_id, entry.patient)
    return seal_message(key, info, entry.reader.encode()).encode()
