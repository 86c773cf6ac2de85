"""The file by which a hospital's node and witness reach the channel (:mod:`network.fabric.connection`)."""

from __future__ import annotations

from pathlib import Path

from network.fabric.connection import Connection, PeerAddress
from network.topology.description import Organization, Topology
from network.topology.genesis import genesis_hash
from network.topology.layout import Layout, write_file
from network.topology.placement import Placement


def write_connection(topology: Topology, organization: Organization, reader: Placement) -> Path:
    """Write a hospital's connection file and return its path.

    Args:
        reader: where the node and the witness see the material and reach the peers.

    Raises:
        Unavailable: the disk refuses.
    """
    layout = Layout(reader.folder)
    client = layout.client(organization)
    others = tuple(_peer(item, layout, reader) for item in topology.organizations if item != organization)
    connection = Connection(
        channel=topology.channel,
        contract=topology.contract,
        genesis=genesis_hash(layout),
        msp=organization.msp,
        certificate=client.certificate,
        key=client.key,
        own_peer=_peer(organization, layout, reader),
        other_peers=others,
    )
    path = layout.connection(organization)
    write_file(path, connection.encode())
    return path


def _peer(organization: Organization, layout: Layout, reader: Placement) -> PeerAddress:
    files = layout.peer(organization)
    return PeerAddress(organization.msp, reader.address(organization, "peer"), files.tls_root)
