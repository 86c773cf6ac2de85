"""The files by which a hospital's node and its witness reach the channel (:mod:`network.fabric.connection`)."""

from __future__ import annotations

from pathlib import Path

from network.fabric.connection import Connection, PeerAddress
from network.topology.description import Organization, Topology
from network.topology.genesis import genesis_hash
from network.topology.layout import Layout, NodeFiles, write_file
from network.topology.placement import Placement
from network.topology.witness_identity import make_witness


def write_connection(topology: Topology, organization: Organization, reader: Placement) -> Path:
    """Write the connection file of a hospital's node and return its path.

    Args:
        reader: where the node sees the material and reaches the peers.

    Raises:
        Unavailable: the disk refuses.
    """
    layout = Layout(reader.folder)
    return _write(topology, organization, reader, layout.client(organization), layout.connection(organization))


def write_witness_connection(topology: Topology, organization: Organization, reader: Placement) -> Path:
    """Write that of its witness, as :func:`write_connection`; a network made before witnesses had keys gets them.

    Raises:
        Invalid: a certificate or key of the hospital is none.
        Unavailable: the disk refuses, or there is no authority's key for a witness that has none.
    """
    layout = Layout(reader.folder)
    make_witness(layout, organization)
    return _write(topology, organization, reader, layout.witness(organization), layout.witness_connection(organization))


def _write(topology: Topology, organization: Organization, reader: Placement, holder: NodeFiles, path: Path) -> Path:
    layout = Layout(reader.folder)
    others = tuple(_peer(item, layout, reader) for item in topology.organizations if item != organization)
    connection = Connection(
        channel=topology.channel,
        contract=topology.contract,
        genesis=genesis_hash(layout),
        msp=organization.msp,
        certificate=holder.certificate,
        key=holder.key,
        own_peer=_peer(organization, layout, reader),
        other_peers=others,
    )
    write_file(path, connection.encode())
    return path


def _peer(organization: Organization, layout: Layout, reader: Placement) -> PeerAddress:
    files = layout.peer(organization)
    return PeerAddress(organization.msp, reader.address(organization, "peer"), files.tls_root)
