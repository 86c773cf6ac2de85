"""What the database already holds: records by identity of input, and targets of references."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from domain.errors import Invalid
from domain.identifiers import check_identifier
from node_service.database.models import Record, RecordToken, RecordVersion
from node_service.fhir.bundle_index import conditional_key
from node_service.fhir.references import ReferenceKind, parse_reference
from node_service.records.identity import identifier_token, resource_token
from node_service.secrets import NodeSecrets

_QUERY_ITEMS: Final = 400


@dataclass(frozen=True, slots=True)
class Known:
    """A record in its current version."""

    record: str
    kind: str
    patient: str | None
    version: int
    content_token: bytes = field(repr=False)
    leaf_hash: bytes = field(repr=False)
    status: str


@dataclass(frozen=True, slots=True)
class Target:
    """What a reference leads to; no ``kind`` where a token is reserved for a resource that has not come yet."""

    reference: str
    kind: str | None
    patient: str | None


def known_records(session: Session, source_tokens: Collection[bytes]) -> dict[bytes, Known]:
    """The records with these identities of input."""
    return {
        record.source_token: _known(record, content, leaf)
        for part in _parts(source_tokens)
        for record, content, leaf in session.execute(_CURRENT.where(Record.source_token.in_(part)))
    }


def known_record(session: Session, record: str) -> Known | None:
    """A record by its id; None where the id is only reserved."""
    row = session.execute(_CURRENT.where(Record.id == record)).first()
    return None if row is None else _known(*row)


_CURRENT: Final = select(Record, RecordVersion.content_token, RecordVersion.leaf_hash).join(
    RecordVersion, and_(RecordVersion.record == Record.id, RecordVersion.version == Record.current_version)
)


def _known(record: Record, content_token: bytes, leaf_hash: bytes) -> Known:
    return Known(
        record.id, record.kind, record.patient, record.current_version, content_token, leaf_hash, record.status
    )


def records_by_token(session: Session, tokens: Collection[bytes]) -> dict[bytes, str]:
    """Record ids by reference token, those included that are only reserved."""
    return {
        token: record
        for part in _parts(tokens)
        for token, record in session.execute(
            select(RecordToken.token, RecordToken.record).where(RecordToken.token.in_(part))
        )
    }


def stored_targets(session: Session, secrets: NodeSecrets, source: str, references: Iterable[str]) -> dict[str, Target]:
    """What reference texts lead to in the database; those that lead nowhere are left out."""
    tokens = {text: token for text in set(references) if (token := _token(secrets, source, text)) is not None}
    by_token = records_by_token(session, set(tokens.values()))
    own = {text: record for text in set(references) if (record := _own_record(text)) is not None}
    rows = _records(session, {*by_token.values(), *own.values()})
    found: dict[str, Target] = {}
    for text, token in tokens.items():
        if token in by_token:
            found[text] = _target(rows.get(by_token[token]), parse_reference(text)[1], by_token[token])
    for text, record in own.items():
        row = rows.get(record)
        if row is not None and row.resource_type == parse_reference(text)[1]:
            found[text] = _target(row, row.resource_type, record)
    return found


def _token(secrets: NodeSecrets, source: str, text: str) -> bytes | None:
    kind, target_type, target_id = parse_reference(text)
    if kind is ReferenceKind.RELATIVE:
        return resource_token(secrets, source, target_type, target_id)
    if kind is ReferenceKind.CONDITIONAL and (key := conditional_key(text)):
        return identifier_token(secrets, key)
    return None


def _own_record(text: str) -> str | None:
    """The record id in a reference that is written with this hospital's own ids."""
    kind, _, target_id = parse_reference(text)
    if kind is not ReferenceKind.RELATIVE:
        return None
    try:
        return check_identifier(target_id, "reference")
    except Invalid:
        return None


def _records(session: Session, records: Collection[str]) -> dict[str, Record]:
    return {
        row.id: row for part in _parts(records) for row in session.scalars(select(Record).where(Record.id.in_(part)))
    }


def _target(row: Record | None, resource_type: str, record: str) -> Target:
    reference = f"{resource_type}/{record}"
    return Target(reference, row.kind, row.patient) if row is not None else Target(reference, None, None)


def _parts(values: Collection[Any]) -> Iterator[list[Any]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _QUERY_ITEMS):
        yield ordered[start : start + _QUERY_ITEMS]
