"""Writing records: sealed objects into the store first, then every row of them in one database transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from domain import leaves, merkle
from domain.errors import Conflict
from domain.identifiers import decode_bytes, encode_bytes
from domain.instants import instant
from domain.transactions import CreateRecord
from node_service.client.wire import RecordRef
from node_service.context import Node
from node_service.database.models import Outbox, Record, RecordToken, RecordVersion
from node_service.database.models import Wrap as WrapRow
from node_service.ledger_sync.submission import enqueue
from node_service.records.drafts import Draft, SealedVersion
from node_service.records.sealing import record_leaf, seal_undo

CUSTODIAN: Final = "custodian"


def write_versions(node: Node, session: Session, versions: Sequence[SealedVersion]) -> list[RecordRef]:
    """Write the rows of versions whose sealed objects are in the store, in the caller's transaction.

    Raises:
        Conflict: for one of them another version came first, or its identity of input is taken.
        Unavailable: custody or database.
    """
    if not versions:
        return []
    at = node.clock.now()
    wraps = node.custody.wrap([(version.binding, version.key) for version in versions])
    encoded = [leaves.encode(record_leaf(node, version, at)) for version in versions]
    hashes = [merkle.leaf_hash(leaf) for leaf in encoded]
    stored_at = instant(at)
    _write_records(session, [version.draft for version in versions], stored_at)
    _insert(
        session,
        RecordVersion,
        [
            _version_row(node, version, leaf, leaf_hash, stored_at)
            for version, leaf, leaf_hash in zip(versions, encoded, hashes, strict=True)
        ],
    )
    _insert(
        session,
        WrapRow,
        [
            _row_key(version) | {"recipient": CUSTODIAN, "key_id": wrap.key_id, "wrap": wrap.encode()}
            for version, wrap in zip(versions, wraps, strict=True)
        ],
    )
    _insert(
        session,
        Outbox,
        [_row_key(version) | {"leaf_hash": value} for version, value in zip(versions, hashes, strict=True)],
    )
    _write_ledger_records(node, session, versions, hashes)
    return [_reference(version.draft) for version in versions]


def _write_records(session: Session, drafts: Sequence[Draft], at: str) -> None:
    _insert(session, Record, [_record_row(draft, at) for draft in drafts if draft.version == 1 and not draft.opened])
    for draft in drafts:
        if draft.version > 1 or draft.opened:
            _advance(session, draft)
    known: set[bytes] = set()
    for start in range(0, len(drafts), 200):
        wanted = [token for draft in drafts[start : start + 200] for token in draft.tokens]
        known.update(session.scalars(select(RecordToken.token).where(RecordToken.token.in_(wanted))))
    rows = {token: draft.record for draft in drafts for token in draft.tokens if token not in known}
    _insert(session, RecordToken, [{"token": token, "record": record} for token, record in rows.items()])


def _advance(session: Session, draft: Draft) -> None:
    """Make the next version the current one, if the one before it still is, and the record is still the same kind.

    Raises:
        Conflict: another version came first; or the record belongs to somebody else, which only a retraction mends.
    """
    same = (
        Record.id == draft.record,
        Record.current_version == draft.version - 1,
        Record.kind == draft.kind,
        Record.patient == draft.patient if draft.patient is not None else Record.patient.is_(None),
        Record.status == "active",
    )
    values = {"current_version": draft.version, "category": draft.category, "media_type": draft.media_type}
    changed = session.connection().execute(update(Record).where(*same).values(**values))
    if changed.rowcount != 1:
        raise Conflict("another version of the record came first", reason="version", place=draft.record)


def _write_ledger_records(
    node: Node, session: Session, versions: Sequence[SealedVersion], hashes: Sequence[bytes]
) -> None:
    """Records of some categories also stand on the ledger by id; their first version, since a used id never changes."""
    wanted = node.settings.ledger_record_categories
    for version, value in zip(versions, hashes, strict=True):
        if version.draft.version == 1 and version.draft.kind == "patient" and version.draft.category in wanted:
            enqueue(node, session, CreateRecord(version.draft.record, encode_bytes(value)))


def _record_row(draft: Draft, at: str) -> dict[str, Any]:
    return {
        "id": draft.record,
        "kind": draft.kind,
        "patient": draft.patient,
        "resource_type": draft.resource_type,
        "category": draft.category,
        "media_type": draft.media_type,
        "source_token": draft.source_token,
        "current_version": 1,
        "status": "active",
        "external_author": draft.author.msp_id if draft.author else None,
        "derived_from": draft.derived_from,
        "created_at": at,
    }


def _version_row(node: Node, version: SealedVersion, leaf: bytes, leaf_hash: bytes, at: str) -> dict[str, Any]:
    draft = version.draft
    return _row_key(version) | {
        "object_id": version.object_id,
        "digest": decode_bytes(version.sealed.digest, "digest"),
        "length": version.sealed.chunk_list.total_bytes,
        "content_token": draft.content_token,
        "clinical_start": draft.clinical[0],
        "clinical_end": draft.clinical[1],
        "stored_at": at,
        "leaf": leaf,
        "leaf_hash": leaf_hash,
        "undo": seal_undo(node, version),
    }


def _row_key(version: SealedVersion) -> dict[str, Any]:
    return {"record": version.draft.record, "version": version.draft.version}


def _insert(session: Session, table: type[Any], rows: list[dict[str, Any]]) -> None:
    if rows:
        session.connection().execute(insert(table), rows)


def _reference(draft: Draft) -> RecordRef:
    return RecordRef(
        record=draft.record,
        version=draft.version,
        resource_type=draft.resource_type,
        patient=draft.patient,
        state="stored",
    )
