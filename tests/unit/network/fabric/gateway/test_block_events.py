"""Block events of three kinds: the request that a peer sees, what it sends, and how a stream ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from network.blocks.proposal import NANOSECONDS
from network.blocks.protos import common
from network.fabric.gateway import (
    Block,
    BlockAndPrivateData,
    ChaincodeEvent,
    EventStream,
    FilteredBlock,
    FilteredTransaction,
    GatewayError,
    Identity,
    InMemoryCheckpointer,
    Network,
    Signer,
    Sources,
    connect,
    plain_channel,
)
from network.fabric.gateway.protos import events
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL
from tests.unit.network.fabric.gateway.scripted_peer import (
    ScriptedPeer,
    block_answer,
    break_after,
    hang_after,
    seek_of,
    status_answer,
)

KINDS: dict[str, Callable[[Network], EventStream[Any]]] = {
    "Deliver": lambda network: network.block_events(start_block=3),
    "DeliverFiltered": lambda network: network.filtered_block_events(start_block=3),
    "DeliverWithPrivateData": lambda network: network.block_and_private_data_events(start_block=3),
}


def test_a_block_is_given_with_its_bytes(network: Network, peer: ScriptedPeer) -> None:
    answer = block_answer(3)
    peer.answers["Deliver"] = hang_after(answer)
    with network.block_events(start_block=3) as stream:
        assert next(stream) == Block(3, answer.block.SerializeToString())


def test_a_filtered_block_tells_codes_and_names_of_events(network: Network, peer: ScriptedPeer) -> None:
    answer = events.DeliverResponse()
    answer.filtered_block.number, answer.filtered_block.channel_id = 3, CHANNEL
    one = answer.filtered_block.filtered_transactions.add(txid="a", type=3, tx_validation_code=0)
    one.transaction_actions.chaincode_actions.add().chaincode_event.CopyFrom(_event("a"))
    answer.filtered_block.filtered_transactions.add(txid="b", type=3, tx_validation_code=11)
    peer.answers["DeliverFiltered"] = hang_after(answer)
    with network.filtered_block_events(start_block=3) as stream:
        block = next(stream)
    event = ChaincodeEvent(3, "a", CHAINCODE, "Opened", b"")
    expected = (FilteredTransaction("a", 3, 0, (event,)), FilteredTransaction("b", 3, 11, ()))
    assert block == FilteredBlock(3, CHANNEL, expected)
    assert [item.code_name for item in block.transactions] == ["VALID", "MVCC_READ_CONFLICT"]


def test_private_data_comes_beside_its_block_by_transaction(network: Network, peer: ScriptedPeer) -> None:
    answer = events.DeliverResponse()
    answer.block_and_private_data.block.header.number = 3
    private = answer.block_and_private_data.private_data_map[1]
    private.ns_pvt_rwset.add(namespace=CHAINCODE)
    peer.answers["DeliverWithPrivateData"] = hang_after(answer)
    with network.block_and_private_data_events(start_block=3) as stream:
        received = next(stream)
    block = Block(3, answer.block_and_private_data.block.SerializeToString())
    assert received == BlockAndPrivateData(block, {1: private.SerializeToString()})
    assert CHAINCODE not in repr(received)


@pytest.mark.parametrize("method", KINDS)
def test_the_request_is_signed_without_end_and_bound_to_the_certificate(
    peer: ScriptedPeer, identity: Identity, signer: Signer, method: str
) -> None:
    peer.answers[method] = break_after()
    sources = Sources(clock_ns=lambda: 5 * NANOSECONDS + 6)
    with (
        plain_channel(peer.address) as channel,
        connect(channel, identity, signer, sources=sources, tls_certificate_hash=b"hash") as gateway,
        KINDS[method](gateway.get_network(CHANNEL)) as stream,
        pytest.raises(GatewayError),
    ):
        next(stream)
    seek = seek_of(peer.last(method))
    payload = common.Payload.FromString(peer.last(method).payload)
    header = common.ChannelHeader.FromString(payload.header.channel_header)
    assert (seek.start.specified.number, seek.stop.specified.number) == (3, 2**64 - 1)
    assert (header.channel_id, header.tls_cert_hash) == (CHANNEL, b"hash")
    assert (header.timestamp.seconds, header.timestamp.nanos) == (5, 6)
    assert common.HeaderType.Name(header.type) == "DELIVER_SEEK_INFO"


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("FORBIDDEN", grpc.StatusCode.PERMISSION_DENIED),
        ("NOT_FOUND", grpc.StatusCode.NOT_FOUND),
        ("BAD_REQUEST", grpc.StatusCode.INVALID_ARGUMENT),
        ("SERVICE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
        ("UNKNOWN", grpc.StatusCode.UNKNOWN),
    ],
)
def test_a_status_instead_of_a_block_is_an_error(
    network: Network, peer: ScriptedPeer, method: str, status: str, code: grpc.StatusCode
) -> None:
    peer.answers[method] = hang_after(status_answer(status))
    stream = KINDS[method](network)
    for _ in range(2):
        with pytest.raises(GatewayError, match=status) as caught:
            next(stream)
        assert caught.value.code is code


def test_everything_asked_for_is_the_one_quiet_end_that_a_peer_can_make(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["Deliver"] = hang_after(block_answer(3), block_answer(4), status_answer("SUCCESS"))
    assert [block.number for block in network.block_events(start_block=3)] == [3, 4]


def test_another_kind_of_answer_is_an_error(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["DeliverFiltered"] = hang_after(block_answer(3))
    with pytest.raises(GatewayError, match="another kind"):
        next(network.filtered_block_events(start_block=3))


def test_blocks_resume_after_the_checkpoint(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["Deliver"] = hang_after(block_answer(3))
    checkpointer = InMemoryCheckpointer()
    with network.block_events(start_block=3, checkpoint=checkpointer) as stream:
        checkpointer.checkpoint_block(next(stream).number)
    assert seek_of(peer.last("Deliver")).start.specified.number == 3
    with network.block_events(start_block=3, checkpoint=checkpointer) as stream:
        next(stream)
    assert seek_of(peer.last("Deliver")).start.specified.number == 4


def test_a_large_block_comes_through(network: Network, peer: ScriptedPeer) -> None:
    answer = block_answer(3)
    answer.block.data.data.append(bytes(20_000_000))
    peer.answers["Deliver"] = hang_after(answer)
    with network.block_events(start_block=3) as stream:
        assert len(next(stream).raw) > 20_000_000


def _event(transaction_id: str) -> Any:
    message = events.FilteredChaincodeAction().chaincode_event
    message.chaincode_id, message.tx_id, message.event_name = CHAINCODE, transaction_id, "Opened"
    return message
