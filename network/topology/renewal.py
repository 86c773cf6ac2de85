"""New certificates and keys for a running network, one organisation after another, so that the others serve.

An ordering node's certificate is part of the channel's configuration: the channel learns the new one first, then the
node starts with it. Authorities stay, so everything else trusts the new certificates already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from domain.errors import Unavailable
from network.topology import deployment
from network.topology.channel_changes import with_certificates
from network.topology.config_updates import (
    UPDATE_TIMEOUT_S,
    change_channel,
    fetch_configuration,
    ordered_blocks,
    wait_level,
)
from network.topology.description import Organization
from network.topology.reissuing import prepare, put_in_place
from network.topology.waiting import wait_for
from network.topology.witness_identity import make_witness

if TYPE_CHECKING:
    from network.topology.administration import Administration
    from network.topology.native import NativeNetwork

STANDS_STILL_S: Final = 20.0


def renew_certificates(network: NativeNetwork, organizations: Sequence[Organization]) -> None:
    """Renew all certificates of these organisations but the authorities'.

    Raises:
        Invalid: a certificate or key is none.
        Unavailable: no authority's key, the channel refused, or something did not come up in time. Do it again.
    """
    for organization in organizations:
        _renew_ordering(network, organization)
        _renew_peer(network, organization)
        network.each(network.wait_serving)
    _bring_level(network)


def _bring_level(network: NativeNetwork) -> None:
    """What was ordered last reaches every ordering node; one that stands still is started again, once.

    Before Fabric 2.5.3 a node whose log tells of changes of who orders may stand still after it was started
    (https://github.com/hyperledger/fabric/issues/4199).
    """
    administration = network.administration
    height = ordered_blocks(administration)
    for organization in network.topology.organizations:
        try:
            wait_level(administration, organization, height, orders=True, timeout_s=STANDS_STILL_S)
        except Unavailable:
            network.runner.restart(organization.process("orderer"))
            wait_level(administration, organization, height, orders=True)
            _wait_giving(administration, organization)


def _wait_giving(administration: Administration, organization: Organization) -> None:
    """An ordering node gives blocks once it knows who leads."""

    def gives() -> bool:
        fetch_configuration(administration, organization, organization)
        return True

    wait_for(gives, UPDATE_TIMEOUT_S, f"the ordering node of {organization.name} giving blocks")


def _renew_ordering(network: NativeNetwork, organization: Organization) -> None:
    layout, administration = network.layout, network.administration
    folder, node, admin = (
        layout.orderer_organization(organization), layout.orderer(organization), layout.orderer_admin(organization),
    )  # fmt: skip
    pending = prepare(node, folder)
    prepare(admin, folder)
    place = (network.placement.host(organization, "orderer"), organization.port("orderer"))
    others = [item for item in network.topology.organizations if item != organization]
    signing = [*others, organization][: network.topology.majority]
    latest = change_channel(administration, with_certificates(place, pending), signing)
    put_in_place(node)
    put_in_place(admin)
    network.runner.restart(organization.process("orderer"))
    wait_level(administration, organization, latest.number + 1, orders=True)
    network.wait_leader()


def _renew_peer(network: NativeNetwork, organization: Organization) -> None:
    """The peer's certificate for dialling the contract is in the package, so that is made anew."""
    layout, folder = network.layout, network.layout.peer_organization(organization)
    make_witness(layout, organization)
    kinds = (layout.peer, layout.contract, layout.contract_client, layout.admin, layout.client, layout.witness)
    renewed = [files(organization) for files in kinds]
    for files in renewed:
        prepare(files, folder)
    for files in renewed:
        put_in_place(files)
    network.runner.restart(organization.process("peer"))
    deployment.repackage(network, organization)
