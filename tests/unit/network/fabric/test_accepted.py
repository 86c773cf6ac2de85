"""What was accepted and is in no block is sent again, the same bytes, and not for ever."""

from __future__ import annotations

import time

import pytest

from domain.errors import Unavailable
from network.fabric import accepted
from network.fabric.accepted import (
    KEPT_S,
    MAX_KEPT_BYTES,
    MAX_RESENT_AT_ONCE,
    RESEND_AFTER_S,
    AcceptedTransactions,
    Resending,
)


class Channel:
    """What the own peer has in blocks, and what was sent."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.in_blocks = set[str]()
        self.is_down = False
        self.sent: list[bytes] = []
        self.asked: list[str] = []

    def is_in_block(self, tx_id: str) -> bool:
        self.asked.append(tx_id)
        if self.is_down:
            raise Unavailable("the network cannot be asked: UNAVAILABLE", reason="network")
        return tx_id in self.in_blocks


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def transactions(channel: Channel) -> AcceptedTransactions:
    return AcceptedTransactions(channel.is_in_block, channel.sent.append, now_s=lambda: channel.now_s)


def turn_at(transactions: AcceptedTransactions, channel: Channel, seconds: float) -> float:
    channel.now_s = seconds
    return transactions.turn()


def test_nothing_is_asked_before_its_time(transactions: AcceptedTransactions, channel: Channel) -> None:
    transactions.add("a", b"one")
    assert turn_at(transactions, channel, RESEND_AFTER_S / 4) == pytest.approx(RESEND_AFTER_S * 3 / 4)
    assert (channel.asked, channel.sent) == ([], [])


def test_what_a_dead_leader_took_along_is_sent_again_until_a_block_has_it(
    transactions: AcceptedTransactions, channel: Channel
) -> None:
    transactions.add("a", b"one")
    turn_at(transactions, channel, RESEND_AFTER_S)
    turn_at(transactions, channel, RESEND_AFTER_S * 1.5)
    assert channel.sent == [b"one"]
    turn_at(transactions, channel, RESEND_AFTER_S * 2)
    assert channel.sent == [b"one", b"one"]
    channel.in_blocks.add("a")
    for number in range(3, 20):
        turn_at(transactions, channel, RESEND_AFTER_S * number)
    assert channel.sent == [b"one", b"one"]
    assert channel.asked == ["a"] * 3


def test_what_a_block_showed_is_not_asked_for(transactions: AcceptedTransactions, channel: Channel) -> None:
    transactions.add("a", b"one")
    transactions.add("b", b"two")
    transactions.settle(["a", "unknown"])
    turn_at(transactions, channel, RESEND_AFTER_S)
    assert channel.asked == ["b"]
    assert channel.sent == [b"two"]


def test_what_is_too_old_is_the_callers_to_find_out(transactions: AcceptedTransactions, channel: Channel) -> None:
    transactions.add("a", b"one")
    for number in range(1, 20):
        turn_at(transactions, channel, RESEND_AFTER_S * number)
    assert len(channel.sent) == KEPT_S / RESEND_AFTER_S


def test_a_peer_that_cannot_be_asked_is_asked_later(transactions: AcceptedTransactions, channel: Channel) -> None:
    channel.is_down = True
    transactions.add("a", b"one")
    turn_at(transactions, channel, RESEND_AFTER_S)
    assert channel.sent == []
    channel.is_down = False
    turn_at(transactions, channel, RESEND_AFTER_S * 2)
    assert channel.sent == [b"one"]


def test_what_is_kept_and_sent_is_bounded(transactions: AcceptedTransactions, channel: Channel) -> None:
    for number in range(MAX_RESENT_AT_ONCE * 2):
        transactions.add(f"{number}", b"%d" % number)
    assert turn_at(transactions, channel, RESEND_AFTER_S) == 0
    assert len(channel.sent) == MAX_RESENT_AT_ONCE
    turn_at(transactions, channel, RESEND_AFTER_S)
    assert len(set(channel.sent)) == MAX_RESENT_AT_ONCE * 2
    transactions.add("large", bytes(MAX_KEPT_BYTES))
    channel.sent.clear()
    turn_at(transactions, channel, RESEND_AFTER_S * 2)
    assert [len(envelope) for envelope in channel.sent] == [MAX_KEPT_BYTES]


def test_a_thread_takes_the_turns_until_it_is_closed(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepted, "RESEND_AFTER_S", 0.01)
    transactions = AcceptedTransactions(channel.is_in_block, channel.sent.append)
    resending = Resending(transactions)
    resending.start()
    transactions.add("a", b"one")
    while b"one" not in channel.sent:
        time.sleep(0.01)
    resending.close()
    sent = len(channel.sent)
    transactions.add("b", b"two")
    assert b"two" not in channel.sent
    assert len(channel.sent) == sent
