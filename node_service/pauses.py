"""Pauses between attempts, kept in memory, that hold whatever becomes of the clock meanwhile."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta


class Pauses:
    """What was tried in vain, and when it is due once more: after pauses that double, up to the longest.

    A pause holds from the moment that it began: a clock that was set back before that moment ends it, for else a clock
    that was wrong by days would delay what it had to wait for by days. All is forgotten with the process: a restart
    tries everything once.
    """

    def __init__(self, first: timedelta, longest: timedelta) -> None:
        self._first, self._longest = first, longest
        self._tried: dict[str, tuple[datetime, timedelta]] = {}

    def is_due(self, name: str, now: datetime) -> bool:
        """Whether it was not tried yet, or its pause is over."""
        since, pause = self._tried.get(name, (now, timedelta()))
        return not since <= now < since + pause

    def tried(self, name: str, now: datetime) -> timedelta:
        """It is tried now, in vain; returns the pause, which is twice the last."""
        _, last = self._tried.get(name, (now, self._first / 2))
        pause = min(2 * last, self._longest)
        self._tried[name] = (now, pause)
        return pause

    def next_due(self, now: datetime) -> datetime | None:
        """When the first of the pauses that hold now is over; None if none does."""
        return min(
            (since + pause for since, pause in self._tried.values() if since <= now < since + pause), default=None
        )

    def forget(self, name: str) -> None:
        """It succeeded: the next pause is the first again."""
        self._tried.pop(name, None)

    def keep(self, names: Collection[str]) -> None:
        """Forget all others: they succeeded, or are refused for good."""
        for name in self._tried.keys() - names:
            del self._tried[name]
