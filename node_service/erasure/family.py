"""Which records stand and fall together: a source, and everything that was made from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.errors import Invalid
from node_service.database.models import Record

MAX_FAMILY: Final = 2000
_QUERY_ITEMS: Final = 300


def family(session: Session, record: Record) -> list[Record]:
    """The record, its source, the source's source, and what was made from any of them, of the same patient or nobody.

    What was made from the same source for another patient stays that patient's own.

    Raises:
        Invalid: more records than one order can carry.
    """
    root = record
    while root.derived_from is not None:
        root = session.get_one(Record, root.derived_from)
    found, newest = {root.id: root}, [root.id]
    while newest:
        children = [one for one in _derived(session, newest) if one.id not in found]
        found.update((one.id, one) for one in children)
        newest = [one.id for one in children]
        if len(found) > MAX_FAMILY:
            raise Invalid(f"more than {MAX_FAMILY} records were made from one source", reason="too-many")
    return [one for _, one in sorted(found.items()) if one.patient in (record.patient, None)]


def _derived(session: Session, sources: Iterable[str]) -> list[Record]:
    wanted = list(sources)
    return [
        one
        for start in range(0, len(wanted), _QUERY_ITEMS)
        for one in session.scalars(select(Record).where(Record.derived_from.in_(wanted[start : start + _QUERY_ITEMS])))
    ]
