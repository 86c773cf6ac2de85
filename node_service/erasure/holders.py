"""Which other hospitals had a record: the access log names every release, and every contribution."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import leaves
from domain.entries import AttestationEntry
from domain.erasure import Attested, Missing
from node_service.context import Node
from node_service.database.erasure_models import ReleaseNotice
from node_service.database.models import AccessRow, Record
from node_service.ledger_sync import projection

RELEASING = ("release", "break-glass", "create")
_FETCH_ROWS = 1000


def holders(node: Node, session: Session, record: Record, *, before: str | None = None) -> list[str]:
    """MSP ids of the hospitals to which the record was released (before an instant), or which contributed it."""
    query = select(AccessRow.leaf).where(AccessRow.access.is_not(None))
    if record.patient is not None:
        query = query.where(AccessRow.patient == record.patient)
    found = {record.external_author} if record.external_author is not None else set[str]()
    for leaf in _naming(session.scalars(query.execution_options(yield_per=_FETCH_ROWS)), record.id):
        is_early = before is None or leaf.at <= before
        if is_early and leaf.action in RELEASING and leaf.outcome == "ok":
            found.add(leaf.organisation)
    return sorted(found - {node.msp_id})


def copies(node: Node, session: Session, record: str) -> tuple[tuple[Attested, ...], tuple[Missing, ...]]:
    """What the hospitals that were told of the erasure attested on the ledger, and who has not."""
    attested: list[Attested] = []
    missing: list[Missing] = []
    query = select(ReleaseNotice).where(ReleaseNotice.record == record, ReleaseNotice.event == "erased")
    for notice in session.scalars(query.order_by(ReleaseNotice.msp_id)):
        entry = projection.entry(session, AttestationEntry, node.msp_id, record, notice.msp_id)
        if entry is not None:
            attested.append(Attested(notice.msp_id, entry.retained_until))
        else:
            missing.append(Missing(notice.msp_id, _MISSING.get(notice.answer or "", "not-told")))
    return tuple(attested), tuple(missing)


def _naming(encoded: Iterator[bytes], record: str) -> Iterator[leaves.AccessLeaf]:
    """Leaves that name the record; ids are random, so a row that does not hold the bytes is not parsed."""
    wanted = f'"{record}"'.encode()
    return (leaves.parse_access_leaf(one) for one in encoded if wanted in one)


_MISSING = {"accepted": "told", "unknown": "unknown-there"}
