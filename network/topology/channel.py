"""The channel as its nodes see it: who leads, who takes part, which peers know each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from domain.errors import Unavailable
from network.topology.administration import Administration
from network.topology.description import Organization, Topology
from network.topology.layout import disk_errors
from network.topology.waiting import wait_for

LEADER_TIMEOUT_S: Final = 120.0
GOSSIP_TIMEOUT_S: Final = 120.0
_AT_ONCE: Final = 4
_IS_LEADER: Final = {"raft": "consensus_etcdraft_is_leader", "bft": "consensus_BFT_is_leader"}
"""Metrics of ordering nodes (Fabric ``orderer/consensus/{etcdraft,smartbft}/metrics.go``)."""
_PEERS_KNOWN: Final = "gossip_membership_total_peers_known"


def join_channel(administration: Administration) -> None:
    """Make every ordering node and every peer take part; those that do already go on.

    Raises:
        Unavailable: a node refused, or none leads in time.
    """
    topology, layout = administration.topology, administration.layout
    with disk_errors(layout.genesis):
        genesis = layout.genesis.read_bytes()
    for_each(topology, lambda item: administration.join_orderer(item, genesis))
    wait_leader(administration)
    for_each(topology, lambda item: administration.join_peer(item, layout.genesis))


def leader(administration: Administration) -> Organization | None:
    """The organisation whose ordering node leads; None while there is none."""
    topology = administration.topology
    labels = {"channel": topology.channel}
    for organization in topology.organizations:
        try:
            with administration.orderer_operations(organization) as endpoint:
                if endpoint.metric(_IS_LEADER[topology.consensus], labels) == 1:
                    return organization
        except Unavailable:
            continue
    return None


def wait_leader(administration: Administration) -> Organization:
    """Wait until an ordering node leads.

    Raises:
        Unavailable: none does in time.
    """
    return wait_for(lambda: leader(administration), LEADER_TIMEOUT_S, "the election of a leader")


def wait_acquainted(administration: Administration, organization: Organization) -> None:
    """Wait until a peer knows the others: before that, its gateway finds no combination of endorsers.

    Raises:
        Unavailable: not in time.
    """
    topology = administration.topology
    others = len(topology.organizations) - 1

    def knows_all() -> bool:
        with administration.peer_operations(organization) as endpoint:
            return (endpoint.metric(_PEERS_KNOWN, {"channel": topology.channel}) or 0) >= others

    wait_for(knows_all, GOSSIP_TIMEOUT_S, f"acquaintance of the peer of {organization.name} with the others")


def for_each(topology: Topology, action: Callable[[Organization], object]) -> None:
    """Do something for every organisation, several at once; an error is raised when all are through."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(action, topology.organizations))
