"""The network that the description makes: everybody on one channel, with one contract in force."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from chaincode.service.serving import SystemClock
from domain.errors import Denied, Invalid, YilianError
from network.fabric.connection import Connection
from network.fabric.ledger import FabricLedger
from network.fabric.raw_blocks import open_blocks
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


def test_a_witness_reads_the_channel_with_a_key_of_its_own(fabric: NativeNetwork) -> None:
    node, witness = (
        Connection.read(path)
        for path in (fabric.connection_file("MingdeMSP"), fabric.witness_connection_file("MingdeMSP"))
    )
    assert replace(witness, certificate=node.certificate, key=node.key) == node
    assert witness.key.read_bytes() != node.key.read_bytes()
    with closing(open_blocks(node)) as own, closing(open_blocks(witness)) as blocks:
        assert [*blocks.blocks(0)] == [*own.blocks(0)]


@pytest.mark.parametrize(("kind", "told"), [("node", Invalid), ("witness", Denied)])
def test_the_contract_takes_transactions_and_queries_from_a_node_and_none_from_a_witness(
    fabric: NativeNetwork, tmp_path: Path, kind: str, told: type[YilianError]
) -> None:
    made = fabric.connection_file if kind == "node" else fabric.witness_connection_file
    connection = Connection.read(made("MingdeMSP"))
    with FabricLedger(connection, SystemClock(), os.urandom, tmp_path) as ledger:
        with pytest.raises(told) as submitted:
            ledger.submit("RegisterOrganization", b"{}")
        with pytest.raises(told) as asked:
            ledger.evaluate("GetOrganization", {})
        assert ledger.height() > 0
    assert ({submitted.value.reason, asked.value.reason} == {"role"}) is (kind == "witness")
