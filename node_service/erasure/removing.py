"""Destroying what is left of a record: objects, wraps, splices, tokens, pieces of Bundles, the person's card.

What stays is what the audit trail stands on: leaves, their place in the log, access rows, the status. The blind
identity of input stays too, so that a source that sends the record again does not bring it back (ADR 0013).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from domain.identifiers import encode_bytes
from node_service.context import Node
from node_service.database.account_models import IdempotencyKey
from node_service.database.models import (
    BundleEntry,
    BundleSkeleton,
    Member,
    Person,
    PersonToken,
    Record,
    RecordToken,
    RecordVersion,
)
from node_service.database.models import Wrap as WrapRow
from node_service.database.scrub_models import DamagedObject
from node_service.records.persons import Card, seal_card
from node_service.records.scrub import ERASED

_GONE: Final = ("erased", "retracted")


def bundles_of(session: Session, record: str) -> list[str]:
    """The received Bundles of which the record was a part."""
    return list(session.scalars(select(BundleEntry.bundle).where(BundleEntry.record == record)))


def delete_objects(node: Node, record: str) -> None:
    """Delete every sealed object of the record, and what is left of its Bundles, with their chunk lists.

    Raises:
        Unavailable: database or store; call again.
    """
    with node.database.reading() as session:
        bundles = bundles_of(session, record)
        digests = [
            *session.scalars(select(RecordVersion.digest).where(RecordVersion.record == record)),
            *session.scalars(select(Member.digest).where(Member.record == record)),
            *session.scalars(select(BundleSkeleton.digest).where(BundleSkeleton.id.in_(bundles))),
        ]
    node.blobs.delete_many([encode_bytes(digest) for digest in digests])


def delete_rows(node: Node, session: Session, record: Record) -> None:
    """Delete and blank the rows of an erased record, in the caller's transaction."""
    _delete_bundles(session, bundles_of(session, record.id))
    for part in (RecordVersion, Member):
        _clear_damage(session, select(part.digest).where(part.record == record.id))
    for table in (WrapRow, Member, RecordToken, IdempotencyKey, BundleEntry):
        session.execute(delete(table).where(table.record == record.id))
    blank = {"content_token": ERASED, "clinical_start": None, "clinical_end": None, "undo": None, "length": 0}
    session.execute(update(RecordVersion).where(RecordVersion.record == record.id).values(**blank))
    was_patient = record.resource_type == "Patient"
    record.resource_type = record.category = record.media_type = ""
    session.flush()
    if record.patient is not None:
        _clear_person(node, session, record.patient, was_patient=was_patient)


def delete_patient_wraps(session: Session, records: Collection[str]) -> None:
    """The person who had the record in the wallet gets no key of it any more, in the caller's transaction."""
    session.execute(delete(WrapRow).where(WrapRow.record.in_(records), WrapRow.recipient == "patient"))


def _delete_bundles(session: Session, bundles: Sequence[str]) -> None:
    _clear_damage(session, select(BundleSkeleton.digest).where(BundleSkeleton.id.in_(bundles)))
    session.execute(delete(BundleSkeleton).where(BundleSkeleton.id.in_(bundles)))
    session.execute(delete(BundleEntry).where(BundleEntry.bundle.in_(bundles)))


def _clear_damage(session: Session, digests: Select[bytes]) -> None:
    """What was altered or missing is gone on purpose now, and no alarm any more."""
    session.execute(delete(DamagedObject).where(DamagedObject.digest.in_(digests)))


def _clear_person(node: Node, session: Session, patient: str, *, was_patient: bool) -> None:
    """The card goes with the last Patient resource that it came from, the tokens with the last record."""
    if was_patient and not _left(session, patient, "Patient"):
        sealed = seal_card(node, patient, Card())
        session.execute(update(Person).where(Person.id == patient).values(demographics=sealed))
    if not _left(session, patient):
        session.execute(delete(PersonToken).where(PersonToken.patient == patient))


def _left(session: Session, patient: str, resource_type: str | None = None) -> int:
    query = select(func.count(Record.id)).where(Record.patient == patient, Record.status.not_in(_GONE))
    if resource_type is not None:
        query = query.where(Record.resource_type == resource_type)
    return session.execute(query).scalar_one()
