"""How long an account stays closed after wrong passwords (NIST SP 800-63B section 3.2.2, "Rate limiting")."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

FREE_FAILURES: Final = 5
_FIRST: Final = timedelta(seconds=30)
LONGEST: Final = timedelta(minutes=15)


def lock_after(failures: int) -> timedelta | None:
    """How long the account is closed after so many wrong passwords in a row; None while it stays open."""
    if failures < FREE_FAILURES:
        return None
    return min(LONGEST, _FIRST * (1 << min(failures - FREE_FAILURES, 10)))
