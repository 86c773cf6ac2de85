"""A peer's blocks over Deliver: from any block, as they come, and while the peer fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import grpc
import pytest

from domain.errors import Unavailable
from network.blocks.protos import common, serialize
from network.fabric import deliver
from network.fabric.deliver import Deliver, block_number, read_response
from network.fabric.gateway import Identity, Signer, plain_channel
from network.fabric.raw_blocks import HeldBlocks, PeerBlocks
from tests.unit.network.blocks.hospital_channel import CHANNEL
from tests.unit.network.fabric.gateway.scripted_peer import (
    ScriptedPeer,
    block_answer,
    break_after,
    seek_of,
    serving,
    status_answer,
)

WAIT_S = 10.0


class Chain:
    """Answers as a peer's Deliver service does; blocks are added while it serves."""

    def __init__(self, height: int) -> None:
        self._changed = threading.Condition()
        self.height = height
        self.asked: list[tuple[int, int]] = []
        self.cuts = 0

    def grow(self, count: int = 1) -> None:
        with self._changed:
            self.height += count
            self._changed.notify_all()

    def wait_until_asked(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: bool(self.asked), WAIT_S)

    def cut(self) -> None:
        """Ends every stream that waits for a block."""
        with self._changed:
            self.cuts += 1
            self._changed.notify_all()

    def __call__(self, envelope: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        seek, cuts = seek_of(envelope), self.cuts
        if seek.start.HasField("newest"):
            yield block_answer(self.height - 1)
        else:
            start, stop = seek.start.specified.number, seek.stop.specified.number
            with self._changed:
                self.asked.append((start, stop))
                self._changed.notify_all()
            for number in range(start, stop + 1):
                with self._changed:
                    arrived = self._changed.wait_for(lambda: self.height > number or self.cuts > cuts, WAIT_S)  # noqa: B023
                if not arrived or not context.is_active():
                    return
                if self.cuts > cuts:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the peer is going down")
                yield block_answer(number)
        yield status_answer("SUCCESS")


@pytest.fixture
def chain() -> Chain:
    return Chain(5)


@pytest.fixture
def peer(chain: Chain) -> Iterator[ScriptedPeer]:
    with serving(ScriptedPeer(answers={"Deliver": chain})) as running:
        yield running


@pytest.fixture
def blocks(peer: ScriptedPeer, node: tuple[Identity, Signer]) -> Iterator[PeerBlocks]:
    channel = plain_channel(peer.address)
    with closing(PeerBlocks(Deliver(channel, CHANNEL, *node), channel.close)) as opened:
        yield opened


def raw(number: int) -> bytes:
    return serialize(block_answer(number).block)


def test_blocks_come_in_order_from_any_start_to_the_present_end(blocks: PeerBlocks) -> None:
    assert blocks.height() == 5
    assert list(blocks.blocks(0)) == [raw(number) for number in range(5)]
    assert list(blocks.blocks(3)) == [raw(3), raw(4)]
    assert list(blocks.blocks(5)) == []


def test_a_start_beyond_the_end_says_that_the_peer_is_behind(blocks: PeerBlocks) -> None:
    with pytest.raises(Unavailable) as caught:
        list(blocks.blocks(6))
    assert caught.value.reason == "peer-behind"


def test_many_blocks_are_asked_for_a_bounded_number_at_a_time(
    blocks: PeerBlocks, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "MAX_RANGE_BLOCKS", 4)
    chain.grow(6)
    assert [block_number(one) for one in blocks.blocks(1)] == list(range(1, 11))
    assert chain.asked == [(1, 4), (5, 8), (9, 10)]


def test_a_reader_slower_than_the_deadline_goes_on_where_it_was(
    blocks: PeerBlocks, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "RANGE_TIMEOUT_S", 0.3)
    chain.grow(deliver.MAX_RANGE_BLOCKS)
    found = []
    for one in blocks.blocks(0):
        found.append(block_number(one))
        if len(found) == 1:
            time.sleep(0.6)
    assert found == list(range(chain.height))


def test_waiting_ends_at_once_with_the_block_and_reading_it_asks_nobody(blocks: PeerBlocks, chain: Chain) -> None:
    assert not blocks.wait_for_block(5, 0.01)
    threading.Timer(0.2, chain.grow).start()
    began = time.monotonic()
    assert blocks.wait_for_block(5, WAIT_S)
    assert time.monotonic() - began < WAIT_S / 2
    asked = list(chain.asked)
    assert list(blocks.blocks(5)) == [raw(5)]
    assert chain.asked == asked


def test_waiting_for_what_is_there_ends_without_waiting(blocks: PeerBlocks) -> None:
    assert blocks.wait_for_block(4, 0)


def test_after_a_break_it_goes_on_where_it_was(blocks: PeerBlocks, chain: Chain) -> None:
    assert not blocks.wait_for_block(5, 0.01)
    chain.grow()
    assert blocks.wait_for_block(5, WAIT_S)
    chain.cut()
    chain.grow(2)
    assert blocks.wait_for_block(7, WAIT_S)
    assert list(blocks.blocks(5)) == [raw(5), raw(6), raw(7)]
    assert (6, 2**64 - 1) in chain.asked


def test_a_peer_that_comes_back_is_followed_again(node: tuple[Identity, Signer]) -> None:
    chain = Chain(3)
    with serving(ScriptedPeer(answers={"Deliver": chain})) as peer:
        channel = plain_channel(peer.address)
        opened = PeerBlocks(Deliver(channel, CHANNEL, *node), channel.close)
        port = int(peer.address.rpartition(":")[2])
        assert opened.wait_for_block(2, WAIT_S)
    with closing(opened):
        with pytest.raises(Unavailable):
            opened.height()
        assert not opened.wait_for_block(3, 0.2)
        with serving(ScriptedPeer(answers={"Deliver": chain}), port=port):
            chain.grow()
            assert opened.wait_for_block(3, WAIT_S)


def test_what_a_caller_was_told_is_never_missing_afterwards(blocks: PeerBlocks) -> None:
    blocks.note(5)
    assert not blocks.wait_for_block(5, 0)
    assert [block_number(one) for one in blocks.blocks(0)] == list(range(5))


def test_a_peer_that_has_fewer_blocks_than_it_had_is_waited_for_again(blocks: PeerBlocks, chain: Chain) -> None:
    """It was restored from an older copy."""
    assert blocks.wait_for_block(4, 0)
    chain.wait_until_asked()  # for block 5: a stream that begins after the cut would wait for that one
    chain.height = 3
    assert blocks.height() == 3
    assert not blocks.wait_for_block(3, 0)
    chain.cut()
    chain.grow()
    assert blocks.wait_for_block(3, WAIT_S)


def test_a_number_that_the_peer_only_claimed_is_forgotten_when_it_says_less(blocks: PeerBlocks) -> None:
    blocks.note(2**64 - 1)
    assert blocks.wait_for_block(5, 0)
    assert blocks.height() == 5
    assert not blocks.wait_for_block(5, 0)


def test_blocks_out_of_their_order_are_none(blocks: PeerBlocks, peer: ScriptedPeer, chain: Chain) -> None:
    def leaping(envelope: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        if seek_of(envelope).start.HasField("newest"):
            yield from chain(envelope, context)
        else:
            yield block_answer(2**64 - 1)

    peer.answers["Deliver"] = leaping
    assert not blocks.wait_for_block(5, 0.2)
    peer.answers["Deliver"] = chain
    chain.grow()
    assert blocks.wait_for_block(5, WAIT_S)


@pytest.mark.parametrize("name", ["FORBIDDEN", "NOT_FOUND", "SERVICE_UNAVAILABLE", "BAD_REQUEST"])
def test_a_peer_that_refuses_is_unavailable(blocks: PeerBlocks, peer: ScriptedPeer, name: str) -> None:
    peer.answers["Deliver"] = lambda request, context: iter([status_answer(name)])
    with pytest.raises(Unavailable) as caught:
        blocks.height()
    assert caught.value.reason == "peer-refuses"
    assert name in caught.value.detail


def test_a_range_that_ends_early_is_no_whole_answer(blocks: PeerBlocks, peer: ScriptedPeer) -> None:
    assert blocks.height() == 5
    peer.answers["Deliver"] = lambda request, context: iter([status_answer("SUCCESS")])
    with pytest.raises(Unavailable):
        list(blocks.range(2, 5))


def test_a_range_that_breaks_before_its_first_block_is_unavailable(blocks: PeerBlocks, peer: ScriptedPeer) -> None:
    peer.answers["Deliver"] = break_after()
    with pytest.raises(Unavailable):
        list(blocks.range(2, 5))


@pytest.mark.parametrize("answer", [b"", b"\x12\xff", b"\x1a\x00", b"\xff", b"\x08\xe7\x07", b"\x12\x00\x12\x00"])
def test_answers_that_are_none_are_unavailable(answer: bytes) -> None:
    with pytest.raises(Unavailable):
        read_response(answer)


@pytest.mark.parametrize("block", [b"", b"\x12\x00", b"\xff\xff", b"\x0a\x05ab"])
def test_bytes_without_a_header_are_no_block(block: bytes) -> None:
    with pytest.raises(Unavailable):
        block_number(block)


def test_closing_wakes_who_waits_and_ends_the_thread(blocks: PeerBlocks) -> None:
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(blocks.wait_for_block(5, WAIT_S * 3)))
    waiting.start()
    time.sleep(0.2)
    blocks.close()
    waiting.join(WAIT_S)
    assert answers == [False]
    assert not [one for one in threading.enumerate() if one.name == "yilian-deliver"]
    for call in (blocks.height, lambda: list(blocks.blocks(0))):
        with pytest.raises(Unavailable):
            call()
    assert not blocks.wait_for_block(5, 0)


def test_held_blocks_are_bounded_in_number_and_bytes() -> None:
    few = HeldBlocks(max_blocks=3)
    for number in range(5):
        few.add(number, bytes(10))
    assert [number for number in range(5) if few.get(number)] == [2, 3, 4]
    small = HeldBlocks(max_bytes=25)
    for number in range(5):
        small.add(number, bytes(10))
    assert [number for number in range(5) if small.get(number)] == [3, 4]
    small.add(5, bytes(100))
    assert not any(small.get(number) for number in range(6))


def test_a_gap_begins_a_new_row() -> None:
    held = HeldBlocks()
    for number in (1, 2, 7):
        held.add(number, b"block")
    assert [number for number in range(8) if held.get(number)] == [7]


def test_the_request_is_of_the_channel_and_signed(blocks: PeerBlocks, peer: ScriptedPeer) -> None:
    blocks.height()
    envelope = peer.last("Deliver")
    header = common.ChannelHeader.FromString(common.Payload.FromString(envelope.payload).header.channel_header)
    assert header.channel_id == CHANNEL
    assert seek_of(envelope).stop.HasField("newest")
