"""An organisation joins or leaves a running channel, step by step; each may be done again after an interruption."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.errors import Conflict, Invalid
from network.topology import deployment
from network.topology.channel_changes import with_consenters, with_member, without_member
from network.topology.config_updates import change_channel, fetch_configuration, wait_level
from network.topology.description import Organization, Topology
from network.topology.genesis import rendered_group
from network.topology.material import make_material

if TYPE_CHECKING:
    from network.topology.native import NativeNetwork


def add_organization(network: NativeNetwork, organization: Organization) -> None:
    """Let a hospital join: material, membership, peer, following ordering node, consenter, contract.

    Raises:
        Conflict: a member has its name or MSP id, or a port of it is taken.
        Unavailable: a program or the channel refused, or not in time. Do it again.
    """
    present = network.topology
    if organization not in present.organizations:
        _check_new(present, organization)
        _admit(network, organization)
    _start_nodes(network, organization)
    _order(network, organization)
    definition = deployment.definition_in_force(network)
    deployment.introduce(network, organization, definition, deployment.contract_of(network))
    network.each(network.wait_serving)


def remove_organization(network: NativeNetwork, name: str) -> None:
    """Let a hospital leave: first its ordering node, then the organisation; its processes stop, its files stay.

    Raises:
        NotFound: no such organisation.
        Invalid: too few would remain.
        Unavailable: a program or the channel refused, or not in time. Do it again.
    """
    present, leaving = network.topology, network.topology.organization(name)
    remaining = present.without_organization(leaving.name)
    signing = [*remaining.organizations, leaving][: present.majority]
    target = _target(network, remaining)
    change_channel(network.administration, with_consenters(target), signing)
    network.stop(leaving.process("orderer"))
    network.wait_leader()
    change_channel(network.administration, without_member(target, leaving), signing)
    for process in (leaving.process("peer"), leaving.process("contract"), leaving.next_contract):
        network.stop(process)
    network.change_topology(remaining)


def _check_new(present: Topology, organization: Organization) -> None:
    try:
        present.with_organization(organization)
    except Invalid as error:
        raise Conflict(error.detail, reason="organization", place=error.place) from error


def _admit(network: NativeNetwork, organization: Organization) -> None:
    wider = network.topology.with_organization(organization)
    make_material(network.binaries, network.layout, wider.organizations)
    target = _target(network, wider)
    signing = network.topology.organizations[: network.topology.majority]
    change_channel(network.administration, with_member(target, organization), signing)
    network.change_topology(wider)


def _start_nodes(network: NativeNetwork, organization: Organization) -> None:
    """Start peer and ordering node, which take part in the channel and catch up; the node follows for now."""
    administration, runner = network.administration, network.runner
    network.write_settings(organization)
    runner.ensure(organization.process("peer"))
    administration.join_peer(organization, network.layout.genesis)
    runner.ensure(organization.process("orderer"))
    first = network.topology.organizations[0]
    latest = fetch_configuration(administration, first, first)
    administration.join_orderer(organization, latest.block)
    wait_level(administration, organization, latest.number + 1)


def _order(network: NativeNetwork, organization: Organization) -> None:
    """Let an organisation's ordering node order as the others do."""
    topology, administration = network.topology, network.administration
    others = topology.without_organization(organization.name).organizations
    signing = [*others, organization][: topology.majority]
    latest = change_channel(administration, with_consenters(_target(network, topology)), signing)
    wait_level(administration, organization, latest.number + 1, orders=True)
    network.wait_leader()


def _target(network: NativeNetwork, topology: Topology) -> Any:
    return rendered_group(network.binaries, topology, network.layout, network.placement)
