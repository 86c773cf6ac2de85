"""Rule 10: records by id, their status, attestations."""

from __future__ import annotations

from typing import Any

import pytest

from domain.queries import QueryRecord
from domain.transactions import AttestErasure, CreateRecord, EraseRecord, LockRecord, RetractRecord, Transaction
from tests.unit.chaincode.world import NOW, A, B, C, MemoryChannel, Refused, a_digest, after, an_id

RECORD = an_id("record")
RETRACT = RetractRecord(RECORD, "wrong-patient")
LOCK = LockRecord(RECORD, "retention", after(100))
ERASE = EraseRecord((RECORD,))
STEPS: dict[str, Transaction] = {"retract": RETRACT, "lock": LOCK, "erase": ERASE}


def status(channel: MemoryChannel, custodian: str = A) -> Any:
    return channel.query(QueryRecord(custodian, RECORD))


def test_a_leaf_is_kept_by_record_id_under_the_caller(channel: MemoryChannel) -> None:
    assert channel.submit(CreateRecord(RECORD, a_digest("leaf")), A)
    assert not channel.submit(CreateRecord(RECORD, a_digest("leaf")), A)
    with pytest.raises(Refused, match=r"409 record-id$"):
        channel.submit(CreateRecord(RECORD, a_digest("other")), A)
    assert channel.submit(CreateRecord(RECORD, a_digest("other")), B)
    assert status(channel)["leaf"] == a_digest("leaf")
    assert status(channel, B)["leaf"] == a_digest("other")


def test_a_record_that_nobody_wrote_is_active_without_a_leaf(channel: MemoryChannel) -> None:
    assert status(channel) == {
        "custodian": A, "record": RECORD, "leaf": None,
        "status": "active", "reason": None, "until": None, "attestations": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "last", "outcome"),
    [
        ([], "retract", "retracted"),
        ([], "lock", "locked"),
        ([], "erase", "erased"),
        (["lock"], "retract", "retracted"),
        (["retract"], "erase", "erased"),
    ],
)
def test_allowed_steps_of_a_record(channel: MemoryChannel, path: list[str], last: str, outcome: str) -> None:
    for step in path:
        assert channel.submit(STEPS[step])
    assert channel.submit(STEPS[last])
    assert status(channel)["status"] == outcome


@pytest.mark.parametrize(
    ("path", "forbidden", "reason"),
    [
        (["retract"], LockRecord(RECORD, "litigation", after(100)), "retracted"),
        (["retract"], RetractRecord(RECORD, "entered-in-error"), "retracted"),
        (["erase"], RETRACT, "erased"),
        (["erase"], LOCK, "erased"),
        (["lock"], ERASE, "locked"),
    ],
)
def test_forbidden_steps_of_a_record(
    channel: MemoryChannel, path: list[str], forbidden: Transaction, reason: str
) -> None:
    for step in path:
        channel.submit(STEPS[step])
    with pytest.raises(Refused, match=f"409 {reason}$"):
        channel.submit(forbidden)


@pytest.mark.parametrize("step", STEPS)
def test_the_same_step_again_changes_nothing(channel: MemoryChannel, step: str) -> None:
    assert channel.submit(STEPS[step])
    assert not channel.submit(STEPS[step])


@pytest.mark.parametrize(("at", "accepted"), [(99, False), (100, True), (101, True)])
def test_a_locked_record_is_erased_only_when_its_time_has_passed(
    channel: MemoryChannel, at: int, accepted: bool
) -> None:
    channel.submit(LOCK)
    if accepted:
        assert channel.submit(ERASE, at=after(at))
    else:
        with pytest.raises(Refused, match=r"409 locked$"):
            channel.submit(ERASE, at=after(at))


@pytest.mark.parametrize(("at", "accepted"), [(0, False), (99, False), (100, True)])
def test_a_lock_outlives_a_retraction(channel: MemoryChannel, at: int, accepted: bool) -> None:
    channel.submit(LOCK)
    assert channel.submit(RETRACT)
    assert not channel.submit(RETRACT)
    assert (status(channel)["status"], status(channel)["until"]) == ("retracted", after(100))
    if accepted:
        assert channel.submit(ERASE, at=after(at))
        assert (status(channel)["status"], status(channel)["until"]) == ("erased", None)
    else:
        with pytest.raises(Refused, match=r"409 locked$"):
            channel.submit(ERASE, at=after(at))


def test_a_lock_is_only_ever_prolonged(channel: MemoryChannel) -> None:
    channel.submit(LOCK)
    for until in (99, 100):
        with pytest.raises(Refused, match=r"409 lock-shorter$"):
            channel.submit(LockRecord(RECORD, "litigation", after(until)))
    assert channel.submit(LockRecord(RECORD, "litigation", after(101)))
    assert (status(channel)["reason"], status(channel)["until"]) == ("litigation", after(101))


def test_a_lock_in_the_past_is_invalid(channel: MemoryChannel) -> None:
    with pytest.raises(Refused, match=r"400 invalid until$"):
        channel.submit(LockRecord(RECORD, "retention", NOW))


def test_nobody_changes_the_status_of_anothers_record(channel: MemoryChannel) -> None:
    channel.submit(RETRACT, B)
    assert status(channel, A)["status"] == "active"


def test_erasing_is_all_or_nothing(channel: MemoryChannel) -> None:
    both = EraseRecord(tuple(sorted((RECORD, an_id("free")))))
    channel.submit(LOCK)
    with pytest.raises(Refused, match=r"409 locked$"):
        channel.submit(both)
    assert channel.query(QueryRecord(A, an_id("free")))["status"] == "active"
    assert channel.submit(both, at=after(100))
    assert len(channel.written()) == 2


def test_erasing_writes_only_what_is_not_erased_yet(channel: MemoryChannel) -> None:
    channel.submit(ERASE)
    assert channel.submit(EraseRecord(tuple(sorted((RECORD, an_id("free"))))))
    assert list(channel.written()) == [f"status/{A}/{an_id('free')}"]


def test_a_hospital_attests_what_became_of_its_copies(channel: MemoryChannel) -> None:
    retained = AttestErasure(A, (RECORD,), after(1000))
    assert channel.submit(retained, B)
    assert not channel.submit(retained, B)
    with pytest.raises(Refused, match=r"409 attested$"):
        channel.submit(AttestErasure(A, (RECORD,), after(2000)), B)
    assert channel.submit(AttestErasure(A, (RECORD,), None), B)
    with pytest.raises(Refused, match=r"409 attested$"):
        channel.submit(retained, B)
    assert channel.submit(AttestErasure(A, (RECORD,), None), C)
    found = [(item["msp"], item["retained_until"]) for item in status(channel)["attestations"]]
    assert found == [(B, None), (C, None)]


def test_attestations_are_about_another_members_records(channel: MemoryChannel) -> None:
    with pytest.raises(Refused, match=r"403 custodian$"):
        channel.submit(AttestErasure(A, (RECORD,), None), A)
    with pytest.raises(Refused, match=r"400 invalid custodian$"):
        channel.submit(AttestErasure("StrangerMSP", (RECORD,), None), A)
