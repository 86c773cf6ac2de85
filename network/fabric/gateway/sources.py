"""Where time and randomness come from; tests give their own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sources:
    """Attributes:
    clock_ns: nanoseconds since 1970, for transaction timestamps.
    random: that many unpredictable bytes, for nonces.
    """

    clock_ns: Callable[[], int] = time.time_ns
    random: Callable[[int], bytes] = secrets.token_bytes
