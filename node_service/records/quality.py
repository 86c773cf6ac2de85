"""The data-quality report of an ingestion run: codes and places, never values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from domain.identifiers import check_identifier
from domain.instants import instant
from node_service.client.wire import QualityEntry, QualityPage
from node_service.context import Node
from node_service.database.models import QualityFinding
from node_service.fhir.quality import MAX_FINDINGS, Finding

PAGE_ENTRIES = 1000
MAX_PLACE_CHARACTERS = 512


def write_findings(node: Node, session: Session, run: str, findings: Sequence[Finding]) -> None:
    """Keep what a run found, in the caller's transaction; at most ``MAX_FINDINGS``."""
    at = instant(node.clock.now())
    rows: list[dict[str, Any]] = [
        {
            "run": run,
            "code": finding.code.value,
            "record": None,
            "place": finding.place[:MAX_PLACE_CHARACTERS],
            "found_at": at,
        }
        for finding in findings[:MAX_FINDINGS]
    ]
    if rows:
        session.connection().execute(insert(QualityFinding), rows)


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
