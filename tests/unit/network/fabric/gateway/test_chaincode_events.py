"""Chaincode events: where a stream starts, how it resumes inside a block, how it ends."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from network.blocks.identity import parse_identity
from network.blocks.signature import verify_signature
from network.fabric.gateway import (
    ChaincodeEvent,
    Checkpoint,
    FileCheckpointer,
    Gateway,
    GatewayError,
    InMemoryCheckpointer,
    Network,
)
from network.fabric.gateway.protos import gateway as messages
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL
from tests.unit.network.fabric.gateway.scripted_peer import (
    GIVE_UP_S,
    ScriptedPeer,
    break_after,
    hang,
    hang_after,
    refuse,
)

CHAIN = {3: ["a", "b", "c"], 4: ["d"], 7: ["e", "f"]}
"""Block numbers, and the ids of the transactions in each that set an event."""


def event(block_number: int, transaction_id: str) -> ChaincodeEvent:
    return ChaincodeEvent(block_number, transaction_id, CHAINCODE, "Opened", transaction_id.encode())


def answer_of(block_number: int, transaction_ids: list[str]) -> Any:
    answer = messages.ChaincodeEventsResponse(block_number=block_number)
    for transaction_id in transaction_ids:
        answer.events.add(
            chaincode_id=CHAINCODE, tx_id=transaction_id, event_name="Opened", payload=transaction_id.encode()
        )
    return answer


def replay(signed: Any, context: grpc.ServicerContext) -> Iterator[Any]:
    """What a peer does: from the block asked for, leaving out all up to the given transaction, then waiting."""
    request = messages.ChaincodeEventsRequest.FromString(signed.request)
    verify_signature(parse_identity(request.identity).public_key, signed.signature, signed.request)
    start, after = request.start_position.specified.number, request.after_transaction_id
    for number, transactions in CHAIN.items():
        if number >= start:
            left = transactions
            if number == start and after:
                left = transactions[transactions.index(after) + 1 :]
            yield answer_of(number, left)
    hang(signed, context)


def take(network: Network, count: int, *, checkpoint: Checkpoint | None = None) -> list[ChaincodeEvent]:
    with network.chaincode_events(CHAINCODE, start_block=3, checkpoint=checkpoint) as stream:
        return [next(stream) for _ in range(count)]


def test_without_a_position_events_start_at_the_next_commit(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = hang_after(answer_of(9, ["x"]))
    with network.chaincode_events(CHAINCODE) as stream:
        assert next(stream) == event(9, "x")
    request = messages.ChaincodeEventsRequest.FromString(peer.last("ChaincodeEvents").request)
    assert request.start_position.WhichOneof("Type") == "next_commit"
    assert (request.channel_id, request.chaincode_id, request.after_transaction_id) == (CHANNEL, CHAINCODE, "")


def test_events_are_replayed_from_a_block_in_order(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = replay
    expected = [event(number, transaction) for number, ids in CHAIN.items() for transaction in ids]
    assert take(network, 6) == expected


def test_block_zero_is_a_position(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = hang_after(answer_of(0, ["x"]))
    with network.chaincode_events(CHAINCODE, start_block=0) as stream:
        next(stream)
    request = messages.ChaincodeEventsRequest.FromString(peer.last("ChaincodeEvents").request)
    assert request.start_position.WhichOneof("Type") == "specified"


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_position_that_is_no_block_number_is_refused(network: Network, number: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        network.chaincode_events(CHAINCODE, start_block=number)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_stream_resumes_inside_a_block(network: Network, peer: ScriptedPeer, tmp_path: Path, kind: str) -> None:
    peer.answers["ChaincodeEvents"] = replay
    checkpointer: InMemoryCheckpointer | FileCheckpointer = InMemoryCheckpointer()
    if kind == "file":
        checkpointer = FileCheckpointer(tmp_path / "position")
    taken = []
    for _ in range(6):
        with network.chaincode_events(CHAINCODE, start_block=3, checkpoint=checkpointer) as stream:
            taken.append(next(stream))
        checkpointer.checkpoint_chaincode_event(taken[-1])
        if isinstance(checkpointer, FileCheckpointer):
            checkpointer = FileCheckpointer(tmp_path / "position")
    assert [item.transaction_id for item in taken] == ["a", "b", "c", "d", "e", "f"]


def test_a_processed_block_is_not_sent_again(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = replay
    checkpointer = InMemoryCheckpointer()
    checkpointer.checkpoint_block(3)
    assert take(network, 1, checkpoint=checkpointer) == [event(4, "d")]


def test_an_unused_checkpoint_leaves_the_start_block(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = replay
    assert take(network, 1, checkpoint=InMemoryCheckpointer()) == [event(3, "a")]


def test_a_stream_that_breaks_raises_after_what_came_before(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = break_after(answer_of(3, ["a", "b"]))
    stream = network.chaincode_events(CHAINCODE, start_block=3)
    assert [next(stream).transaction_id for _ in range(2)] == ["a", "b"]
    for _ in range(2):
        with pytest.raises(GatewayError, match="going down") as caught:
            next(stream)
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_a_stream_that_the_peer_ends_is_no_quiet_end(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = lambda request, context: iter([answer_of(3, ["a"])])
    stream = network.chaincode_events(CHAINCODE, start_block=3)
    next(stream)
    with pytest.raises(GatewayError, match="the peer ended the stream"):
        list(stream)


def test_a_refused_stream_raises_with_the_status(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = refuse(grpc.StatusCode.PERMISSION_DENIED, "not you")
    with pytest.raises(GatewayError, match="not you") as caught:
        list(network.chaincode_events(CHAINCODE))
    assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED


def test_close_from_another_thread_ends_a_waiting_iteration_quietly(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = hang_after(answer_of(3, ["a"]))
    stream = network.chaincode_events(CHAINCODE)
    first, taken = threading.Event(), list[ChaincodeEvent]()

    def read() -> None:
        for item in stream:
            taken.append(item)
            first.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert first.wait(GIVE_UP_S)
    stream.close()
    thread.join(GIVE_UP_S)
    assert not thread.is_alive()
    assert taken == [event(3, "a")]
    assert list(stream) == []


def test_closing_one_stream_leaves_the_other(network: Network, peer: ScriptedPeer) -> None:
    gate = threading.Event()

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield answer_of(3, ["a"])
        assert gate.wait(GIVE_UP_S)
        yield answer_of(4, ["d"])
        hang(request, context)

    peer.answers["ChaincodeEvents"] = answer
    one, other = network.chaincode_events(CHAINCODE), network.chaincode_events(CHAINCODE)
    assert next(one) == next(other) == event(3, "a")
    one.close()
    gate.set()
    assert next(other) == event(4, "d")
    assert list(one) == []
    other.close()


def test_closing_the_gateway_ends_every_stream(gateway: Gateway, network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = hang_after(answer_of(3, ["a"]))
    streams = [network.chaincode_events(CHAINCODE) for _ in range(3)]
    read: list[list[ChaincodeEvent]] = []
    threads = [threading.Thread(target=lambda stream=stream: read.append(list(stream))) for stream in streams]
    for thread in threads:
        thread.start()
    gateway.close()
    for thread in threads:
        thread.join(GIVE_UP_S)
    assert not any(thread.is_alive() for thread in threads)
    assert len(read) == 3


def test_what_was_received_and_not_taken_is_dropped_by_close(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = hang_after(answer_of(3, ["a", "b", "c"]))
    stream = network.chaincode_events(CHAINCODE)
    next(stream)
    stream.close()
    assert list(stream) == []


def test_a_silent_stream_is_given_up_after_the_time_given(network: Network, peer: ScriptedPeer) -> None:
    peer.answers["ChaincodeEvents"] = hang_after(answer_of(3, ["a"]))
    stream = network.chaincode_events(CHAINCODE, idle_s=0.3)
    next(stream)
    with pytest.raises(GatewayError, match="nothing arrived") as caught:
        next(stream)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_stream_that_nobody_holds_is_ended(network: Network, peer: ScriptedPeer) -> None:
    ended = threading.Event()

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        context.add_callback(ended.set)
        yield answer_of(3, ["a"])
        hang(request, context)

    peer.answers["ChaincodeEvents"] = answer
    next(network.chaincode_events(CHAINCODE))
    gc.collect()
    assert ended.wait(GIVE_UP_S)


def test_the_payload_of_an_event_is_not_in_its_repr() -> None:
    assert "secret" not in repr(ChaincodeEvent(1, "tx", CHAINCODE, "Opened", b"secret"))
