"""The follower, commits and submission on the real embedded ledger."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from domain.entries import OrganizationEntry
from domain.errors import Conflict, Denied, NotFound, OutcomeUnknown, Tampered, Unavailable
from domain.identifiers import encode_bytes, identifier
from domain.jcs import JsonObject, JsonValue
from domain.ports import CommittedBlock, CommittedTransaction, Ledger, TransactionStatus
from domain.transactions import CreateRecord, LockRecord, RetractRecord, encode
from network.embedded.ledger import EmbeddedLedger
from node_service.database.models import Checkpoint, LedgerTransaction, PendingTransaction
from node_service.ledger_sync import projection
from node_service.ledger_sync.alarm import alarms, settle_alarm, verify_no_alarm
from node_service.ledger_sync.backoff import LONGEST_PAUSE
from node_service.ledger_sync.follower import Follower
from node_service.ledger_sync.registry import organization, organization_key, organizations
from node_service.ledger_sync.submission import Resubmitter, enqueue, submit, submit_and_wait
from node_service.node_status import node_status
from tests.conformance.ledger.forgery import under_the_id
from tests.unit.node_service.records.hospital import MSP_ID, OTHER_MSP_ID, START, Hospital, found, open_hospital


def create_record() -> CreateRecord:
    return CreateRecord(identifier(os.urandom(16)), encode_bytes(os.urandom(32)))


def pending(hospital: Hospital) -> list[tuple[str, str | None]]:
    with hospital.node.database.reading() as session:
        return [(row.state, row.reason) for row in session.scalars(select(PendingTransaction))]


class Unsure:
    """The embedded ledger behind a network that loses answers: what went in is only found by asking."""

    def __init__(self, ledger: Ledger, *, loses: int, before: bool) -> None:
        self._ledger = ledger
        self._loses = loses
        self._before = before

    @property
    def channel(self) -> str:
        return self._ledger.channel

    @property
    def msp_id(self) -> str:
        return self._ledger.msp_id

    def submit(self, name: str, arguments: bytes) -> str:
        if self._loses and self._before:
            self._loses -= 1
            raise OutcomeUnknown("no answer", tx_id="0" * 64)
        tx_id = self._ledger.submit(name, arguments)
        if self._loses:
            self._loses -= 1
            raise OutcomeUnknown("no answer", tx_id=tx_id)
        return tx_id

    def evaluate(self, name: str, arguments: JsonObject) -> JsonValue:
        return self._ledger.evaluate(name, arguments)

    def status(self, tx_id: str) -> TransactionStatus | None:
        return self._ledger.status(tx_id)

    def height(self) -> int:
        return self._ledger.height()

    def blocks(self, start: int) -> Iterator[CommittedBlock]:
        return self._ledger.blocks(start)

    def wait_for_block(self, height: int, timeout_s: float) -> bool:
        return self._ledger.wait_for_block(height, timeout_s)


class Racing(Unsure):
    """Somebody else's write on the same key is committed between the endorsement and the block of ours."""

    def __init__(self, ledger: EmbeddedLedger, rival: LockRecord) -> None:
        super().__init__(ledger, loses=0, before=False)
        self._embedded = ledger
        self._rival: LockRecord | None = rival

    def submit(self, name: str, arguments: bytes) -> str:
        envelope = self._embedded.assemble(self._embedded.endorse(self._embedded.propose(name, arguments)))
        rival, self._rival = self._rival, None
        if rival is not None:
            self._embedded.submit(*encode(rival))
        return self._embedded.broadcast(envelope)


class Robbed(Unsure):
    """Somebody else's transaction claims the id of ours and comes first."""

    def __init__(self, ledger: EmbeddedLedger) -> None:
        super().__init__(ledger, loses=0, before=False)
        self._embedded = ledger
        self._robs = True

    def submit(self, name: str, arguments: bytes) -> str:
        ours, theirs = (self._embedded.endorse(self._embedded.propose(name, arguments)) for _ in range(2))
        if self._robs:
            self._robs = False
            self._embedded.broadcast(under_the_id(self._embedded, theirs, ours.proposal.tx_id))
        return self._embedded.broadcast(self._embedded.assemble(ours))


class Deserted(Unsure):
    """The first writes' endorsements suffice no more when their block comes: a hospital that endorsed has left."""

    def __init__(self, ledger: EmbeddedLedger, *, times: int = 1) -> None:
        super().__init__(ledger, loses=0, before=False)
        self._embedded = ledger
        self.times = times
        self.submitted = 0

    def submit(self, name: str, arguments: bytes) -> str:
        self.submitted += 1
        endorsed = self._embedded.endorse(self._embedded.propose(name, arguments))
        missing = int(self.submitted <= self.times)
        fewer = replace(endorsed, endorsements=endorsed.endorsements[missing:])
        return self._embedded.broadcast(self._embedded.assemble(fewer))


class Slow(Unsure):
    """The block is projected before the submission gives up."""

    def __init__(self, ledger: Ledger, follow: Callable[[], object]) -> None:
        super().__init__(ledger, loses=1, before=False)
        self._follow = follow

    def submit(self, name: str, arguments: bytes) -> str:
        try:
            return super().submit(name, arguments)
        finally:
            self._follow()


def with_ledger(hospital: Hospital, ledger: Ledger) -> Hospital:
    """The same hospital with another way to the ledger."""
    changed = Hospital.__new__(Hospital)
    node = hospital.node
    fields = {name: getattr(node, name) for name in type(node).__dataclass_fields__}
    changed.node = type(node)(**{**fields, "ledger": ledger})
    changed.clock, changed.ledger, changed.commits = hospital.clock, hospital.ledger, hospital.commits
    changed.restart()
    return changed


def test_the_projection_holds_state_transactions_and_registry(hospital: Hospital) -> None:
    with hospital.node.database.reading() as session:
        entry = projection.entry(session, OrganizationEntry, MSP_ID)
        assert entry is not None
        assert organization(session, MSP_ID) == entry
        assert list(organizations(session)) == [MSP_ID]
        written = projection.transaction_of(session, "org", MSP_ID)
        assert written is not None
        assert (written.name, written.creator, written.code) == ("RegisterOrganization", MSP_ID, "VALID")
        key = organization_key(session, MSP_ID, "signing", None, "2026-03-01T09:00:00Z")
        assert organization_key(session, MSP_ID, "signing", key.kid, "2026-03-01T09:00:00Z") == key
        with pytest.raises(NotFound):
            organization_key(session, MSP_ID, "signing", None, "2020-01-01T00:00:00Z")
        with pytest.raises(NotFound):
            organization_key(session, OTHER_MSP_ID, "signing", None, "2026-03-01T09:00:00Z")


def test_ranges_of_the_projection_hold_the_keys_with_the_prefix_and_no_others(hospital: Hospital) -> None:
    written = [create_record() for _ in range(3)]
    for one in written:
        submit(hospital.node, one)
    hospital.follow()
    with hospital.node.database.reading() as session:
        found_records = {names[1]: value["leaf"] for names, value in projection.states(session, "record", MSP_ID)}
        assert list(projection.states(session, "record", "Renji")) == []
    assert found_records == {one.record: one.leaf for one in written}


def test_a_second_follower_continues_where_the_first_one_was_killed(hospital: Hospital) -> None:
    submit(hospital.node, create_record())
    hospital.follow()
    submit(hospital.node, create_record())
    hospital.restart()
    hospital.follow()
    with hospital.node.database.reading() as session:
        assert projection.height(session) == hospital.ledger.height()
        assert len(session.scalars(select(LedgerTransaction.tx_id)).all()) == 3


def test_submitted_writes_are_committed_for_whoever_waits(hospital: Hospital) -> None:
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            hospital.follower.step(hospital.clock.now())
            hospital.ledger.wait_for_block(hospital.ledger.height(), 0.02)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        writes = [create_record() for _ in range(5)]

        async def main() -> list[str]:
            done = await asyncio.gather(*(submit_and_wait(hospital.node, one) for one in writes))
            await hospital.commits.projected(max(one.block for one in done) + 1, 1.0)
            return [one.tx_id for one in done]

        committed = asyncio.run(main())
    finally:
        stop.set()
        thread.join()
    assert len(set(committed)) == 5
    assert pending(hospital) == []


def test_a_commit_that_does_not_come_is_an_unknown_outcome(hospital: Hospital) -> None:
    async def main() -> None:
        await hospital.commits.committed("f" * 64, 0.01)

    with pytest.raises(OutcomeUnknown):
        asyncio.run(main())

    async def behind() -> None:
        await hospital.commits.projected(10_000, 0.01)

    with pytest.raises(Unavailable):
        asyncio.run(behind())


def test_a_commit_from_before_a_restart_is_found_in_the_database(hospital: Hospital) -> None:
    tx_id = submit(hospital.node, create_record())
    hospital.follow()
    fresh = type(hospital.commits)(hospital.node.database)
    assert asyncio.run(fresh.committed(tx_id, 0.01)).valid
    asyncio.run(fresh.projected(hospital.ledger.height(), 0.01))


def test_a_refusal_of_the_contract_reaches_the_caller_and_is_recorded(hospital: Hospital) -> None:
    first = create_record()
    submit(hospital.node, first)
    with pytest.raises(Conflict):
        submit(hospital.node, CreateRecord(first.record, encode_bytes(os.urandom(32))))
    hospital.follow()
    assert [state for state, _ in pending(hospital)] == ["refused"]


def test_the_same_logical_write_twice_is_one_write(hospital: Hospital) -> None:
    write = create_record()
    submit(hospital.node, write)
    hospital.follow()
    submit(hospital.node, write)
    hospital.follow()
    with hospital.node.database.reading() as session:
        assert len(list(projection.states(session, "record", MSP_ID))) == 1
    assert pending(hospital) == []


def test_an_answer_that_was_lost_after_the_commit_is_asked_for(hospital: Hospital) -> None:
    unsure = with_ledger(hospital, Unsure(hospital.ledger, loses=1, before=False))
    tx_id = submit(unsure.node, create_record())
    unsure.follow()
    assert asyncio.run(unsure.commits.committed(tx_id, 0.1)).valid
    assert pending(unsure) == []


def test_a_write_whose_outcome_is_unknown_is_submitted_again_until_it_is_in(hospital: Hospital) -> None:
    unsure = with_ledger(hospital, Unsure(hospital.ledger, loses=1, before=True))
    write = create_record()
    with pytest.raises(OutcomeUnknown):
        submit(unsure.node, write)
    assert pending(unsure) == [("broadcast", None)]
    later = unsure.clock.now() + timedelta(seconds=11)
    Resubmitter(unsure.node).step(later)
    unsure.follow()
    with unsure.node.database.reading() as session:
        assert projection.state(session, "record", MSP_ID, write.record) == {"leaf": write.leaf, "v": 1}
    assert pending(unsure) == []


def test_a_write_from_before_the_clock_was_set_back_is_submitted_again_at_once(hospital: Hospital) -> None:
    unsure = with_ledger(hospital, Unsure(hospital.ledger, loses=1, before=True))
    right = unsure.clock.now()
    unsure.clock.advance(8 * 24 * 3600)
    with pytest.raises(OutcomeUnknown):
        submit(unsure.node, create_record())
    unsure.clock.at = right
    unsure.resubmitter.step(right)
    unsure.follow()
    assert pending(unsure) == []


def test_a_write_that_lost_a_race_is_submitted_again(hospital: Hospital) -> None:
    record = identifier(os.urandom(16))
    racing = with_ledger(hospital, Racing(hospital.ledger, LockRecord(record, "retention", "2040-01-01T00:00:00Z")))
    tx_id = submit(racing.node, RetractRecord(record, "wrong-patient"))
    racing.follow()
    assert asyncio.run(racing.commits.committed(tx_id, 0.1)).code == "MVCC_READ_CONFLICT"
    assert pending(racing) == [("waiting", None)]
    racing.resubmitter.step(racing.clock.now())
    racing.follow()
    with racing.node.database.reading() as session:
        status = projection.state(session, "status", MSP_ID, record)
    assert status is not None
    assert status["status"] == "retracted"
    assert pending(racing) == []


def test_a_write_whose_endorser_left_meanwhile_is_endorsed_again(hospital: Hospital) -> None:
    write = create_record()
    deserted = with_ledger(hospital, Deserted(hospital.ledger))
    first = submit(deserted.node, write)
    deserted.follow()
    assert asyncio.run(deserted.commits.committed(first, 0.1)).code == "ENDORSEMENT_POLICY_FAILURE"
    assert pending(deserted) == [("waiting", "ENDORSEMENT_POLICY_FAILURE")]
    deserted.resubmitter.step(deserted.clock.now())
    deserted.follow()
    with deserted.node.database.reading() as session:
        assert projection.state(session, "record", MSP_ID, write.record) == {"leaf": write.leaf, "v": 1}
    assert pending(deserted) == []


def test_a_write_that_stays_unendorsed_is_tried_after_growing_pauses_and_never_lost(hospital: Hospital) -> None:
    ledger = Deserted(hospital.ledger, times=1_000)
    deserted = with_ledger(hospital, ledger)
    submit(deserted.node, create_record())
    for _ in range(900):
        deserted.follow()
        deserted.clock.advance(1)
        deserted.resubmitter.step(deserted.clock.now())
    assert 8 <= ledger.submitted <= 13
    deserted.follow()
    assert node_status(deserted.node).unendorsed == 1
    ledger.times = 0
    deserted.clock.advance(LONGEST_PAUSE.total_seconds())
    deserted.resubmitter.step(deserted.clock.now())
    deserted.follow()
    assert pending(deserted) == []
    assert node_status(deserted.node).unendorsed == 0


def test_a_write_whose_id_was_taken_gets_another_id(hospital: Hospital) -> None:
    """An endorser sees the id before it is ordered, and can have an invalid transaction claim it first."""
    write = create_record()
    robbed = with_ledger(hospital, Robbed(hospital.ledger))
    first = submit(robbed.node, write)
    robbed.follow()
    assert asyncio.run(robbed.commits.committed(first, 0.1)).code == "DUPLICATE_TXID"
    assert pending(robbed) == [("waiting", None)]
    robbed.resubmitter.step(robbed.clock.now())
    robbed.follow()
    with robbed.node.database.reading() as session:
        assert projection.state(session, "record", MSP_ID, write.record) == {"leaf": write.leaf, "v": 1}
    assert pending(robbed) == []


def test_a_write_that_came_in_while_its_outcome_was_unknown_is_settled(hospital: Hospital) -> None:
    """The follower projects its block before the submission gives up, and never sees it again."""
    slow = with_ledger(hospital, Slow(hospital.ledger, hospital.follow))
    assert submit(slow.node, create_record())
    assert pending(slow) == []


def test_a_queued_write_goes_out_after_a_restart(hospital: Hospital) -> None:
    write = create_record()
    with hospital.node.database.transaction() as session:
        enqueue(hospital.node, session, write)
    hospital.restart()
    hospital.resubmitter.step(hospital.clock.now())
    hospital.follow()
    with hospital.node.database.reading() as session:
        assert projection.state(session, "record", MSP_ID, write.record) is not None
    assert pending(hospital) == []


def test_a_queued_write_that_is_refused_stays_refused(hospital: Hospital) -> None:
    with hospital.node.database.transaction() as session:
        enqueue(hospital.node, session, RetractRecord(identifier(os.urandom(16)), "wrong-patient"))
        enqueue(hospital.node, session, RetractRecord(identifier(os.urandom(16)), "wrong-patient"))
    hospital.settle()
    states = pending(hospital)
    hospital.settle()
    assert pending(hospital) == states


def test_a_hospital_that_is_not_registered_may_not_write(tmp_path: Path) -> None:
    found(tmp_path)
    hospital = open_hospital(tmp_path)
    with pytest.raises(Denied):
        submit(hospital.node, create_record())
    hospital.close()


def test_an_idle_follower_waits_in_the_ledger_and_leaves_the_database_alone(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.restart()
    assert hospital.follower.awaits is None
    hospital.follow()
    height = hospital.ledger.height()
    assert hospital.follower.awaits == height
    assert not hospital.ledger.wait_for_block(height, 0)
    monkeypatch.setattr(type(hospital.node.database), "reading", None)
    monkeypatch.setattr(type(hospital.node.database), "transaction", None)
    assert hospital.follower.step(hospital.clock.now()) > hospital.clock.now()
    monkeypatch.undo()
    submit(hospital.node, create_record())
    assert hospital.ledger.wait_for_block(height, 0)


def test_a_block_altered_in_the_file_stops_the_follower_and_raises_an_alarm(tmp_path: Path) -> None:
    found(tmp_path)
    hospital = open_hospital(tmp_path)
    hospital.follow()
    hospital.close()
    with sqlite3.connect(tmp_path / "ledger" / "ledger.db") as file:
        (raw,) = file.execute("SELECT raw FROM block WHERE number = 1").fetchone()
        altered = raw.replace(b"yilian", b"yiliam", 1)
        assert altered != raw
        file.execute("UPDATE block SET raw = ? WHERE number = 1", (altered,))
    again = open_hospital(tmp_path)
    follower = Follower(again.node.database, again.node.ledger, again.commits)
    with again.node.database.transaction() as session:
        session.execute(delete(LedgerTransaction))
        checkpoint = session.get(Checkpoint, projection.FOLLOWER)
        assert checkpoint is not None
        checkpoint.next_block = 0
    follower.step(START)
    assert follower.awaits is None
    follower.step(START)
    assert follower.awaits is None
    with again.node.database.reading() as session:
        assert [one.name for one in alarms(session)] == ["follower"]
        assert projection.height(session) <= 1
        with pytest.raises(Unavailable):
            verify_no_alarm(session)
    assert settle_alarm(again.node.database, "follower")
    with again.node.database.reading() as session:
        verify_no_alarm(session)
    again.close()


def test_a_ledger_that_skips_a_block_is_tampered_with(hospital: Hospital) -> None:
    block = CommittedBlock(hospital.ledger.height() + 5, bytes(32), (), (), (MSP_ID,))
    with pytest.raises(Tampered), hospital.node.database.transaction() as session:
        projection.apply_block(session, block)


def test_an_unreadable_key_is_no_composite_key() -> None:
    assert projection.split_key("plain") == ()
    assert projection.split_key(projection.composite_key("log", MSP_ID, "0000000001")) == ("log", MSP_ID, "0000000001")


@pytest.mark.parametrize("name", ["x" * 65, "a\0b", "\N{REPLACEMENT CHARACTER}"], ids=["long", "nul", "no-text"])
def test_an_invalid_transaction_of_any_name_stops_nobody(hospital: Hospital, name: str) -> None:
    """Any member may have nonsense ordered; what it is called is kept only where it can be a name."""
    nonsense = CommittedTransaction("f" * 64, "ENDORSEMENT_POLICY_FAILURE", MSP_ID, name, b"", START, (), None)
    with hospital.node.database.transaction() as session:
        height = projection.height(session)
        projection.apply_block(session, CommittedBlock(height, bytes(32), (False,), (nonsense,), (MSP_ID,)))
    with hospital.node.database.reading() as session:
        assert projection.height(session) == height + 1
        assert session.get_one(LedgerTransaction, nonsense.tx_id).name == ""
