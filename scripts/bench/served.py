"""A hospital's node in a process of its own, as it is deployed, and people who are signed in to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
def served(
    place: Place,
    ground: Ground | None = None,
    *,
    witnesses: bool = False,
    north: Mapping[str, str] | None = None,
    name: str = "network",
) -> Iterator[Served]:
    """Start the nodes on a ledger, by default an embedded one, and open accounts.

    Args:
        witnesses: whether each hospital runs one.
        north: settings of the one that is measured, without their prefix.
        name: of the folder.
    """
    settings = {"NorthMSP": north or {}}
    with Network(place.folder / name, NAMES, witnesses=witnesses, ground=ground, settings=settings) as network:
        measured = network.hospitals[0]
        records = measured.employ("records", "Records", "medical-records").client
        clinician = measured.employ("doctor", "Doctor", "clinician").client
        yield Served(network, measured, records, clinician)
