"""Opening records for the own hospital: key from custody, object verified against its leaf, content opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import and_, select, tuple_
from sqlalchemy.orm import Session

from domain import leaves
from domain.errors import NotFound, Tampered
from domain.identifiers import IDENTIFIER_BYTES, encode_bytes, identifier
from domain.instants import instant
from domain.ports import CustodyEntry, NoKey
from node_service.context import Node
from node_service.database.models import Record, RecordVersion
from node_service.database.models import Wrap as WrapRow
from node_service.records.writing import CUSTODIAN
from offchain.envelope.composite import Manifest, Member, open_manifest, verify_member
from offchain.envelope.keys import DataKey
from offchain.envelope.unseal import OpenedObject, unseal
from offchain.envelope.wraps import KeyBinding, Wrap

MAX_CONTENT_BYTES: Final = 512 << 20
_QUERY_ITEMS: Final = 300


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


def open_version(node: Node, record: str, version: int | None = None, *, entry_id: str | None = None) -> OpenedRecord:
    """Open the current or a given version; the caller logs the read before it answers.

    Args:
        node: the hospital.
        record: its record; of a composite one the manifest is opened.
        version: None for the current one.
        entry_id: id of the access row under which the custody logs the same event.

    Raises:
        NotFound: there is no such version, or its key was destroyed.
        Tampered: object, leaf or wrap do not fit together.
        Unavailable: database, store or custody.
    """
    with node.database.reading() as session:
        row, stored = _current_or_given(session, record, version)
    held = version_keys(node, [(stored.record, stored.version)], purpose="read", entry_id=entry_id)[0]
    with node.blobs.get(held.digest) as sealed:
        plain = unseal(sealed, held.key, object_id=held.object_id).whole(max_bytes=MAX_CONTENT_BYTES)
    return OpenedRecord(
        record=record,
        version=stored.version,
        patient=row.patient,
        resource_type=row.resource_type,
        media_type=plain.description.content_type,
        file_name=plain.description.file_name,
        stored_at=stored.stored_at,
        digest=held.digest,
        content=plain.content,
    )


def open_members(node: Node, record: str, version: int | None = None, *, entry_id: str | None = None) -> Manifest:
    """The manifest of a composite record, with its members' keys.

    Raises:
        NotFound: there is no such version, or its key was destroyed.
        Invalid: the record is not composite.
        Tampered, Unavailable: as :func:`open_version`.
    """
    with node.database.reading() as session:
        _, stored = _current_or_given(session, record, version)
    held = version_keys(node, [(stored.record, stored.version)], purpose="read", entry_id=entry_id)[0]
    with node.blobs.get(held.digest) as sealed:
        return open_manifest(sealed, held.key, object_id=held.object_id)


@contextmanager
def open_member(node: Node, member: Member) -> Iterator[OpenedObject]:
    """One member of a manifest, opened as a stream of verified chunks.

    Raises:
        NotFound: the store has lost it.
        Tampered: it is not what the manifest names.
        Unavailable: store.
    """
    with node.blobs.get(member.digest) as sealed:
        verify_member(member, sealed)
        yield unseal(sealed, member.key, object_id=member.object_id)


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
    with node.database.reading() as session:
        rows = {(row.record, row.version): (row, wrap) for row, wrap in _wrapped(session, versions)}
    if missing := [version for version in versions if version not in rows]:
        raise NotFound("there is no such version of the record", reason="no-record", place=missing[0][0])
    ordered = [rows[version] for version in versions]
    bindings = [KeyBinding(row.object_id, row.record, row.version) for row, _ in ordered]
    entry = CustodyEntry(
        entry_id=entry_id or identifier(node.random(IDENTIFIER_BYTES)),
        purpose=purpose,
        evaluated=len(versions),
        at=instant(node.clock.now()),
    )
    wraps = [Wrap.parse(wrap) for _, wrap in ordered]
    keys = node.custody.unwrap_many(entry, list(zip(bindings, wraps, strict=True)))
    return [_version_key(row, key) for (row, _), key in zip(ordered, keys, strict=True)]


def _version_key(row: RecordVersion, key: DataKey | NoKey) -> VersionKey:
    if isinstance(key, NoKey):
        raise NotFound("the key of the record is gone", reason="no-key", place=row.record)
    digest = encode_bytes(row.digest)
    leaf = leaves.parse_record_leaf(row.leaf)
    if (leaf.record, leaf.version, leaf.digest) != (row.record, row.version, digest):
        raise Tampered("the leaf is not of this version", reason="leaf", place=row.record)
    return VersionKey(row.record, row.version, row.object_id, digest, row.leaf, row.undo, key)


def _current_or_given(session: Session, record: str, version: int | None) -> tuple[Record, RecordVersion]:
    row = session.get(Record, record)
    stored = session.get(RecordVersion, (record, version or row.current_version)) if row else None
    if row is None or stored is None:
        raise NotFound("there is no such record", reason="no-record")
    return row, stored


def _wrapped(session: Session, versions: Sequence[tuple[str, int]]) -> Iterator[tuple[RecordVersion, bytes]]:
    for start in range(0, len(versions), _QUERY_ITEMS):
        key = tuple_(RecordVersion.record, RecordVersion.version)
        query = (
            select(RecordVersion, WrapRow.wrap)
            .join(WrapRow, and_(WrapRow.record == RecordVersion.record, WrapRow.version == RecordVersion.version))
            .where(key.in_(versions[start : start + _QUERY_ITEMS]), WrapRow.recipient == CUSTODIAN)
        )
        yield from ((row, wrap) for row, wrap in session.execute(query))
