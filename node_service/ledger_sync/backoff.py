"""Pauses between attempts of what the network's validation refused, though nothing is known to be wrong with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from node_service.pauses import Pauses

UNENDORSED: Final = "ENDORSEMENT_POLICY_FAILURE"
"""The code that may last: endorsements sufficed for an endorser's peer and do not suffice for the channel."""
FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(minutes=5)


def backoff() -> Pauses:
    """None at first; once tried again, pauses that double, five minutes at most."""
    return Pauses(FIRST_PAUSE, LONGEST_PAUSE)
