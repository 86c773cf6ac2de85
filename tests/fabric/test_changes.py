"""A running network changes: members come and go, the contract gets another version, certificates are renewed.

The tests share a network of their own; each leaves the members that it found, and they transact.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Never

import pytest

from domain.errors import Conflict, Invalid
from network.blocks.channel_config import APPLICATION, ORDERER
from network.topology import deployment, lifecycle, membership, renewal
from network.topology.config_updates import change_channel, fetch_configuration
from network.topology.description import SERVICES, Organization, Topology, members
from network.topology.engine import Binaries
from network.topology.lifecycle import Definition
from network.topology.membership import add_organization, remove_organization
from network.topology.native import NativeNetwork
from network.topology.ports import free_ports
from network.topology.renewal import renew_certificates
from network.topology.status import expiry, status
from tests.fabric.contracts import FIRST, SECOND
from tests.fabric.invoking import get, put, version
from tests.fabric.networks import running_network

take_over = deployment._take_over


@pytest.fixture(scope="module")
def network(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeNetwork]:
    with running_network(tmp_path_factory.mktemp("changing"), binaries, contract=FIRST) as running:
        yield running


def test_a_hospital_joins_endorses_orders_and_leaves(network: NativeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    renhe, mingde, *_ = network.topology.organizations
    founders = len(network.topology.organizations)
    put(network, [renhe, mingde], "before", "1")
    huaxi = Organization("huaxi", "HuaxiMSP", renhe.first_port + founders * len(SERVICES))
    with monkeypatch.context() as interrupted:
        interrupted.setattr(membership, "_order", die)  # admitted, and follows
        with pytest.raises(KeyboardInterrupt):
            add_organization(network, huaxi)
    add_organization(network, huaxi)
    assert get(network, huaxi, "before") == "1"
    put(network, [huaxi, renhe], "joined", "2")
    assert get(network, mingde, "joined") == "2"
    assert network.leader() in network.topology.organizations
    assert consenters(network) == founders + 1
    add_organization(network, huaxi)  # done again, it changes nothing
    assert consenters(network) == founders + 1

    remove_organization(network, "huaxi")
    assert consenters(network) == founders
    assert not any(network.running(huaxi.process(role)) for role in ("peer", "orderer", "contract"))
    put(network, [renhe, mingde], "left", "3")
    assert NativeNetwork.open(network.layout.folder, network.binaries).topology == network.topology


def test_a_first_start_that_was_interrupted_is_ended_by_the_next(
    binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a hospital alone: it approved the contract, and whoever started the network died before it was in force."""
    topology = Topology(members(["RenheMSP"], free_ports(1)))
    try:
        with monkeypatch.context() as interrupted:
            interrupted.setattr(lifecycle, "commit", die)
            with pytest.raises(KeyboardInterrupt):
                NativeNetwork(topology, tmp_path, binaries).up(FIRST)
        again = NativeNetwork.open(tmp_path, binaries)
        again.up(FIRST)
        put(again, topology.organizations, "alone", "1")
        assert get(again, topology.organizations[0], "alone") == "1"
    finally:
        NativeNetwork(topology, tmp_path, binaries).down()


def test_a_member_cannot_be_added_under_a_name_that_another_has(network: NativeNetwork) -> None:
    taken = Organization("renhe", "AnotherMSP", network.topology.organizations[-1].first_port + len(SERVICES))
    with pytest.raises(Conflict):
        add_organization(network, taken)


@pytest.mark.parametrize("section", [APPLICATION, ORDERER])
def test_one_administrator_alone_throws_nobody_out(network: NativeNetwork, section: str) -> None:
    alone, victim = network.topology.organizations[:2]
    named = {APPLICATION: victim.msp, ORDERER: victim.orderer_msp}[section]
    with pytest.raises(Invalid, match="policy"):
        change_channel(network.administration, lambda group: group.groups[section].groups.pop(named), [alone])


def test_another_version_of_the_contract_takes_over(network: NativeNetwork) -> None:
    renhe, mingde, ankang = network.topology.organizations[:3]
    put(network, [renhe, mingde], "kept", "by the first")
    before = deployment.definition_in_force(network)
    after = deployment.upgrade(network, SECOND)
    assert after.sequence == before.sequence + 1
    assert [version(network, item) for item in network.topology.organizations] == ["2"] * len(
        network.topology.organizations
    )
    assert get(network, ankang, "kept") == "by the first"
    deployment.upgrade(network, FIRST, "1.1")
    assert [version(network, item) for item in network.topology.organizations] == ["1"] * len(
        network.topology.organizations
    )
    assert deployment.definition_in_force(network).version == "1.1"


def test_an_interrupted_upgrade_is_settled_at_the_next_start(network: NativeNetwork) -> None:
    """The definition is in force, and the one who ran the upgrade died before the services changed places."""
    present = deployment.definition_in_force(network)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(deployment, "_take_over", lambda *_: None)
    deployment.upgrade(network, SECOND)
    monkey.undo()
    network.down()
    network.up()
    assert deployment.definition_in_force(network).sequence == present.sequence + 1
    assert [version(network, item) for item in network.topology.organizations] == ["2"] * len(
        network.topology.organizations
    )


@pytest.mark.parametrize("died_at", ["before it is in force", "amid the services' change"])
def test_an_upgrade_that_is_given_again_ends_what_was_interrupted(
    network: NativeNetwork, monkeypatch: pytest.MonkeyPatch, died_at: str
) -> None:
    """No hospital's service is stopped for it, and no further version is put into force."""
    present, following = deployment.definition_in_force(network), other_contract(network)
    renhe, mingde, ankang = network.topology.organizations[:3]
    with monkeypatch.context() as interrupted:
        if died_at == "before it is in force":
            interrupted.setattr(lifecycle, "commit", die)
        else:
            interrupted.setattr(deployment, "_take_over", lambda at, of: take_over(at, of) if of is mingde else die())
        with pytest.raises(KeyboardInterrupt):
            deployment.upgrade(network, following, "again")
    for _ in range(2):
        assert deployment.upgrade(network, following, "again") == Definition(present.sequence + 1, "again")
        assert not any(network.running(item.next_contract) for item in network.topology.organizations)
        put(network, [ankang, renhe], "upgraded", following)
        assert get(network, mingde, "upgraded") == following


def test_a_removal_and_a_renewal_that_are_given_again_end_what_was_interrupted(
    network: NativeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    renhe, mingde, *others = network.topology.organizations
    huaxi = Organization("huaxi", "HuaxiMSP", others[-1].first_port + len(SERVICES))
    add_organization(network, huaxi)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(membership, "without_member", die)  # it no longer orders, and is a member still
        with pytest.raises(KeyboardInterrupt):
            remove_organization(network, "huaxi")
    remove_organization(network, "huaxi")
    put(network, [renhe, mingde], "removed", "twice")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(deployment, "repackage", die)  # all is renewed but what the peer dials the contract with
        with pytest.raises(KeyboardInterrupt):
            renew_certificates(network, [renhe])
    renew_certificates(network, [renhe])
    put(network, [mingde, renhe], "renewed", "twice")
    assert get(network, renhe, "removed") == "twice"
    assert consenters(network) == len(network.topology.organizations)


def test_renewed_certificates_replace_the_old_ones_everywhere(
    network: NativeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though an ordering node stands still afterwards, as those of Fabric before 2.5.3 may."""
    renhe, mingde, ankang = network.topology.organizations[:3]
    bring_level, stopped = renewal._bring_level, mingde.process("orderer")

    def one_stands_still(network: NativeNetwork) -> None:
        network.runner.kill(stopped, signal.SIGSTOP)
        bring_level(network)

    monkeypatch.setattr(renewal, "_bring_level", one_stands_still)
    old = {item.name: material(network, item) for item in network.topology.organizations}
    old_orderer = network.layout.orderer(renhe).tls_certificate.read_bytes()
    renew_certificates(network, network.topology.organizations)
    for organization in network.topology.organizations:
        fresh = material(network, organization)
        assert fresh.keys() == old[organization.name].keys()
        assert all(fresh[path] != old[organization.name][path] for path in fresh)
    configuration = fetch_configuration(network.administration, mingde, mingde)
    assert old_orderer not in configuration.block
    assert network.layout.orderer(renhe).tls_certificate.read_bytes() in configuration.block
    put(network, [ankang, renhe], "renewed", "yes")
    assert get(network, mingde, "renewed") == "yes"
    assert consenters(network) == len(network.topology.organizations)
    assert expiry(network.layout.orderer(renhe)) > datetime.now(UTC)


def test_everything_comes_back_after_being_stopped_and_started(network: NativeNetwork) -> None:
    renhe, mingde, *_ = network.topology.organizations
    put(network, [renhe, mingde], "stored", "on disk")
    network.down()
    assert not any(network.running(name) for name in network.processes)
    again = NativeNetwork.open(network.layout.folder, network.binaries)
    again.up()
    try:
        put(again, [mingde, renhe], "after", "start")
        assert get(again, renhe, "stored") == "on disk"
    finally:
        again.down()
        network.up()


def test_status_tells_of_every_process(network: NativeNetwork) -> None:
    victim = network.topology.organizations[1].process("peer")
    network.kill(victim)
    told = status(network)
    network.start(victim)
    by_name = {process.name: process for process in told.processes}
    assert set(by_name) == set(network.processes)
    assert [name for name, process in by_name.items() if not process.is_running] == [victim]
    assert by_name[victim].height is None
    assert sum(process.leads for process in told.processes) == 1
    assert {process.height for name, process in by_name.items() if name.startswith("orderer")} != {None}
    assert told.definition is not None


def die(*_: object) -> Never:
    raise KeyboardInterrupt


def other_contract(network: NativeNetwork) -> str:
    """The one of the two contracts that is not in force."""
    return FIRST if deployment.contract_of(network) == SECOND else SECOND


def consenters(network: NativeNetwork) -> int:
    """How many ordering nodes say that they order."""
    relations = []
    for organization in network.topology.organizations:
        with network.administration.orderer_admin(organization) as endpoint:
            relations.append(endpoint.channel(network.topology.channel)["consensusRelation"])
    return relations.count("consenter")


def material(network: NativeNetwork, organization: Organization) -> dict[Path, bytes]:
    """Every certificate and key of an organisation but its authorities'."""
    layout = network.layout
    users = [layout.orderer(organization), layout.peer(organization), layout.contract(organization)]
    users += [layout.contract_client(organization), layout.admin(organization), layout.client(organization)]
    users += [layout.witness(organization), layout.orderer_admin(organization)]
    files = [path for user in users for path in (user.tls_certificate, user.tls_key)]
    files += [path for user in users if user.msp.exists() for path in (user.certificate, user.key)]
    return {path: path.read_bytes() for path in files}
