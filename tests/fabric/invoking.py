"""Transactions by Fabric's own command line, for networks that run ``tests.fabric.contracts``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from network.topology.description import Organization
from network.topology.native import NativeNetwork


def put(network: NativeNetwork, endorsing: Sequence[Organization], key: str, value: str) -> None:
    """Write as the first organisation, endorsed by these peers, through its own ordering node.

    Raises:
        ProgramFailed: it was not committed as valid.
    """
    administration = network.administration
    peers: list[str] = []
    for item in endorsing:
        root = network.layout.peer(item).tls_root
        peers += ["--peerAddresses", network.placement.address(item, "peer"), "--tlsRootCertFiles", str(root)]
    call = json.dumps({"Args": ["put", json.dumps({"key": key, "value": value})]})
    command = ("chaincode", "invoke", "--waitForEvent", *administration.ordering(endorsing[0]), *_names(network))
    administration.peer(endorsing[0], *command, "-c", call, *peers)


def get(network: NativeNetwork, organization: Organization, key: str) -> str:
    """What an organisation's peer has of a key."""
    return _query(network, organization, "get", key)


def version(network: NativeNetwork, organization: Organization) -> str:
    """Which version of the contract an organisation's peer calls."""
    return _query(network, organization, "version", "")


def _query(network: NativeNetwork, organization: Organization, name: str, key: str) -> str:
    call = json.dumps({"Args": [name, json.dumps({"key": key})]})
    told = network.administration.peer(organization, "chaincode", "query", *_names(network), "-c", call)
    return told.decode().strip()


def _names(network: NativeNetwork) -> tuple[str, ...]:
    return ("-C", network.topology.channel, "-n", network.topology.contract)
