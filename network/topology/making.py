"""Making a network's files: material, settings, genesis block, description."""

from __future__ import annotations

from domain.errors import Conflict
from network.topology.description import Topology
from network.topology.engine import Binaries
from network.topology.genesis import check_engine, make_genesis
from network.topology.layout import Layout, make_folder, write_file
from network.topology.material import make_material
from network.topology.placement import Placement
from network.topology.settings import write_settings


def make_network(topology: Topology, binaries: Binaries, placement: Placement) -> None:
    """Make a network in the folder of ``placement``; the genesis block comes last, so what stopped is made again.

    Args:
        placement: of the processes and of whoever administers them.

    Raises:
        Conflict: the folder holds a network.
        Unavailable: a program or the disk refused; the engine is too old for BFT.
    """
    layout = Layout(placement.folder)
    if layout.genesis.exists():
        raise Conflict("the folder holds a network already", reason="network-exists")
    check_engine(binaries, topology)
    make_folder(layout.folder)
    make_material(binaries, layout, topology.organizations)
    for organization in topology.organizations:
        write_settings(layout, organization, placement, placement, binaries.version)
    genesis = make_genesis(binaries, topology, layout, placement)
    write_file(layout.description, topology.encode())
    write_file(layout.genesis, genesis)
