"""Tells other hospitals what became of records that were released to them, until each has answered.

Who left the channel is not asked: it has no address that counts. Should it come back, it is told then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import select, update

from domain.errors import YilianError
from domain.instants import instant
from node_service.client import exchange_wire
from node_service.context import Node
from node_service.database.erasure_models import ReleaseNotice
from node_service.erasure.cases import reopen_cases
from node_service.ledger_sync.registry import active_organizations
from node_service.pauses import Pauses

IDLE: Final = timedelta(seconds=10)
FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(minutes=10)
MAX_PER_DELIVERY: Final = 200
_LOG: Final = logging.getLogger(__name__)


class Telling(Protocol):
    """The part of the exchange that notices need."""

    async def deliver_notices(self, holder: str, body: exchange_wire.NoticeDelivery) -> exchange_wire.NoticeReceipt:
        """Deliver; raises the other side's error, or ``Unavailable``."""


class Notifier:
    """One per node; ``step`` is called by one thread, with a client of its own on an event loop of its own."""

    def __init__(self, node: Node, exchange: Callable[[], AbstractAsyncContextManager[Telling]]) -> None:
        self._node = node
        self._exchange = exchange
        self._pauses = Pauses(FIRST_PAUSE, LONGEST_PAUSE)

    def step(self, now: datetime) -> datetime:
        """Deliver what waits; return when to look again. One hospital that is down delays no other.

        Raises:
            Unavailable: the own database.
        """
        waiting = self._waiting(now)
        if waiting:
            asyncio.run(self._deliver_all(waiting, now))
        return min(now + IDLE, self._pauses.next_due(now) or now + IDLE)

    def _waiting(self, now: datetime) -> dict[str, list[exchange_wire.ReleaseNotice]]:
        found: dict[str, list[exchange_wire.ReleaseNotice]] = defaultdict(list)
        with self._node.database.reading() as session:
            members = active_organizations(session)
            query = select(ReleaseNotice).where(ReleaseNotice.answer.is_(None), ReleaseNotice.msp_id.in_(members))
            for row in session.scalars(query.order_by(ReleaseNotice.created_at, ReleaseNotice.id)):
                if self._pauses.is_due(row.msp_id, now) and len(found[row.msp_id]) < MAX_PER_DELIVERY:
                    found[row.msp_id].append(_wire(row))
        return {msp_id: notices for msp_id, notices in found.items() if notices}

    async def _deliver_all(self, waiting: dict[str, list[exchange_wire.ReleaseNotice]], now: datetime) -> None:
        async with self._exchange() as exchange:
            for msp_id, notices in waiting.items():
                try:
                    receipt = await exchange.deliver_notices(msp_id, exchange_wire.NoticeDelivery(notices=notices))
                except YilianError as error:
                    pause = self._pauses.tried(msp_id, now).total_seconds()
                    _LOG.warning("%s cannot be told of records (%s); again in %d s", msp_id, error.reason, pause)
                else:
                    self._pauses.forget(msp_id)
                    self._note(receipt, [notice.id for notice in notices], now)

    def _note(self, receipt: exchange_wire.NoticeReceipt, sent: Sequence[str], now: datetime) -> None:
        """Only what was sent is answered, whatever the other side writes."""
        answers = dict.fromkeys(receipt.unknown, "unknown") | dict.fromkeys(receipt.accepted, "accepted")
        with self._node.database.transaction() as session:
            for notice in sent:
                if notice in answers:
                    done = update(ReleaseNotice).where(ReleaseNotice.id == notice)
                    session.execute(done.values(answer=answers[notice], answered_at=instant(now)))
            reopen_cases(session, [notice for notice in sent if notice in answers])


def _wire(row: ReleaseNotice) -> exchange_wire.ReleaseNotice:
    event = row.event
    assert event in ("superseded", "retracted", "erased")  # noqa: S101 - written by this package
    return exchange_wire.ReleaseNotice(id=row.id, record=row.record, event=event, version=row.version)
