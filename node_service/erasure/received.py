"""Notices of other hospitals about records that they had released here: copies are destroyed, people are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from domain import leaves
from domain.entries import StatusEntry
from domain.errors import Conflict
from domain.identifiers import check_identifier
from domain.instants import instant
from domain.transactions import AttestErasure
from node_service.access_log.rows import Entry, record
from node_service.client import exchange_wire
from node_service.context import Node
from node_service.database.erasure_models import ReceivedNotice
from node_service.database.models import AccessRow, OpenedAccess
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import enqueue
from node_service.sharing.notices import notify
from node_service.witnessing.freshness import catch_up

OFFICERS: Final = ("privacy-officer", "medical-records")
_ENDS: Final = {"retracted": ("retracted", "erased"), "erased": ("erased",)}
_ACTION: Final = {"retracted": "retract", "erased": "erase"}


async def accept_notices(node: Node, caller: str, body: exchange_wire.NoticeDelivery) -> exchange_wire.NoticeReceipt:
    """Take notices about the caller's own records; those about records that never came from it are ``unknown``.

    Keys that could open what was released are destroyed and the destruction is attested on the ledger; the
    practitioners who read are told. The same delivery again changes nothing.

    Raises:
        Invalid: an id is none.
        Conflict: the ledger does not say that the caller retracted or erased the record (``not-on-ledger``).
        Unavailable: the own projection is behind, or the database.
    """
    for notice in body.notices:
        check_identifier(notice.id, "notices.id")
        check_identifier(notice.record, "notices.record")
    await catch_up(node)
    return await node.in_database(_accept, node, caller, body.notices)


def _accept(node: Node, caller: str, notices: Sequence[exchange_wire.ReleaseNotice]) -> exchange_wire.NoticeReceipt:
    with node.database.reading() as session:
        readings = _readings(session, caller, {notice.record for notice in notices})
        known = [notice for notice in notices if notice.record in readings]
        for notice in known:
            _verify_on_ledger(session, caller, notice)
    with node.database.transaction() as session:
        fresh = [one for one in known if session.get(ReceivedNotice, (caller, one.id)) is None]
        for notice in fresh:
            _take(node, session, caller, notice, readings[notice.record])
        gone = sorted({notice.record for notice in fresh if notice.event in _ENDS})
        if gone:
            enqueue(node, session, AttestErasure(caller, tuple(gone), None))
    accepted = [notice.id for notice in known]
    return exchange_wire.NoticeReceipt(
        accepted=accepted, unknown=[notice.id for notice in notices if notice.id not in set(accepted)]
    )


def _readings(session: Session, custodian: str, records: set[str]) -> Mapping[str, list[OpenedAccess]]:
    """By record, the openings at that custodian under which this hospital's own log names it."""
    query = (
        select(AccessRow.leaf, OpenedAccess)
        .join(OpenedAccess, OpenedAccess.id == AccessRow.access)
        .where(OpenedAccess.custodian == custodian)
    )
    found: dict[str, dict[str, OpenedAccess]] = {}
    for encoded, opening in session.execute(query.execution_options(yield_per=1000)):
        for one in records.intersection(leaves.parse_access_leaf(encoded).records):
            found.setdefault(one, {})[opening.id] = opening
    return {one: list(openings.values()) for one, openings in found.items()}


def _verify_on_ledger(session: Session, caller: str, notice: exchange_wire.ReleaseNotice) -> None:
    if notice.event not in _ENDS:
        return
    entry = projection.entry(session, StatusEntry, caller, notice.record)
    if entry is None or entry.status not in _ENDS[notice.event]:
        raise Conflict("the ledger does not say so", reason="not-on-ledger", place=notice.record)


def _take(
    node: Node,
    session: Session,
    caller: str,
    notice: exchange_wire.ReleaseNotice,
    openings: Sequence[OpenedAccess],
) -> None:
    session.add(
        ReceivedNotice(
            custodian=caller, id=notice.id, record=notice.record, event=notice.event, version=notice.version,
            received_at=instant(node.clock.now()),
        )
    )  # fmt: skip
    if notice.event in _ENDS:
        ids = [opening.id for opening in openings]
        session.execute(update(OpenedAccess).where(OpenedAccess.id.in_(ids)).values(secret=None))
        action = _ACTION[notice.event]
        record(node, session, Entry(action, caller, "system", None, (notice.record,), outcome="copies-destroyed"))
    readers = sorted({f"staff:{opening.practitioner}" for opening in openings})
    told = [*readers, *(f"role:{role}" for role in OFFICERS)]
    notify(node, session, told, f"shared-record-{notice.event}", [caller, notice.record])
