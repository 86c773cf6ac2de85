"""Commits as futures: resolved by the one follower's thread, awaited on any event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio.to_thread
from anyio import CapacityLimiter

from domain.errors import OutcomeUnknown, Unavailable
from domain.ports import TransactionStatus
from node_service.database.engine import Database
from node_service.ledger_sync import projection

MAX_REMEMBERED: Final = 4096
_LOOKUPS_AT_ONCE: Final = 4


@dataclass(eq=False, slots=True)
class _Waiter:
    """One coroutine that waits; ``answer`` is set once, on its own loop."""

    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[TransactionStatus | None]

    def resolve(self, status: TransactionStatus | None) -> None:
        try:
            self.loop.call_soon_threadsafe(self._set, status)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def _set(self, status: TransactionStatus | None) -> None:
        if not self.answer.done():
            self.answer.set_result(status)


@dataclass(slots=True)
class _Waiting:
    by_transaction: dict[str, list[_Waiter]] = field(default_factory=dict)
    by_height: list[tuple[int, _Waiter]] = field(default_factory=list)


class ProjectedCommits:
    """What the follower has projected (see :class:`node_service.context.Commits`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting = _Waiting()
        self._remembered: OrderedDict[str, TransactionStatus] = OrderedDict()
        self._height = 0
        self._lookups = CapacityLimiter(_LOOKUPS_AT_ONCE)

    async def committed(self, tx_id: str, timeout_s: float) -> TransactionStatus:
        """Wait until the follower has projected the block that holds the transaction.

        Raises:
            OutcomeUnknown: it was not seen in time.
        """
        waiter = _new_waiter()
        with self._lock:
            known = self._remembered.get(tx_id)
            if known is None:
                self._waiting.by_transaction.setdefault(tx_id, []).append(waiter)
        if known is not None:
            return known
        try:
            status = await self._first(waiter, timeout_s, lambda: self._looked_up(tx_id))
        finally:
            self._forget(tx_id, waiter)
        if status is None:
            raise OutcomeUnknown("the transaction was not seen in a block in time", tx_id=tx_id)
        return status

    async def projected(self, height: int, timeout_s: float) -> None:
        """Wait until the projection holds all blocks below ``height``.

        Raises:
            Unavailable: it does not in time.
        """
        waiter = _new_waiter()
        with self._lock:
            if self._height >= height:
                return
            self._waiting.by_height.append((height, waiter))
        try:
            reached = await self._first(waiter, timeout_s, lambda: self._looked_up_height(height))
        finally:
            with self._lock:
                self._waiting.by_height = [one for one in self._waiting.by_height if one[1] is not waiter]
        if reached is None:
            raise Unavailable("the own view of the ledger is behind", reason="projection-behind")

    def resolve(self, statuses: Sequence[TransactionStatus], height: int) -> None:
        """Called by the follower after its database transaction: these are projected now."""
        with self._lock:
            self._height = max(self._height, height)
            woken = [(one, status) for status in statuses for one in self._waiting.by_transaction.pop(status.tx_id, [])]
            reached = [one for wanted, one in self._waiting.by_height if wanted <= height]
            self._waiting.by_height = [one for one in self._waiting.by_height if one[0] > height]
            for status in statuses:
                self._remembered.setdefault(status.tx_id, status)
            while len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        for waiter, status in woken:
            waiter.resolve(status)
        for waiter in reached:
            waiter.resolve(TransactionStatus("", projection.VALID, height))

    def refresh(self) -> None:
        """Look what the follower of another process has projected of what is waited for here; any thread may call it.

        Raises:
            Unavailable: the database is gone.
        """
        with self._lock:
            wanted, heights = list(self._waiting.by_transaction), bool(self._waiting.by_height)
        if not wanted and not heights:
            return
        with self._database.reading() as session:
            height = projection.height(session)
            found = [(tx_id, projection.code_and_block(session, tx_id)) for tx_id in wanted]
        self.resolve([TransactionStatus(tx_id, *known) for tx_id, known in found if known is not None], height)

    async def _first(
        self, waiter: _Waiter, timeout_s: float, look_up: Callable[[], TransactionStatus | None]
    ) -> TransactionStatus | None:
        """The database's answer if it knows already, else what the follower says before the time is over."""
        known = await anyio.to_thread.run_sync(look_up, limiter=self._lookups)
        if known is not None:
            return known
        try:
            return await asyncio.wait_for(waiter.answer, timeout_s)
        except TimeoutError:
            return None

    def _looked_up(self, tx_id: str) -> TransactionStatus | None:
        with self._database.reading() as session:
            found = projection.code_and_block(session, tx_id)
        return None if found is None else TransactionStatus(tx_id, *found)

    def _looked_up_height(self, height: int) -> TransactionStatus | None:
        with self._database.reading() as session:
            reached = projection.height(session)
        return TransactionStatus("", projection.VALID, reached) if reached >= height else None

    def _forget(self, tx_id: str, waiter: _Waiter) -> None:
        with self._lock:
            left = [one for one in self._waiting.by_transaction.get(tx_id, []) if one is not waiter]
            if left:
                self._waiting.by_transaction[tx_id] = left
            else:
                self._waiting.by_transaction.pop(tx_id, None)


def _new_waiter() -> _Waiter:
    loop = asyncio.get_running_loop()
    return _Waiter(loop, loop.create_future())
