"""A transaction that a leader had accepted dies with it, and comes into a block all the same, sent again as it was."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from network.fabric.connection import Connection
from network.fabric.ledger import FabricLedger
from network.topology.description import Timings
from network.topology.engine import Binaries
from network.topology.native import NativeNetwork
from tests.conformance.ledger.adapters import SettableClock
from tests.conformance.ledger.fabric_adapter import CONTRACT
from tests.fabric.faults.striking import measured
from tests.fabric.faults.test_clients import arguments, decided
from tests.fabric.networks import running_network

pytestmark = [pytest.mark.slow, pytest.mark.fabric]
SLOW_BLOCKS = Timings(batch_timeout_ms=3000, request_forward_ms=5000, request_complain_ms=10_000)
"""So that the leader surely dies before the block that it was about to cut, and BFT does not depose it for waiting."""


@pytest.fixture(scope="module")
def network(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeNetwork]:
    with running_network(
        tmp_path_factory.mktemp("leader"), binaries, contract=CONTRACT, timings=SLOW_BLOCKS
    ) as running:
        yield running


def test_what_a_dead_leader_had_accepted_is_committed_without_anybody_submitting_it_again(
    network: NativeNetwork, tmp_path: Path
) -> None:
    connection = Connection.read(network.connection_file(network.topology.organizations[0].msp))
    with FabricLedger(connection, SettableClock(), os.urandom, tmp_path) as ledger:
        decided(ledger, ledger.submit("Put", arguments("drawer", "before")))
        leader = network.wait_leader().process("orderer")
        tx_ids = [ledger.submit("Put", arguments(f"drawer-{number}", "meanwhile")) for number in range(3)]
        assert [ledger.status(tx_id) for tx_id in tx_ids] == [None] * len(tx_ids)
        network.kill(leader)
        killed = time.monotonic()
        assert {decided(ledger, tx_id) for tx_id in tx_ids} == {"VALID"}
        after_s = round(time.monotonic() - killed, 1)
        measured({"fault": "leader with accepted transactions", "committed_after_s": after_s})
        network.start(leader)
