"""Opening records for the own hospital: key from custody, object verified against its leaf, content opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Integer, Row, and_, bindparam, func, select, tuple_

from domain import leaves
from domain.errors import NotFound, Tampered
from domain.identifiers import IDENTIFIER_BYTES, encode_bytes, identifier
from domain.instants import instant
from domain.ports import CustodyEntry, NoKey
from node_service.context import Node
from node_service.database.models import PatientKey, Record, RecordVersion
from node_service.database.models import Wrap as WrapRow
from node_service.records.damage import noticing
from node_service.records.writing import CUSTODIAN
from offchain.envelope import composite
from offchain.envelope.composite import Manifest, Member, open_manifest
from offchain.envelope.keys import DataKey
from offchain.envelope.unseal import OpenedObject, unseal
from offchain.envelope.wraps import KeyBinding, Wrap

READ: Final = "read"
INTERNAL: Final = "internal"
MAX_CONTENT_BYTES: Final = 512 << 20
CLOSED: Final = ("retracted", "erased")
_QUERY_ITEMS: Final = 300


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One stored version as its rows have it, nothing of it verified."""

    record: str
    version: int
    object_id: str
    digest: bytes
    leaf: bytes = field(repr=False)
    undo: bytes | None = field(repr=False)
    wrap: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VersionKey:
    """One stored version with its data key."""

    record: str
    version: int
    object_id: str
    digest: str
    leaf: bytes = field(repr=False)
    undo: bytes | None = field(repr=False)
    key: DataKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """The content of one version: the bytes that custodian and readers all get."""

    record: str
    version: int
    patient: str | None
    resource_type: str
    media_type: str
    file_name: str | None = field(repr=False)
    stored_at: str
    digest: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """What one statement finds of a record: its version as asked, the custodian's wrap, the patient's present key.

    Attributes:
        version: None where the record has no such version, or is closed: retracted or erased.
        patient_key: the patient's wrap key as the enrolment register keeps it, None before the enrolment.
    """

    record: str
    patient: str | None
    resource_type: str
    patient_key: str | None
    version: StoredVersion | None
    stored_at: str


def find_version(node: Node, record: str, version: int | None = None) -> FoundVersion:
    """Find the current or a given version; nothing is opened yet.

    Raises:
        NotFound: there is no such record.
        Unavailable: database.
    """
    with node.database.rows() as connection:
        row = connection.execute(_FIND, {"record": record, "version": version}).first()
    if row is None:
        raise _not_found()
    return FoundVersion(
        record=record,
        patient=row.patient,
        resource_type=row.resource_type,
        patient_key=row.patient_key,
        version=None if row.version is None or row.wrap is None or row.status in CLOSED else _stored(row),
        stored_at=row.stored_at or "",
    )


def open_found(node: Node, found: FoundVersion, *, entry_id: str | None = None) -> OpenedRecord:
    """Open what was found; the caller has logged the read.

    Raises:
        NotFound, Tampered, Unavailable: as :func:`open_version`.
    """
    if found.version is None:
        raise _not_found()
    held = _opened(node, [found.version], purpose=_purpose(entry_id), entry_id=entry_id)[0]
    with noticing(node, "record", held.object_id), node.blobs.get(held.digest) as sealed:
        plain = unseal(sealed, held.key, object_id=held.object_id).whole(max_bytes=MAX_CONTENT_BYTES)
    return OpenedRecord(
        record=found.record,
        version=held.version,
        patient=found.patient,
        resource_type=found.resource_type,
        media_type=plain.description.content_type,
        file_name=plain.description.file_name,
        stored_at=found.stored_at,
        digest=held.digest,
        content=plain.content,
    )


def open_version(node: Node, record: str, version: int | None = None, *, entry_id: str | None = None) -> OpenedRecord:
    """Open the current or a given version; the caller logs the read before it answers.

    Args:
        node: the hospital.
        record: its record; of a composite one the manifest is opened.
        version: None for the current one.
        entry_id: id of the access row under which the custody logs the same event; without one it is the node's own
            work, whose result no person sees.

    Raises:
        NotFound: there is no such version, or its key was destroyed.
        Tampered: object, leaf or wrap do not fit together.
        Unavailable: database, store or custody.
    """
    return open_found(node, find_version(node, record, version), entry_id=entry_id)


def open_members(node: Node, record: str, version: int | None = None, *, entry_id: str | None = None) -> Manifest:
    """The manifest of a composite record, with its members' keys.

    Raises:
        NotFound: there is no such version, or its key was destroyed.
        Invalid: the record is not composite.
        Tampered, Unavailable: as :func:`open_version`.
    """
    found = find_version(node, record, version)
    if found.version is None:
        raise _not_found()
    held = _opened(node, [found.version], purpose=_purpose(entry_id), entry_id=entry_id)[0]
    with noticing(node, "record", held.object_id), node.blobs.get(held.digest) as sealed:
        return open_manifest(sealed, held.key, object_id=held.object_id)


@contextmanager
def open_member(node: Node, member: Member) -> Iterator[OpenedObject]:
    """One member of a manifest, opened as a stream of verified chunks.

    Raises:
        NotFound: the store has lost it.
        Tampered: it is not what the manifest names.
        Unavailable: store.
    """
    with noticing(node, "member", member.object_id), node.blobs.get(member.digest) as sealed:
        yield composite.open_member(member, sealed)


def version_keys(
    node: Node, versions: Sequence[tuple[str, int]], *, purpose: str, entry_id: str | None = None
) -> list[VersionKey]:
    """The data keys of versions of this hospital, in order, each leaf checked against its row.

    Args:
        node: the hospital.
        versions: record and version; at most 1,000.
        purpose: a code for the custody log.
        entry_id: id of the caller's own log row for the same event; a random one where there is none.

    Raises:
        NotFound: one does not exist, or its key was destroyed.
        Tampered: a wrap was altered, or a leaf is not of its row.
        Unavailable: database or custody.
    """
    with node.database.rows() as connection:
        rows = {(row.record, row.version): _stored(row) for row in _wrapped(connection, versions)}
    if missing := [version for version in versions if version not in rows]:
        raise NotFound("there is no such version of the record", reason="no-record", place=missing[0][0])
    return _opened(node, [rows[version] for version in versions], purpose=purpose, entry_id=entry_id)


def _purpose(entry_id: str | None) -> str:
    return INTERNAL if entry_id is None else READ


def _opened(node: Node, versions: Sequence[StoredVersion], *, purpose: str, entry_id: str | None) -> list[VersionKey]:
    bindings = [KeyBinding(one.object_id, one.record, one.version) for one in versions]
    entry = CustodyEntry(
        entry_id=entry_id or identifier(node.random(IDENTIFIER_BYTES)),
        purpose=purpose,
        evaluated=len(versions),
        at=instant(node.clock.now()),
    )
    wraps = [Wrap.parse(one.wrap) for one in versions]
    keys = node.custody.unwrap_many(entry, list(zip(bindings, wraps, strict=True)))
    return [_version_key(one, key) for one, key in zip(versions, keys, strict=True)]


def _version_key(row: StoredVersion, key: DataKey | NoKey) -> VersionKey:
    if isinstance(key, NoKey):
        raise NotFound("the key of the record is gone", reason="no-key", place=row.record)
    digest = encode_bytes(row.digest)
    leaf = leaves.parse_record_leaf(row.leaf)
    if (leaf.record, leaf.version, leaf.digest) != (row.record, row.version, digest):
        raise Tampered("the leaf is not of this version", reason="leaf", place=row.record)
    return VersionKey(row.record, row.version, row.object_id, digest, row.leaf, row.undo, key)


def _not_found() -> NotFound:
    return NotFound("there is no such record", reason="no-record")


def _stored(row: Row[Any]) -> StoredVersion:
    return StoredVersion(row.record, row.version, row.object_id, row.digest, row.leaf, row.undo, row.wrap)


def _wrapped(connection: Connection, versions: Sequence[tuple[str, int]]) -> Iterator[Row[*tuple[Any, ...]]]:
    key = tuple_(RecordVersion.record, RecordVersion.version)
    query = select(*_COLUMNS).join(WrapRow, _CUSTODIANS)
    for start in range(0, len(versions), _QUERY_ITEMS):
        yield from connection.execute(query.where(key.in_(versions[start : start + _QUERY_ITEMS])))


_COLUMNS: Final = (
    RecordVersion.record,
    RecordVersion.version,
    RecordVersion.object_id,
    RecordVersion.digest,
    RecordVersion.leaf,
    RecordVersion.undo,
    WrapRow.wrap,
)
_CUSTODIANS: Final = and_(
    WrapRow.record == RecordVersion.record, WrapRow.version == RecordVersion.version, WrapRow.recipient == CUSTODIAN
)
_PRESENT_KEY: Final = (
    select(PatientKey.wrap)
    .where(PatientKey.patient == Record.patient)
    .order_by(PatientKey.key_epoch.desc())
    .limit(1)
    .scalar_subquery()
)
_ASKED_VERSION: Final = and_(
    RecordVersion.record == Record.id,
    RecordVersion.version == func.coalesce(bindparam("version", type_=Integer), Record.current_version),
)
_FIND: Final = (
    select(
        Record.patient,
        Record.resource_type,
        Record.status,
        RecordVersion.stored_at,
        _PRESENT_KEY.label("patient_key"),
        *_COLUMNS,
    )
    .select_from(Record)
    .outerjoin(RecordVersion, _ASKED_VERSION)
    .outerjoin(WrapRow, _CUSTODIANS)
    .where(Record.id == bindparam("record"))
)
