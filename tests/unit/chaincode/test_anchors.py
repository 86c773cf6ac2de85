"""Rule 9: heads of the two logs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.queries import QueryLog
from domain.transactions import LogHead, Opening
from tests.unit.chaincode.world import A, B, Log, MemoryChannel, Refused, a_digest, log_head


@pytest.fixture
def log() -> Log:
    return Log().grow(20, 20)


def test_the_first_anchor_opens_incarnation_one(channel: MemoryChannel, log: Log) -> None:
    assert channel.submit(log.anchor((5, 3)))
    assert list(channel.written()) == [f"log/{A}/0000000001"]
    (found,) = channel.query(QueryLog(A))["items"]
    assert (found["incarnation"], found["records"]["size"], found["access"]["size"]) == (1, 5, 3)
    assert found["opening"] is None
    assert channel.event() == ("Anchor", {"keys": [f"log/{A}/0000000001"]})


def test_heads_grow_with_proofs_and_only_under_the_callers_name(channel: MemoryChannel, log: Log) -> None:
    channel.submit(log.anchor((5, 3)))
    assert channel.submit(log.anchor((9, 3), (5, 3)))
    assert channel.submit(log.anchor((9, 8), (9, 3), unwraps=4))
    assert channel.submit(log.anchor((1, 1)), B)
    assert channel.query(QueryLog(A))["items"][0]["records"]["size"] == 9


def test_the_same_heads_again_change_nothing(channel: MemoryChannel, log: Log) -> None:
    channel.submit(log.anchor((5, 3), unwraps=1))
    assert not channel.submit(log.anchor((5, 3), unwraps=1))
    assert not channel.submit(log.anchor((5, 3), (5, 3), unwraps=1))


def test_more_unwraps_alone_are_a_change_and_fewer_are_behind(channel: MemoryChannel, log: Log) -> None:
    channel.submit(log.anchor((5, 3), unwraps=1))
    assert channel.submit(log.anchor((5, 3), (5, 3), unwraps=2))
    with pytest.raises(Refused, match=r"409 behind$"):
        channel.submit(log.anchor((6, 3), (5, 3), unwraps=1))


@pytest.mark.parametrize("sizes", [(4, 3), (5, 2), (6, 2), (4, 9)])
def test_a_late_anchor_is_a_conflict(channel: MemoryChannel, log: Log, sizes: tuple[int, int]) -> None:
    channel.submit(log.anchor((5, 3)))
    with pytest.raises(Refused, match=r"409 behind$"):
        channel.submit(log.anchor(sizes, (5, 3)))


def test_a_rewritten_log_is_refused(channel: MemoryChannel, log: Log) -> None:
    channel.submit(log.anchor((5, 3)))
    good = log.anchor((9, 3), (5, 3))
    other = LogHead(5, a_digest("another root"), ())
    for forged, place in (
        (replace(good, records=replace(good.records, root=a_digest("root"))), "records"),
        (replace(good, records=replace(good.records, proof=())), "records"),
        (replace(good, records=replace(good.records, proof=good.records.proof[:-1])), "records"),
        (replace(good, records=replace(good.records, proof=(*good.records.proof, a_digest("more")))), "records"),
        (replace(log.anchor((5, 4), (5, 3)), records=other), "records"),
        (replace(good, access=LogHead(3, a_digest("another root"), ())), "access"),
    ):
        with pytest.raises(Refused, match=f"409 inconsistent {place}$"):
            channel.submit(forged)
    assert channel.submit(good)


def test_an_empty_log_has_the_empty_root(channel: MemoryChannel, log: Log) -> None:
    with pytest.raises(Refused, match=r"409 inconsistent records$"):
        channel.submit(replace(log.anchor((0, 0)), records=LogHead(0, a_digest("root"), ())))
    assert channel.submit(log.anchor((0, 0)))
    assert channel.submit(log.anchor((5, 0), (0, 0)))


def test_the_first_head_of_an_incarnation_brings_no_proof(channel: MemoryChannel, log: Log) -> None:
    with pytest.raises(Refused, match=r"409 inconsistent records$"):
        channel.submit(replace(log.anchor((9, 0)), records=log_head(log.records, 5, 9)))


def test_a_restore_opens_the_next_incarnation_and_alarms(channel: MemoryChannel, log: Log) -> None:
    channel.submit(log.anchor((5, 3), unwraps=7))
    opening = log.anchor((2, 2), incarnation=2, opening=Opening("restore", 4, 3))
    assert channel.submit(opening)
    assert channel.event() == ("IncarnationOpened", {"keys": [f"log/{A}/0000000002"]})
    assert not channel.submit(opening)
    assert channel.submit(log.anchor((3, 2), (2, 2), incarnation=2))
    assert channel.event() == ("Anchor", {"keys": [f"log/{A}/0000000002"]})
    first, second = channel.query(QueryLog(A))["items"]
    assert (first["records"]["size"], first["unwraps"]) == (5, 7)
    assert second["opening"] == {"reason": "restore", "records_size": 4, "access_size": 3}


def test_only_the_highest_incarnation_grows(channel: MemoryChannel, log: Log) -> None:
    channel.submit(log.anchor((5, 3)))
    channel.submit(log.anchor((2, 2), incarnation=2, opening=Opening("restore", 5, 3)))
    with pytest.raises(Refused, match=r"409 behind$"):
        channel.submit(log.anchor((6, 3), (5, 3)))


@pytest.mark.parametrize(("records", "access"), [(6, 3), (5, 4)])
def test_an_opening_claims_no_more_than_was_anchored(
    channel: MemoryChannel, log: Log, records: int, access: int
) -> None:
    channel.submit(log.anchor((5, 3)))
    with pytest.raises(Refused, match=r"409 opening-size$"):
        channel.submit(log.anchor((2, 2), incarnation=2, opening=Opening("restore", records, access)))


def test_incarnations_are_opened_one_after_the_other_with_a_reason(channel: MemoryChannel, log: Log) -> None:
    with pytest.raises(Refused, match=r"400 invalid opening$"):
        channel.submit(log.anchor((1, 1), opening=Opening("restore", 0, 0)))
    with pytest.raises(Refused, match=r"409 ahead$"):
        channel.submit(log.anchor((1, 1), incarnation=2, opening=Opening("restore", 0, 0)))
    channel.submit(log.anchor((5, 3)))
    with pytest.raises(Refused, match=r"400 invalid opening$"):
        channel.submit(log.anchor((1, 1), incarnation=2))
    with pytest.raises(Refused, match=r"409 ahead$"):
        channel.submit(log.anchor((1, 1), incarnation=3, opening=Opening("restore", 0, 0)))


def test_an_open_incarnation_is_not_opened_again(channel: MemoryChannel, log: Log) -> None:
    channel.submit(log.anchor((5, 3)))
    channel.submit(log.anchor((2, 2), incarnation=2, opening=Opening("restore", 5, 3)))
    with pytest.raises(Refused, match=r"409 incarnation-open$"):
        channel.submit(log.anchor((2, 2), incarnation=2, opening=Opening("corruption", 5, 3)))
