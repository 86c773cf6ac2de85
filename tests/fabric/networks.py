"""Networks that a test has for itself: the one that all share must not be destroyed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from network.topology.description import Timings, Topology, members
from network.topology.engine import Binaries
from network.topology.native import NativeNetwork
from network.topology.ports import free_ports
from tests.fabric.ordering import FOURTH, consensus

HOSPITALS = ("RenheMSP", "MingdeMSP", "AnkangMSP", FOURTH)


@contextmanager
def running_network(
    folder: Path,
    binaries: Binaries,
    msps: Sequence[str] = (),
    *,
    contract: str | None = None,
    room_for: int = 1,
    timings: Timings = Timings(),  # noqa: B008 - frozen
) -> Iterator[NativeNetwork]:
    """A network from nothing, up while the block runs; behind its ports are free ones for ``room_for`` more members.

    Args:
        msps: as many of ``HOSPITALS`` as the ordering needs, if none is named.
    """
    chosen = consensus()
    named = msps or HOSPITALS[: 4 if chosen == "bft" else 3]
    topology = Topology(members(named, free_ports(len(named) + room_for)), chosen, timings=timings)
    network = NativeNetwork(topology, folder, binaries)
    try:
        network.up(contract)
        yield network
    finally:
        network.down()
