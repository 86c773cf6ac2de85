"""Rows of the access log: committed in the caller's transaction, before anything is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.orm import Session

from domain import leaves, messages
from domain.identifiers import encode_bytes, identifier
from domain.instants import instant
from domain.jcs import JsonObject, canonical
from domain.vocabulary import PATIENT_WRAP_ALG
from node_service.context import Node
from node_service.database.group_commit import Row
from node_service.database.models import AccessRow, PatientKey
from offchain.envelope.hpke import RecipientPublicKey
from offchain.envelope.messages import SealedMessage, seal_message

MAX_RECORDS_PER_ROW: Final = 1000
_LOCALLY_SEALED: Final = b"\x01"
_PRESENT_KEY: Final = (
    select(PatientKey.wrap)
    .where(PatientKey.patient == bindparam("patient"))
    .order_by(PatientKey.key_epoch.desc())
    .limit(1)
)
_INSERT: Final = insert(AccessRow.__table__)  # type: ignore[arg-type]


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
    made = _rows(node, entry, wrap_key(session, entry.patient) if _names_own_reader(entry) else None)
    session.connection().execute(_INSERT, [row for _, row in made])
    return tuple(leaf_id for leaf_id, _ in made)


def record_alone(node: Node, entry: Entry) -> tuple[str, ...]:
    """Write the row in a transaction of its own or of many such rows; it is durable when this returns.

    Raises:
        Invalid, Unavailable: as :func:`record`; then nothing may be answered.
    """
    key = None
    if _names_own_reader(entry):
        with node.database.rows() as connection:
            key = _wrap_key(connection, entry.patient)
    return record_for(node, entry, key)


def record_for(node: Node, entry: Entry, key: RecipientPublicKey | None) -> tuple[str, ...]:
    """As :func:`record_alone`, for a caller that has already looked up the patient's :func:`wrap_key`."""
    made = _rows(node, entry, key)
    node.database.access_rows.insert([row for _, row in made])
    return tuple(leaf_id for leaf_id, _ in made)


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
    return _wrap_key(session.connection(), patient)


def parse_wrap_key(text: str) -> RecipientPublicKey:
    """A wrap key as the enrolment register keeps it."""
    return RecipientPublicKey.parse(PATIENT_WRAP_ALG, text, "patient_key.wrap")


def _wrap_key(connection: Connection, patient: str | None) -> RecipientPublicKey | None:
    text = connection.execute(_PRESENT_KEY, {"patient": patient}).scalar()
    return None if text is None else parse_wrap_key(text)


def _names_own_reader(entry: Entry) -> bool:
    return isinstance(entry.reader, Reader) and entry.patient is not None


def _rows(node: Node, entry: Entry, key: RecipientPublicKey | None) -> list[tuple[str, Row]]:
    count = MAX_RECORDS_PER_ROW
    parts = [entry.records[at : at + count] for at in range(0, len(entry.records), count)] or [()]
    return [_row(node, entry, part, key) for part in parts]


def _row(node: Node, entry: Entry, records: tuple[str, ...], key: RecipientPublicKey | None) -> tuple[str, Row]:
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
    reader = _sealed_reader(node, entry, leaf.id, key)
    return leaf.id, {"leaf": leaves.encode(leaf), "patient": entry.patient, "access": entry.access, "reader": reader}


def _sealed_reader(node: Node, entry: Entry, leaf_id: str, key: RecipientPublicKey | None) -> bytes | None:
    if entry.reader is None or entry.patient is None:
        return None
    if isinstance(entry.reader, SealedMessage):
        return entry.reader.encode()
    if key is None:
        return node.secrets.seal_local(["access_row", "reader", leaf_id], entry.reader.encode(), node.random)
    info = messages.reader(entry.access or leaf_id, entry.patient)
    return seal_message(key, info, entry.reader.encode()).encode()
