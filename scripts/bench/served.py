"""A hospital's node in a process of its own, as it is deployed, and people who are signed in to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from node_service.client.node_client import StaffClient
from scripts.bench.comparison import Place
from yilian.demo.ground import Ground
from yilian.demo.network import Hospital, Network

NAMES = {"NorthMSP": "North", "SouthMSP": "South", "WestMSP": "West"}


@dataclass(frozen=True, slots=True)
class Served:
    """The running network; ``north`` is who is measured."""

    network: Network
    north: Hospital
    records: StaffClient = field(repr=False)
    clinician: StaffClient = field(repr=False)


@contextmanager
def served(place: Place, ground: Ground | None = None, *, witnesses: bool = False) -> Iterator[Served]:
    """Start the nodes on a ledger, by default an embedded one, and open accounts; witnesses if asked for."""
    with Network(place.folder / "network", NAMES, witnesses=witnesses, ground=ground) as network:
        north = network.hospitals[0]
        records = north.employ("records", "Records", "medical-records").client
        clinician = north.employ("doctor", "Doctor", "clinician").client
        yield Served(network, north, records, clinician)
