"""Rule 12 and anchored statements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.queries import QueryEmergency, QueryStatement
from domain.statements import Erasure
from domain.transactions import AnchorStatement, ReviewBreakGlass
from tests.unit.chaincode.world import NOW, A, B, C, MemoryChannel, Refused, Wallet, a_digest, after, an_id, break_glass


@pytest.mark.parametrize(("until", "accepted"), [(0, False), (1, True), (4 * 3600, True), (4 * 3600 + 1, False)])
def test_an_emergency_lasts_at_most_four_hours(channel: MemoryChannel, until: int, accepted: bool) -> None:
    transaction = break_glass("e", until=after(until))
    if accepted:
        assert channel.submit(transaction, B)
    else:
        with pytest.raises(Refused, match=r"403 valid-until$"):
            channel.submit(transaction, B)


@pytest.mark.parametrize("custodian", [B, "StrangerMSP"])
def test_the_custodian_is_another_active_member(channel: MemoryChannel, custodian: str) -> None:
    with pytest.raises(Refused, match=r"403 custodian$"):
        channel.submit(break_glass("e", custodian), B)


def test_an_emergency_id_is_used_once(channel: MemoryChannel) -> None:
    assert channel.submit(break_glass("e"), B)
    assert not channel.submit(break_glass("e"), B, after(5 * 3600))
    for transaction, caller in ((break_glass("e"), C), (replace(break_glass("e"), reason="life-threatening"), B)):
        with pytest.raises(Refused, match=r"409 emergency-id$"):
            channel.submit(transaction, caller)


def review(outcome: str = "justified") -> ReviewBreakGlass:
    return ReviewBreakGlass(an_id("e"), outcome, an_id("officer"), a_digest("note"))


def test_requester_and_custodian_review_once_each(channel: MemoryChannel) -> None:
    channel.submit(break_glass("e"), B)
    assert channel.submit(review(), B)
    assert channel.submit(review("unjustified"), A)
    assert not channel.submit(review(), B, after(60))
    with pytest.raises(Refused, match=r"409 reviewed$"):
        channel.submit(review("escalated"), B)
    found = channel.query(QueryEmergency(an_id("e")))
    assert [(item["msp"], item["outcome"]) for item in found["reviews"]] == [(A, "unjustified"), (B, "justified")]
    assert (found["requester"], found["custodian"], found["opened_at"]) == (B, A, NOW)


def test_nobody_else_reviews(channel: MemoryChannel) -> None:
    channel.submit(break_glass("e"), B)
    with pytest.raises(Refused, match=r"403 reviewer$"):
        channel.submit(review(), C)


def test_an_emergency_that_is_not_there_is_not_reviewed(channel: MemoryChannel) -> None:
    with pytest.raises(Refused, match=r"404 not-found id$"):
        channel.submit(review(), B)


def fact(kind: str = "signed-opinion", digest: str = "fact") -> AnchorStatement:
    return AnchorStatement(an_id("fact"), kind, a_digest(digest), None, None)


def test_a_fact_is_anchored_once(channel: MemoryChannel) -> None:
    assert channel.submit(fact(), B)
    assert not channel.submit(fact(), B, after(60))
    for transaction, caller in ((fact(digest="other"), B), (fact(), A)):
        with pytest.raises(Refused, match=r"409 statement-id$"):
            channel.submit(transaction, caller)
    assert channel.submit(fact("payment-day-close"), A)
    found = channel.query(QueryStatement("signed-opinion", an_id("fact")))
    assert (found["by"], found["at"], found["statement_digest"]) == (B, NOW, None)


def erasure(wallet: Wallet, name: str = "erase", digest: str = "records") -> AnchorStatement:
    text, signature = wallet.signed(name, Erasure(a_digest(digest)))
    return AnchorStatement(an_id(name), "erasure-request", a_digest(digest), text, signature)


def test_a_patients_request_for_erasure_may_be_relayed_by_any_member(channel: MemoryChannel, wallet: Wallet) -> None:
    assert channel.submit(erasure(wallet), C)
    assert sorted(channel.written()) == [
        f"statement-used/{wallet.patient}/{an_id('erase')}", f"statement/erasure-request/{an_id('erase')}",
    ]  # fmt: skip
    assert not channel.submit(erasure(wallet), B)


def test_a_request_for_erasure_is_the_statement_that_it_brings(channel: MemoryChannel, wallet: Wallet) -> None:
    good = erasure(wallet)
    for forged in (replace(good, id=an_id("other")), replace(good, digest=a_digest("other"))):
        with pytest.raises(Refused, match=r"400 invalid statement$"):
            channel.submit(forged)
    assert good.statement is not None
    with pytest.raises(Refused, match=r"403 signature signature$"):
        channel.submit(replace(good, signature=Wallet("mallory").sign(good.statement)))
    channel.submit(good)
    with pytest.raises(Refused, match=r"409 statement-id$"):
        channel.submit(replace(good, id=an_id("other")))
