"""What became of a transaction, of a peer that has it and is slow to say so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from domain.errors import Unavailable
from network.fabric.connection import Connection, PeerAddress
from network.fabric.ledger import FabricLedger
from network.fabric.peers import Peer
from network.fabric.submission import Submitter
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL, new_root
from tests.unit.network.fabric.conftest import HOSPITALS
from tests.unit.network.fabric.gateway.scripted_peer import ScriptedPeer, refuse

TX_ID = "ab" * 32
SLOW_S = 0.8


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture
def ledger(peers: list[Peer], tmp_path: Path) -> Iterator[FabricLedger]:
    """Over the scripted peer of the own hospital."""
    root = new_root("ca.RenheMSP")
    holder = root.issue("node", "client")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(holder.certificate.public_bytes(Encoding.PEM))
    key.write_bytes(holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    own = PeerAddress(HOSPITALS[0], "127.0.0.1:1", certificate)
    connection = Connection(CHANNEL, CHAINCODE, "00" * 32, HOSPITALS[0], certificate, key, own)
    with FabricLedger(connection, Clock(), bytes, tmp_path) as opened:
        opened._peers.own = peers[0]
        yield opened


def test_a_peer_that_is_slow_to_tell_the_status_is_waited_for(
    ledger: FabricLedger, scripted: list[ScriptedPeer]
) -> None:
    def slowly(request: Any, context: grpc.ServicerContext) -> Any:
        time.sleep(SLOW_S)
        return scripted[0]._CommitStatus(request, context)

    scripted[0].answers["CommitStatus"] = slowly
    status = ledger.status(TX_ID)
    assert status is not None
    assert status.code == "VALID"


def test_a_transaction_that_the_peer_has_is_never_said_to_be_in_no_block(
    ledger: FabricLedger, scripted: list[ScriptedPeer]
) -> None:
    """Whoever hears that waits for the next block, which may never come."""
    scripted[0].answers["CommitStatus"] = refuse(grpc.StatusCode.DEADLINE_EXCEEDED, "context deadline exceeded")
    with pytest.raises(Unavailable):
        ledger.status(TX_ID)


def test_only_submissions_go_to_another_hospitals_peer(
    ledger: FabricLedger, peers: list[Peer], scripted: list[ScriptedPeer]
) -> None:
    """What decides a release is asked of the own peer or of nobody."""
    ledger._peers._others, ledger._submitter = tuple(peers[1:]), Submitter(peers, HOSPITALS[0])
    scripted[0].answers = dict.fromkeys(
        ("Evaluate", "Endorse", "CommitStatus"), refuse(grpc.StatusCode.UNAVAILABLE, "down")
    )
    reading: list[Callable[[], object]] = [
        lambda: ledger.evaluate("GetRecord", {"id": "x"}),
        lambda: ledger.status(TX_ID),
        ledger.height,
        lambda: list(ledger.blocks(0)),
    ]
    for read in reading:
        with pytest.raises(Unavailable):
            read()
    assert not any(ledger.wait_for_block(number, 0.0) for number in range(3))
    assert [peer.requests for peer in scripted[1:]] == [{}, {}]
    assert ledger.submit("CreateRecord", b"{}")
    assert any("Endorse" in peer.requests for peer in scripted[1:])
