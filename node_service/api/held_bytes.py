"""A bound on the memory that all bodies take together while they are read and worked on.

Each connection alone is bounded; thousands of them, each one byte short of its bound, are bounded here. Whoever comes
when all is taken waits: the server stops reading that connection, so its sender waits too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import anyio
from starlette.exceptions import HTTPException


@dataclass(eq=False, slots=True)
class _Waiting:
    count: int
    account: str | None
    admitted: anyio.Event = field(default_factory=anyio.Event)


class HeldBytes:
    """Counts what is held, and lets in by turns; one event loop uses it.

    Accounts take turns, and the bodies of one are let in as they came. Nobody overtakes whose turn it is while it does
    not fit, so a large body is not starved by small ones, nor one account by the many bodies of another. An account
    with several bodies holds half of the room at most.
    """

    def __init__(self, max_bytes: int, *, patience_s: float) -> None:
        self._max_bytes = max_bytes
        self._patience_s = patience_s
        self._held = 0
        self._held_by: Counter[str] = Counter()
        self._queue: list[_Waiting] = []
        self._turn = 0
        self._turns: dict[str, int] = {}  # the last one of each account that holds or waits

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody waits for room."""
        return bool(self._queue)

    async def take(self, count: int, account: str | None = None) -> None:
        """Count bytes, once there is room for them; None is nobody in particular, in the order of coming.

        Raises:
            HTTPException: 503, there was no room in time.
        """
        one = _Waiting(count, account)
        self._queue.append(one)
        self._admit()
        if one.admitted.is_set():
            return
        try:
            with anyio.fail_after(self._patience_s):
                await one.admitted.wait()
        except BaseException as error:  # whoever is cancelled must not stay in the way either
            self._leave(one)
            if isinstance(error, TimeoutError):
                raise HTTPException(503) from None
            raise

    def give(self, count: int, account: str | None = None) -> None:
        """Bytes are no longer held."""
        self._count(-count, account)
        self._forget(account)
        self._admit()

    def _admit(self) -> None:
        while (one := self._next()) is not None and self._fits(one):
            self._queue.remove(one)
            self._count(one.count, one.account)
            self._turn += 1
            if one.account is not None:
                self._turns[one.account] = self._turn
            one.admitted.set()

    def _next(self) -> _Waiting | None:
        within = (one for one in self._queue if self._is_within_half(one))
        return min(within, key=lambda one: self._turns.get(one.account or "", 0), default=None)

    def _is_within_half(self, one: _Waiting) -> bool:
        held = self._held_by[one.account] if one.account is not None else 0
        return not held or 2 * (held + one.count) <= self._max_bytes

    def _fits(self, one: _Waiting) -> bool:
        """One body alone always fits."""
        return not self._held or self._held + one.count <= self._max_bytes

    def _leave(self, one: _Waiting) -> None:
        if one.admitted.is_set():
            self.give(one.count, one.account)
        else:
            self._queue.remove(one)
            self._forget(one.account)
            self._admit()

    def _forget(self, account: str | None) -> None:
        if account is not None and not self._held_by[account] and all(one.account != account for one in self._queue):
            self._turns.pop(account, None)

    def _count(self, count: int, account: str | None) -> None:
        self._held += count
        if account is not None:
            self._held_by[account] += count
            self._held_by += Counter()  # who holds nothing is not kept
