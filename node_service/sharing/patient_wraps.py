"""A wrap for the patient of every version, also of those that were stored before the patient had keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, String, and_, bindparam, cast, select, tuple_
from sqlalchemy.orm import Session, aliased

from domain.identifiers import encode_bytes, identifier
from domain.instants import instant
from domain.ports import CustodyEntry
from domain.vocabulary import PATIENT_WRAP_ALG
from node_service.context import Node
from node_service.database.models import PatientKey, Person, Record, RecordVersion
from node_service.database.models import Wrap as WrapRow
from offchain.envelope.hpke import RecipientPublicKey
from offchain.envelope.keys import DataKey
from offchain.envelope.unseal import verify_key
from offchain.envelope.wraps import KeyBinding, Wrap, wrap_for_patient

BATCH: Final = 200
IDLE: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class _Missing:
    binding: KeyBinding
    digest: str
    custodian_wrap: Wrap
    key_epoch: int
    recipient: RecipientPublicKey


class PatientWraps:
    """The background step that wraps the data keys of enrolled patients' records for them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._after: tuple[str, int] = ("", 0)

    def step(self, now: datetime) -> datetime:
        """Wrap one batch; return when to look again: at once while there may be more.

        Raises:
            Tampered: a custodian's wrap was altered, or its key is not the one that the object commits to.
            Unavailable: database, store or custody.
        """
        with self._node.database.reading() as session:
            missing = _missing(session, self._after)
        if not missing:
            self._after = ("", 0)
            return now + IDLE
        made = _wraps(self._node, missing, now)
        with self._node.database.transaction() as session:
            for row in _still_due(session, made):
                session.merge(row)
        last = missing[-1].binding
        self._after = (last.record_id, last.version)
        return now


def _query() -> Select[RecordVersion, bytes, PatientKey]:
    patient_wrap = aliased(WrapRow)
    custodian_wrap = aliased(WrapRow)
    same_version = (RecordVersion.record, RecordVersion.version)
    return (
        select(RecordVersion, custodian_wrap.wrap, PatientKey)
        .join(Record, Record.id == RecordVersion.record)
        .join(Person, Person.id == Record.patient)
        .join(PatientKey, and_(PatientKey.patient == Person.id, PatientKey.key_epoch == Person.key_epoch))
        .join(
            custodian_wrap,
            and_(
                tuple_(custodian_wrap.record, custodian_wrap.version) == tuple_(*same_version),
                custodian_wrap.recipient == "custodian",
            ),
        )
        .outerjoin(
            patient_wrap,
            and_(
                tuple_(patient_wrap.record, patient_wrap.version) == tuple_(*same_version),
                patient_wrap.recipient == "patient",
                patient_wrap.key_id == cast(PatientKey.key_epoch, String),
            ),
        )
        .where(Person.status == "enrolled", Record.status.in_(("active", "locked")), patient_wrap.record.is_(None))
        .where(tuple_(*same_version) > tuple_(bindparam("record"), bindparam("version")))
        .order_by(*same_version)
        .limit(BATCH)
    )


_MISSING: Final = _query()
"""Built once: every turn asks it, and building it costs many times what running it does."""


def _missing(session: Session, after: tuple[str, int]) -> Sequence[_Missing]:
    """Versions of enrolled patients without a wrap for the present key epoch, in order, behind ``after``."""
    place = {"record": after[0], "version": after[1]}
    return [_read(*row) for row in session.execute(_MISSING, place)]


def _still_due(session: Session, made: Sequence[WrapRow]) -> list[WrapRow]:
    """Without those of records that were erased or retracted meanwhile: their wraps are deleted once."""
    records = {row.record for row in made}
    query = select(Record.id).where(Record.id.in_(records), Record.status.in_(("active", "locked")))
    due = set(session.scalars(query))
    return [row for row in made if row.record in due]


def _read(version: RecordVersion, custodian_wrap: bytes, key: PatientKey) -> _Missing:
    return _Missing(
        KeyBinding(version.object_id, version.record, version.version),
        encode_bytes(version.digest),
        Wrap.parse(custodian_wrap),
        key.key_epoch,
        RecipientPublicKey.parse(PATIENT_WRAP_ALG, key.wrap, "patient_key.wrap"),
    )


def _wraps(node: Node, missing: Sequence[_Missing], now: datetime) -> list[WrapRow]:
    entry = CustodyEntry(identifier(node.random(16)), "rewrap", len(missing), instant(now))
    keys = node.custody.unwrap_many(entry, [(item.binding, item.custodian_wrap) for item in missing])
    return [_wrapped(node, item, key) for item, key in zip(missing, keys, strict=True) if isinstance(key, DataKey)]


def _wrapped(node: Node, item: _Missing, key: DataKey) -> WrapRow:
    """Before a key is wrapped again, it is compared with the commitment in the object's anchored header."""
    with node.blobs.get(item.digest) as sealed:
        verify_key(sealed, key, object_id=item.binding.object_id)
    wrap = wrap_for_patient(key, item.recipient, item.binding)
    return WrapRow(
        record=item.binding.record_id,
        version=item.binding.version,
        recipient="patient",
        key_id=str(item.key_epoch),
        wrap=wrap.encode(),
    )
