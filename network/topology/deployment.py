"""The contract on a running network: first deployment, another version, a package with other certificates.

A new contract service is started beside the old one, on the organisation's second port; it takes over once the peer
calls it, so no call finds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.errors import Unavailable
from network.topology import lifecycle
from network.topology.contract_service import ContractService
from network.topology.description import Organization, Service
from network.topology.lifecycle import Definition

if TYPE_CHECKING:
    from network.topology.native import NativeNetwork


def ensure_deployed(network: NativeNetwork, contract: str | None = None) -> None:
    """Let every organisation's contract service run, with the definition in force, or with the first one.

    Args:
        contract: ``module:function`` of the first version; the product's own if None.

    Raises:
        Unavailable: a peer or the ordering service refused, or not in time. Do it again.
    """
    present = lifecycle.committed(network.administration, network.topology.organizations[0])
    if present is None:
        first = Definition(1, "1")
        network.each(lambda item: introduce(network, item, first, contract))
        lifecycle.commit(network.administration, first, network.topology.organizations)
        return
    settle(network)
    network.each(lambda item: _ensure_running(network, item, present))


def introduce(network: NativeNetwork, organization: Organization, definition: Definition, contract: str | None) -> None:
    """Start an organisation's first contract service, and approve a definition with it.

    Raises:
        Unavailable: its peer or the ordering service refused, or not in time.
    """
    _offer(network, organization, organization.process("contract"), "contract", definition, contract)


def upgrade(network: NativeNetwork, contract: str | None, version: str = "") -> Definition:
    """Put the next definition into force while the present one serves; returns it.

    Args:
        contract: ``module:function`` of the new version; the product's own if None.
        version: what people call it; its sequence if empty.

    Given again after an interruption, it ends what was begun: what is in force already is not put into force once more.

    Raises:
        Invalid: a version that Fabric refuses.
        Unavailable: nothing is deployed; a process is down; refused, or not in time. Do it again.
    """
    was_interrupted = settle(network)
    present = definition_in_force(network)
    if contract_of(network) == contract and (version == present.version or (was_interrupted and not version)):
        return present
    sequence = present.sequence + 1
    definition = Definition(sequence, version or str(sequence))
    network.each(lambda item: _offer_next(network, item, definition, contract))
    lifecycle.commit(network.administration, definition, network.topology.organizations)
    network.each(lambda item: _take_over(network, item))
    return definition


def repackage(network: NativeNetwork, organization: Organization) -> None:
    """Let an organisation run the present definition with the certificates that it has now.

    Raises:
        Unavailable: refused, or not in time. Do it again.
    """
    present = ContractService.read(network.layout, organization.process("contract"))
    _offer_next(network, organization, definition_in_force(network), present.contract)
    _take_over(network, organization)


def settle(network: NativeNetwork) -> bool:
    """End a change that was interrupted: each organisation keeps the service that its peer calls.

    Returns:
        Whether the change had put another version of the contract into force.

    Raises:
        Unavailable: a peer does not answer.
    """
    is_new = False
    for organization in network.topology.organizations:
        if not ContractService.exists(network.layout, organization.next_contract):
            continue
        following = ContractService.read(network.layout, organization.next_contract)
        present = _definition_at(network, organization)  # another's peer may be behind
        approved = lifecycle.approved_package(network.administration, organization, present.sequence)
        if approved == following.package_id:
            is_new |= _take_over(network, organization)
        else:
            network.runner.stop(organization.next_contract)
            ContractService.forget(network.layout, organization.next_contract)
    return is_new


def definition_in_force(network: NativeNetwork) -> Definition:
    """The definition that the first organisation's peer knows.

    Raises:
        Unavailable: nothing is deployed, or the peer does not answer.
    """
    return _definition_at(network, network.topology.organizations[0])


def _definition_at(network: NativeNetwork, organization: Organization) -> Definition:
    present = lifecycle.committed(network.administration, organization)
    if present is None:
        raise Unavailable("the contract is not deployed", reason="not-deployed")
    return present


def contract_of(network: NativeNetwork) -> str | None:
    """``module:function`` of the contract that the first organisation runs; None for the product's own."""
    first = network.topology.organizations[0]
    return ContractService.read(network.layout, first.process("contract")).contract


def _ensure_running(network: NativeNetwork, organization: Organization, present: Definition) -> None:
    process = organization.process("contract")
    if ContractService.exists(network.layout, process):
        network.runner.ensure(process)
    else:
        introduce(network, organization, present, contract_of(network))


def _offer_next(
    network: NativeNetwork, organization: Organization, definition: Definition, contract: str | None
) -> None:
    present = ContractService.read(network.layout, organization.process("contract"))
    service: Service = "contract" if present.service == "contract-next" else "contract-next"
    network.runner.stop(organization.next_contract)
    _offer(network, organization, organization.next_contract, service, definition, contract)


def _offer(
    network: NativeNetwork,
    organization: Organization,
    process: str,
    service: Service,
    definition: Definition,
    contract: str | None,
) -> None:
    """Start a contract service, install the package that names it, approve the definition with this package."""
    administration, layout = network.administration, network.layout
    label = f"{network.topology.contract}_{definition.sequence}"
    identity = lifecycle.make_package(layout, organization, label, network.placement, service)
    ContractService(identity, network.topology.contract, service, contract).write(layout, process)
    network.runner.ensure(process)
    lifecycle.install(administration, organization, layout.package(label, organization))
    if lifecycle.approved_package(administration, organization, definition.sequence) != identity:
        lifecycle.approve(administration, organization, identity, definition, organization)


def _take_over(network: NativeNetwork, organization: Organization) -> bool:
    """The new service is the organisation's contract service from now on; the old one ends what it has begun.

    Done again after an interruption anywhere within, it leaves the new service running. Returns whether that is of
    another definition than the one before.
    """
    process, runner = organization.process("contract"), network.runner
    before = ContractService.read(network.layout, process)
    following = ContractService.read(network.layout, organization.next_contract)
    following.write(network.layout, process)
    if network.running(organization.next_contract):
        runner.stop(process)
        runner.rename(organization.next_contract, process)
    else:
        runner.restart(process)
    ContractService.forget(network.layout, organization.next_contract)
    return before.label != following.label
