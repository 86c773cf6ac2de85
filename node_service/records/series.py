"""Closing an upload: one manifest per series, which makes the series a record or its next version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from domain.errors import Conflict, NotFound, Tampered, Unavailable
from domain.identifiers import IDENTIFIER_BYTES, encode_bytes, identifier
from domain.instants import instant
from domain.ports import CustodyEntry, NoKey
from node_service.client.wire import IngestReport, RecordRef
from node_service.context import Node
from node_service.database.models import Member as MemberRow
from node_service.database.models import Record, RecordVersion
from node_service.records.drafts import Draft
from node_service.records.instances import CATEGORY, DICOM, MEMBER_VERSION, RESOURCE_TYPE
from node_service.records.reading import open_members
from node_service.records.sealing import put_sealed, seal_draft
from node_service.records.writing import write_versions
from offchain.envelope.composite import Manifest, Member
from offchain.envelope.wraps import KeyBinding, Wrap

MAX_RACES: Final = 4
_KEYS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A series with members that no manifest lists."""

    record: Record
    rows: tuple[MemberRow, ...]
    leaf_hash: bytes | None = field(repr=False)


def close_upload(node: Node, upload: str) -> IngestReport:
    """Cut a manifest for every series that the upload brought members of; to close it again changes nothing.

    Raises:
        Tampered: what is stored of a series was altered.
        Unavailable: store, custody or database; the call may be repeated.
    """
    with node.database.reading() as session:
        query = select(MemberRow.record).distinct().where(_is_pending(upload))
        records = sorted(session.scalars(query))
    stored: list[RecordRef] = []
    instances = 0
    for record in records:
        reference, count = _close_series(node, upload, record)
        stored.extend(reference)
        instances += count
    return IngestReport(
        run=identifier(node.random(IDENTIFIER_BYTES)),
        stored=stored,
        unchanged=0,
        skipped=[],
        refused=[],
        resources_by_type={RESOURCE_TYPE: len(stored)} if stored else {},
        dicom_instances=instances,
    )


def _close_series(node: Node, upload: str, record: str) -> tuple[list[RecordRef], int]:
    for _ in range(MAX_RACES):
        with node.database.reading() as session:
            waiting = _waiting(session, upload, record)
        if not waiting.rows:
            return [], 0  # another close came first
        version = seal_draft(node, _draft(node, waiting))
        put_sealed(node, [version])
        try:
            with node.database.transaction() as session:
                written = write_versions(node, session, [version])
                _list_members(session, waiting, written[0].version)
        except Conflict:
            continue
        return written, len(waiting.rows)
    raise Unavailable("other writers were faster each time", reason="races")


def _is_pending(upload: str) -> Any:
    return (MemberRow.upload == upload) & MemberRow.manifest_version.is_(None)


def _waiting(session: Session, upload: str, record: str) -> _Waiting:
    row = session.get(Record, record)
    if row is None:
        raise NotFound("there is no such record", reason="no-record")
    rows = session.scalars(select(MemberRow).where(MemberRow.record == record, _is_pending(upload))).all()
    current = session.get(RecordVersion, (record, row.current_version))
    return _Waiting(row, tuple(rows), current.leaf_hash if current else None)


def _draft(node: Node, waiting: _Waiting) -> Draft:
    record = waiting.record
    series, fresh = _new_members(node, waiting)
    former = open_members(node, record.id).members if record.current_version else ()
    manifest = Manifest(tuple(sorted((*former, *fresh), key=_order)), series)
    date = str(series["date"]) or None
    return Draft(
        record=record.id,
        version=record.current_version + 1,
        kind="patient",
        patient=record.patient,
        resource_type=RESOURCE_TYPE,
        category=CATEGORY,
        media_type=DICOM,
        content=manifest,
        source_token=record.source_token,
        content_token=node.secrets.blind("manifest", *(member.digest for member in manifest.members)),
        clinical=(date, date),
        previous_leaf=waiting.leaf_hash,
        opened=True,
    )


def _new_members(node: Node, waiting: _Waiting) -> tuple[dict[str, Any], list[Member]]:
    """What the headers say about the series, and its new members with their keys."""
    members: list[Member] = []
    series: dict[str, Any] = {}
    for start in range(0, len(waiting.rows), _KEYS_AT_ONCE):
        rows = waiting.rows[start : start + _KEYS_AT_ONCE]
        entry = CustodyEntry(
            identifier(node.random(IDENTIFIER_BYTES)), "manifest", len(rows), instant(node.clock.now())
        )
        wraps = [(KeyBinding(row.object_id, row.record, MEMBER_VERSION), Wrap.parse(row.wrap)) for row in rows]
        for row, key in zip(rows, node.custody.unwrap_many(entry, wraps), strict=True):
            if isinstance(key, NoKey):
                raise NotFound("the key of a member is gone", reason="no-key", place=row.record)
            fields = _attributes(node, row)
            series = series or fields["series"]
            members.append(Member(row.object_id, encode_bytes(row.digest), fields["length"], key, fields["member"]))
    return series, members


def _attributes(node: Node, row: MemberRow) -> dict[str, Any]:
    if row.attributes is None:
        raise Tampered("a member lost what its header said", reason="member", place=row.object_id)
    fields: dict[str, Any] = json.loads(
        node.secrets.open_local(["member", "attributes", row.object_id], row.attributes)
    )
    return fields


def _list_members(session: Session, waiting: _Waiting, version: int) -> None:
    """The manifest keeps what the headers said; the rows forget it.

    Raises:
        Conflict: another close listed some of them meanwhile.
    """
    ids: Sequence[str] = [row.object_id for row in waiting.rows]
    for start in range(0, len(ids), _KEYS_AT_ONCE):
        part = ids[start : start + _KEYS_AT_ONCE]
        listed = update(MemberRow).where(MemberRow.object_id.in_(part), MemberRow.manifest_version.is_(None))
        done = session.connection().execute(listed.values(manifest_version=version, attributes=None))
        if done.rowcount != len(part):
            raise Conflict("another close of the upload came first", reason="members")


def _order(member: Member) -> tuple[bool, int, str]:
    number = member.attributes.get("instanceNumber")
    is_number = isinstance(number, int)
    return (not is_number, number if isinstance(number, int) else 0, str(member.attributes.get("sopInstanceUid")))
