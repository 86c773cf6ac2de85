"""The network that the description makes: everybody on one channel, with one contract in force."""

from __future__ import annotations

import stat

from network.fabric.connection import Connection
from network.topology import lifecycle
from network.topology.genesis import genesis_hash
from network.topology.lifecycle import Definition
from network.topology.native import NativeNetwork


def test_every_hospital_runs_a_peer_an_orderer_and_a_contract(fabric: NativeNetwork) -> None:
    assert len(fabric.processes) == 3 * len(fabric.topology.organizations)
    assert all(fabric.running(name) for name in fabric.processes)


def test_every_peer_has_the_contract_s_definition_and_answers_through_it(fabric: NativeNetwork) -> None:
    for organization in fabric.topology.organizations:
        assert lifecycle.committed(fabric.administration, organization) == Definition(1, "1")
        lifecycle.wait_answering(fabric.administration, organization, timeout_s=10)


def test_one_ordering_node_leads_and_all_have_the_channel(fabric: NativeNetwork) -> None:
    assert fabric.leader() in fabric.topology.organizations
    for organization in fabric.topology.organizations:
        with fabric.administration.orderer_admin(organization) as endpoint:
            told = endpoint.channel(fabric.topology.channel)
        assert (told["status"], told["consensusRelation"]) == ("active", "consenter")


def test_nothing_of_the_network_is_open_to_other_users(fabric: NativeNetwork) -> None:
    files = [path for path in fabric.layout.folder.rglob("*") if not path.is_socket()]
    assert any(path.name == "priv_sk" for path in files)
    assert not [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_a_hospital_is_told_its_own_peer_and_the_channel_s_first_block(fabric: NativeNetwork) -> None:
    told = Connection.read(fabric.connection_file("MingdeMSP"))
    others = {item.msp for item in fabric.topology.organizations} - {"MingdeMSP"}
    assert (told.msp, told.own_peer.msp, {peer.msp for peer in told.other_peers}) == ("MingdeMSP", "MingdeMSP", others)
    assert told.genesis == genesis_hash(fabric.layout)
    assert all(path.is_file() for path in (told.certificate, told.key, told.own_peer.tls_root))
