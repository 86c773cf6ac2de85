"""How often a fault is repeated: a few times in every run, the full count in ``make soak``."""

from __future__ import annotations

import os

SOAK = "YILIAN_TEST_SOAK"


def repetitions(few: int, full: int) -> int:
    """``full`` where ``YILIAN_TEST_SOAK`` is 1, else ``few``."""
    return full if os.environ.get(SOAK) == "1" else few
