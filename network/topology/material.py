"""Certificates and keys of every organisation, made by cryptogen; for production a hospital brings those of its own CA.

Every node's TLS certificate names its process and loopback, so the same material serves processes and containers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from network.topology.description import Organization, Role
from network.topology.engine import Binaries
from network.topology.layout import (
    CONTRACT_CLIENT,
    Layout,
    disk_errors,
    make_folder,
    ordering_domain,
    restrict,
    write_file,
)
from network.topology.placement import LOOPBACK
from network.topology.witness_identity import make_witness


def make_material(binaries: Binaries, layout: Layout, organizations: Sequence[Organization]) -> None:
    """Make what is missing of the organisations' material; what is there stays.

    Raises:
        Unavailable: cryptogen or the disk refused.
    """
    request = layout.work / "cryptogen.yaml"
    write_file(request, json.dumps(_request(organizations)).encode())
    make_folder(layout.crypto)
    binaries.run("cryptogen", "extend", f"--config={request}", f"--input={layout.crypto}")
    for organization in organizations:
        # Contract service and its client have a place on the wire, never an identity of the channel: it could endorse.
        for files in (layout.contract(organization), layout.contract_client(organization)):
            _remove(files.msp)
        make_witness(layout, organization)
    restrict(layout.crypto)


def _request(organizations: Sequence[Organization]) -> dict[str, Any]:
    return {
        "PeerOrgs": [
            {
                "Name": item.msp,
                "Domain": item.domain,
                "EnableNodeOUs": True,
                "Specs": [_node(item, "peer"), _node(item, "contract"), {"Hostname": CONTRACT_CLIENT}],
                "Users": {"Count": 1},
            }
            for item in organizations
        ],
        "OrdererOrgs": [
            {
                "Name": item.orderer_msp,
                "Domain": ordering_domain(item),
                "EnableNodeOUs": True,
                "Specs": [_node(item, "orderer")],
            }
            for item in organizations
        ],
    }


def _node(organization: Organization, role: Role) -> dict[str, Any]:
    return {"Hostname": role, "SANS": [organization.process(role), "localhost", LOOPBACK]}


def _remove(folder: Path) -> None:
    with disk_errors(folder):
        if folder.exists():
            shutil.rmtree(folder)
