"""The data-quality report of an ingestion run: codes and places, never values."""

from __future__ import annotations

from sqlalchemy import select

from domain.identifiers import check_identifier
from node_service.client.wire import QualityEntry, QualityPage
from node_service.context import Node
from node_service.database.models import QualityFinding

PAGE_ENTRIES = 1000


def quality_of_run(node: Node, run: str, after: int = 0) -> QualityPage:
    """A page of what was found in one run, in the order of the input; an unknown run has nothing.

    Raises:
        Invalid: no id of a run.
    """
    query = (
        select(QualityFinding)
        .where(QualityFinding.run == check_identifier(run, "run"), QualityFinding.id > after)
        .order_by(QualityFinding.id)
        .limit(PAGE_ENTRIES + 1)
    )
    with node.database.reading() as session:
        rows = session.scalars(query).all()
    items = [QualityEntry(code=row.code, place=row.place, found_at=row.found_at) for row in rows[:PAGE_ENTRIES]]
    return QualityPage(items=items, next=rows[PAGE_ENTRIES - 1].id if len(rows) > PAGE_ENTRIES else None)
