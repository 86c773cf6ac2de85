"""Pauses between attempts of what the network's validation refused, though nothing is known to be wrong with it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

UNENDORSED: Final = "ENDORSEMENT_POLICY_FAILURE"
"""The code that may last: endorsements sufficed for an endorser's peer and do not suffice for the channel."""
FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(minutes=5)


class Backoff:
    """What was tried again, and when it is due once more: at once, then after pauses that double, five minutes at most.

    It is forgotten with the process: a restart tries everything once.
    """

    def __init__(self) -> None:
        self._tried: dict[str, tuple[timedelta, datetime]] = {}

    def is_due(self, name: str, now: datetime) -> bool:
        """Whether the pause is over; also where the clock was set back meanwhile."""
        _, due = self._tried.get(name, (FIRST_PAUSE, now))
        return not now < due <= now + LONGEST_PAUSE

    def tried(self, name: str, now: datetime) -> None:
        """It is tried again now: the next pause is twice the last."""
        pause, _ = self._tried.get(name, (FIRST_PAUSE, now))
        self._tried[name] = (min(2 * pause, LONGEST_PAUSE), now + pause)

    def keep(self, names: Collection[str]) -> None:
        """Forget all others: they succeeded, or are refused for good."""
        for name in self._tried.keys() - names:
            del self._tried[name]
