"""Records as lists show them: no content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, cast

from sqlalchemy import Row, Select, and_, select
from sqlalchemy.orm import Session

from domain.errors import NotFound
from node_service.client.wire import RecordEntry, RecordPage, State
from node_service.context import Node
from node_service.database.models import Record, RecordVersion
from node_service.ledger_sync.projection import anchored_size
from node_service.logs.log import RECORDS
from node_service.witnessing.notes import witnessed_heads

MAX_PAGE_ITEMS: Final = 1000
_QUERY_ITEMS: Final = 400
Joined = Row[Record, RecordVersion]


def entry(node: Node, session: Session, record: str, version: int | None = None) -> RecordEntry:
    """One record of the own hospital, in its current or another version.

    Raises:
        NotFound: there is no such record or version.
    """
    wanted = Record.current_version if version is None else version
    query = select(Record, RecordVersion).join(
        RecordVersion, and_(RecordVersion.record == Record.id, RecordVersion.version == wanted)
    )
    row = session.execute(query.where(Record.id == record)).one_or_none()
    if row is None:
        raise NotFound("there is no such record", reason="no-record")
    return _entries(node, session, [row])[0]


def entries(node: Node, session: Session, records: Sequence[str]) -> list[RecordEntry]:
    """The current versions of records, in the order asked for; unknown ones are left out."""
    found: dict[str, RecordEntry] = {}
    for start in range(0, len(records), _QUERY_ITEMS):
        query = _current().where(Record.id.in_(records[start : start + _QUERY_ITEMS]))
        found.update((one.record, one) for one in _entries(node, session, session.execute(query).all()))
    return [found[record] for record in records if record in found]


def history(node: Node, session: Session, record: str) -> list[RecordEntry]:
    """All versions of a record, the newest first.

    Raises:
        NotFound: there is no such record.
    """
    query = select(Record, RecordVersion).join(RecordVersion, RecordVersion.record == Record.id)
    rows = session.execute(query.where(Record.id == record).order_by(RecordVersion.version.desc())).all()
    if not rows:
        raise NotFound("there is no such record", reason="no-record")
    return _entries(node, session, rows)


def page_of_patient(
    node: Node,
    session: Session,
    patient: str,
    *,
    after: str | None = None,
    limit: int = MAX_PAGE_ITEMS,
    resource_types: Iterable[str] = (),
    categories: Iterable[str] = (),
) -> RecordPage:
    """A page of a patient's records in the order of their ids; ``next`` continues it."""
    query = _current().where(Record.kind == "patient", Record.patient == patient)
    return _page(node, session, _narrowed(query, resource_types, categories), after, limit)


def page_of_kind(
    node: Node, session: Session, kind: str, *, after: str | None = None, limit: int = MAX_PAGE_ITEMS
) -> RecordPage:
    """A page of the directory's or the institution's records."""
    return _page(node, session, _current().where(Record.kind == kind), after, limit)


def _current() -> Select[Record, RecordVersion]:
    return select(Record, RecordVersion).join(
        RecordVersion,
        and_(RecordVersion.record == Record.id, RecordVersion.version == Record.current_version),
    )


def _narrowed(
    query: Select[Record, RecordVersion], resource_types: Iterable[str], categories: Iterable[str]
) -> Select[Record, RecordVersion]:
    if types := list(resource_types):
        query = query.where(Record.resource_type.in_(types))
    if wanted := list(categories):
        query = query.where(Record.category.in_(wanted))
    return query


def _page(
    node: Node, session: Session, query: Select[Record, RecordVersion], after: str | None, limit: int
) -> RecordPage:
    size = max(1, min(limit, MAX_PAGE_ITEMS))
    if after is not None:
        query = query.where(Record.id > after)
    rows = session.execute(query.order_by(Record.id).limit(size + 1)).all()
    items = _entries(node, session, rows[:size])
    return RecordPage(items=items, next=items[-1].record if len(rows) > size else None)


def _entries(node: Node, session: Session, rows: Sequence[Joined]) -> list[RecordEntry]:
    incarnations = {version.incarnation for _, version in rows if version.incarnation is not None}
    anchored = {one: anchored_size(session, node.msp_id, one, RECORDS) for one in incarnations}
    witnessed = witnessed_heads(session, node.msp_id, RECORDS)
    return [_entry(record, version, _state(version, anchored, witnessed)) for record, version in rows]


def _entry(record: Record, version: RecordVersion, state: State) -> RecordEntry:
    return RecordEntry(
        record=record.id,
        version=version.version,
        kind=cast(Literal["patient", "directory", "institution"], record.kind),
        patient=record.patient,
        resource_type=record.resource_type,
        category=record.category,
        media_type=record.media_type,
        clinical_start=version.clinical_start,
        clinical_end=version.clinical_end,
        stored_at=version.stored_at,
        status=record.status,
        state=state,
        length=version.length,
        derived_from=record.derived_from,
    )


def _state(version: RecordVersion, anchored: dict[int, int], witnessed: dict[int, int]) -> State:
    """``anchored``: covered by a head that the own projection holds; ``witnessed``: in a block that others signed."""
    if version.log_index is None or version.incarnation is None:
        return "stored"
    if version.log_index < witnessed.get(version.incarnation, 0):
        return "witnessed"
    return "anchored" if version.log_index < anchored.get(version.incarnation, 0) else "stored"
