"""Ports that are free now, for networks that are made on the spot."""

from __future__ import annotations

import random
import socket
from contextlib import closing
from typing import Final

from domain.errors import Unavailable
from network.topology.description import SERVICES
from network.topology.placement import LOOPBACK

FIRST_PORT: Final = 17000
LAST_PORT: Final = 30000
"""Below what the kernel gives to clients."""
_ATTEMPTS: Final = 200


def free_ports(organizations: int) -> int:
    """The first of as many free ports in a row as these organisations use; they may be taken a moment later.

    Raises:
        Unavailable: there are not so many.
    """
    needed = organizations * len(SERVICES)
    draw = random.SystemRandom()
    for _ in range(_ATTEMPTS):
        first = draw.randrange(FIRST_PORT, LAST_PORT - needed)
        if all(_is_free(port) for port in range(first, first + needed)):
            return first
    raise Unavailable(f"no {needed} free ports in a row", reason="no-ports")


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
