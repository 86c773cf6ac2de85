"""How often a fault is repeated: a few times in every run, the full count in ``make soak``."""

from __future__ import annotations

import os

SOAK = "TESTS_SOAK"


def repetitions(few: int, full: int) -> int:
    """``full`` where ``TESTS_SOAK`` is 1, else ``few``."""
    return full if os.environ.get(SOAK) == "1" else few
