"""Networks that a test has for itself: the one that all share must not be destroyed."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from network.topology.description import SERVICES, Consensus, Topology, members
from network.topology.engine import Binaries
from network.topology.native import NativeNetwork

HOSPITALS = ("RenheMSP", "MingdeMSP", "AnkangMSP")
FIRST_PORT, LAST_PORT = 17000, 30000  # below what the kernel gives to clients
ATTEMPTS = 200


@contextmanager
def running_network(
    folder: Path,
    binaries: Binaries,
    msps: Sequence[str] = HOSPITALS,
    *,
    consensus: Consensus = "raft",
    contract: str | None = None,
    room_for: int = 1,
) -> Iterator[NativeNetwork]:
    """A network from nothing, up while the block runs; behind its ports are free ones for ``room_for`` more members."""
    topology = Topology(members(msps, free_ports(len(msps) + room_for)), consensus)
    network = NativeNetwork(topology, folder, binaries)
    try:
        network.up(contract)
        yield network
    finally:
        network.down()


def free_ports(organizations: int) -> int:
    """The first of as many free ports in a row as these organisations use."""
    needed = organizations * len(SERVICES)
    draw = random.SystemRandom()
    for _ in range(ATTEMPTS):
        first = draw.randrange(FIRST_PORT, LAST_PORT - needed)
        if all(is_free(port) for port in range(first, first + needed)):
            return first
    raise AssertionError(f"no {needed} free ports in a row")


def is_free(port: int) -> bool:
    with closing(socket.socket()) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
