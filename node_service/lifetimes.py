"""Whether something that ends by the wall clock lives now: longer than it was given, nothing lives.

A clock that was ahead when something began would else let it live on for as long as the clock was wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from domain.instants import instant

CLOCK_TOLERANCE: Final = timedelta(seconds=60)
"""By so much a clock may have been corrected since, or another hospital's may differ."""


def is_live(until: str, now: datetime, longest: timedelta) -> bool:
    """True until ``until``, which cannot lie further ahead than what was given at most."""
    return instant(now) < until <= latest(now, longest)


def latest(now: datetime, longest: timedelta) -> str:
    """When at the latest something ends that was given by now and lives for ``longest``."""
    return instant(now + longest + CLOCK_TOLERANCE)
