"""How a network is: which processes run, how far each has got, what is in force, which certificates end first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from domain.errors import Unavailable
from network.blocks.identity import parse_certificate
from network.topology import lifecycle
from network.topology.description import ROLES, Organization, Role
from network.topology.layout import Layout, NodeFiles, disk_errors
from network.topology.lifecycle import Definition

if TYPE_CHECKING:
    from network.topology.native import NativeNetwork


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process.

    Attributes:
        height: blocks that a peer or an ordering node has; None if it does not say.
        leads: an ordering node that leads.
        expires: when the first of its certificates ends.
    """

    name: str
    is_running: bool
    height: int | None
    leads: bool
    expires: datetime


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """All processes, and the contract's definition as the first peer that answers knows it."""

    processes: tuple[ProcessStatus, ...]
    definition: Definition | None


def status(network: NativeNetwork) -> NetworkStatus:
    """Ask everything that runs; what does not answer is said to be unknown.

    Raises:
        Invalid, Unavailable: a certificate cannot be read.
    """
    leader = network.leader()
    processes = tuple(
        ProcessStatus(
            name=item.process(role),
            is_running=network.running(item.process(role)),
            height=_height(network, role, item),
            leads=role == "orderer" and item == leader,
            expires=expiry(_files(network.layout, role, item)),
        )
        for role in ROLES
        for item in network.topology.organizations
    )
    return NetworkStatus(processes, _definition(network))


def expiry(files: NodeFiles) -> datetime:
    """When the first of a node's certificates ends.

    Raises:
        Invalid: a file is no certificate.
        Unavailable: it cannot be read.
    """
    certificates = [files.tls_certificate, *([files.certificate] if files.msp.exists() else [])]
    with disk_errors(files.folder):
        return min(parse_certificate(path.read_bytes()).not_valid_after_utc for path in certificates)


def _files(layout: Layout, role: Role, organization: Organization) -> NodeFiles:
    return {"orderer": layout.orderer, "peer": layout.peer, "contract": layout.contract}[role](organization)


def _height(network: NativeNetwork, role: Role, organization: Organization) -> int | None:
    channel = network.topology.channel
    try:
        if role == "orderer":
            with network.administration.orderer_admin(organization) as endpoint:
                return int(endpoint.channel(channel)["height"])
        if role == "peer":
            with network.administration.peer_operations(organization) as endpoint:
                height = endpoint.metric("ledger_blockchain_height", {"channel": channel})
            return None if height is None else int(height)
    except Unavailable:
        return None
    return None


def _definition(network: NativeNetwork) -> Definition | None:
    for organization in network.topology.organizations:
        try:
            return lifecycle.committed(network.administration, organization)
        except Unavailable:
            continue
    return None
