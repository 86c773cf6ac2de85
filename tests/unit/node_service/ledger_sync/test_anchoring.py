"""The anchorer on the real embedded ledger: every crash point, and what it refuses to anchor."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update

from domain.entries import LogEntry
from domain.errors import OutcomeUnknown, Unavailable
from domain.identifiers import encode_bytes, identifier
from domain.paths import verify_leaf
from node_service.access_log.rows import Entry, record_alone
from node_service.access_log.sequencer import Sequencer
from node_service.database.models import AccessRow, LedgerTransaction, LogNode, Outbox, RecordVersion
from node_service.ledger_sync import projection
from node_service.ledger_sync.alarm import alarms
from node_service.ledger_sync.anchorer import append_outbox
from node_service.logs.log import Log
from node_service.records.drafts import FHIR_JSON, Draft
from node_service.records.entries import entries
from node_service.records.evidence import leaf_and_path
from offchain.envelope.content import Description, PlainBytes
from tests.unit.node_service.ledger_sync.test_following import Deserted, with_ledger
from tests.unit.node_service.records.hospital import MSP_ID, Hospital
from tests.unit.node_service.records.storing import store_record


def store(hospital: Hospital, count: int = 1) -> list[str]:
    """Store records of the directory."""
    stored = []
    with hospital.node.database.transaction() as session:
        for _ in range(count):
            draft = Draft(
                record=identifier(os.urandom(16)),
                version=1,
                kind="directory",
                patient=None,
                resource_type="Organization",
                category="directory",
                media_type=FHIR_JSON,
                content=PlainBytes(b'{"resourceType":"Organization"}', Description(FHIR_JSON)),
                source_token=os.urandom(32),
                content_token=os.urandom(32),
            )
            stored.append(store_record(hospital.node, session, draft).record)
    return stored


def states(hospital: Hospital, records: list[str]) -> set[str]:
    with hospital.node.database.reading() as session:
        return {one.state for one in entries(hospital.node, session, records)}


def anchors(hospital: Hospital) -> list[LogEntry | None]:
    """The heads on the ledger and how many anchors it took."""
    with hospital.node.database.reading() as session:
        count = session.execute(
            select(func.count()).select_from(LedgerTransaction).where(LedgerTransaction.name == "Anchor")
        ).scalar_one()
        head = projection.entry(session, LogEntry, MSP_ID, "0000000001")
    return [head] * count


def step(hospital: Hospital) -> None:
    hospital.anchorer.step(hospital.clock.now())


def test_an_anchor_that_stays_unendorsed_is_tried_after_growing_pauses(hospital: Hospital) -> None:
    ledger = Deserted(hospital.ledger, times=1_000)
    deserted = with_ledger(hospital, ledger)
    records = store(deserted)
    for _ in range(300):
        step(deserted)
        deserted.follow()
        deserted.clock.advance(1)
    assert 5 <= ledger.submitted <= 12
    ledger.times = 0
    deserted.clock.advance(300)
    deserted.settle()
    assert states(deserted, records) == {"anchored"}


def test_many_records_take_one_anchor(hospital: Hospital) -> None:
    records = store(hospital, 20)
    hospital.settle()
    assert states(hospital, records) == {"anchored"}
    assert len(anchors(hospital)) == 1


def test_anchors_keep_their_distance_while_records_wait(hospital: Hospital) -> None:
    store(hospital)
    step(hospital)
    hospital.follow()
    late = store(hospital)
    step(hospital)
    hospital.follow()
    assert states(hospital, late) == {"stored"}
    hospital.clock.advance(0.1)
    step(hospital)
    hospital.follow()
    assert states(hospital, late) == {"anchored"}


def test_a_crash_before_the_append_loses_nothing(hospital: Hospital) -> None:
    records = store(hospital, 3)
    hospital.restart()
    hospital.settle()
    assert states(hospital, records) == {"anchored"}


def test_a_crash_between_append_and_submission_loses_nothing(hospital: Hospital) -> None:
    records = store(hospital, 3)
    with hospital.node.database.transaction() as session:
        assert append_outbox(session) == 3
    hospital.restart()
    hospital.settle()
    assert states(hospital, records) == {"anchored"}
    assert len(anchors(hospital)) == 1


def test_a_crash_between_submission_and_projection_doubles_nothing(hospital: Hospital) -> None:
    records = store(hospital, 3)
    step(hospital)
    assert states(hospital, records) == {"stored"}
    hospital.restart()
    step(hospital)  # the projection is behind the height that the restarted anchorer found
    hospital.settle()
    assert states(hospital, records) == {"anchored"}
    assert len(anchors(hospital)) == 1


def test_a_record_stored_while_an_anchor_is_on_its_way_is_in_the_next_one(hospital: Hospital) -> None:
    store(hospital)
    step(hospital)
    late = store(hospital, 2)
    hospital.settle()
    assert states(hospital, late) == {"anchored"}
    heads = anchors(hospital)
    assert len(heads) == 2
    assert heads[0] is not None
    assert heads[0].records.size == 3


def test_the_path_leads_to_the_head_that_first_covered_the_leaf(hospital: Hospital) -> None:
    first = store(hospital, 2)
    hospital.settle()
    store(hospital, 5)
    hospital.settle()
    with hospital.node.database.reading() as session:
        leaf, path = leaf_and_path(hospital.node, session, first[0], 1)
        assert path is not None
        head = projection.covering_head(session, MSP_ID, 1, "records", path.index)
        assert head is not None
        assert (path.size, head.size) == (2, 2)
        verify_leaf(leaf, path, encode_bytes(head.root))


def test_access_rows_alone_are_anchored_every_ten_seconds(hospital: Hospital) -> None:
    store(hospital)
    hospital.settle()
    record_alone(hospital.node, Entry("search", MSP_ID, "system"))
    Sequencer(hospital.node).step(hospital.clock.now())
    hospital.settle()
    assert len(anchors(hospital)) == 1
    hospital.clock.advance(10)
    hospital.settle()
    head = anchors(hospital)[-1]
    assert len(anchors(hospital)) == 2
    assert head is not None
    assert (head.access.size, head.records.size) == (1, 1)


@pytest.mark.parametrize("table", ["leaf", "node"])
def test_a_leaf_altered_after_it_was_stored_is_never_anchored(hospital: Hospital, table: str) -> None:
    (record,) = store(hospital)
    with hospital.node.database.transaction() as session:
        append_outbox(session)
        if table == "leaf":
            row = session.get(RecordVersion, (record, 1))
            assert row is not None
            row.leaf = row.leaf.replace(b'"version":1', b'"version":7')
        else:
            session.execute(update(LogNode).values(hash=bytes(32)))
    hospital.settle()
    assert states(hospital, [record]) == {"stored"}
    assert anchors(hospital) == []
    with hospital.node.database.reading() as session:
        assert [(one.name, one.reason) for one in alarms(session)] == [("anchorer", "log-hashes")]


def test_a_lost_access_row_is_never_anchored_over(hospital: Hospital) -> None:
    record_alone(hospital.node, Entry("search", MSP_ID, "system"))
    Sequencer(hospital.node).step(hospital.clock.now())
    with hospital.node.database.transaction() as session:
        session.execute(delete(AccessRow))
    hospital.settle()
    assert anchors(hospital) == []
    with hospital.node.database.reading() as session:
        assert [one.reason for one in alarms(session)] == ["log-leaves"]


def test_a_database_older_than_its_anchored_head_raises_an_alarm(hospital: Hospital) -> None:
    store(hospital, 4)
    hospital.settle()
    with hospital.node.database.transaction() as session:
        session.execute(update(RecordVersion).where(RecordVersion.log_index == 3).values(log_index=None))
        session.connection().exec_driver_sql("UPDATE log_size SET size = 3 WHERE log = 'records'")
    hospital.clock.advance(1)
    hospital.settle()
    with hospital.node.database.reading() as session:
        assert [one.reason for one in alarms(session)] == ["log-behind"]


def test_an_anchor_that_is_too_early_is_due_when_its_interval_is_over(hospital: Hospital) -> None:
    store(hospital, 1)
    hospital.settle()
    first = hospital.clock.now()
    store(hospital, 1)
    hospital.anchorer.step(first)
    hospital.follow()
    store(hospital, 1)
    interval = timedelta(seconds=hospital.node.settings.anchor_interval_s)
    assert hospital.anchorer.step(first + interval / 4) == first + interval
    set_back = first - timedelta(hours=2)
    assert hospital.anchorer.step(set_back) > set_back
    hospital.follow()
    with hospital.node.database.reading() as session:
        assert projection.anchored_size(session, MSP_ID, 1, "records") == 3


def test_after_a_failure_nothing_is_tried_for_a_second(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    store(hospital, 1)
    tries: list[str] = []

    def submit(_ledger: object, name: str, _arguments: bytes) -> str:
        tries.append(name)
        raise Unavailable("down")

    monkeypatch.setattr(type(hospital.ledger), "submit", submit)
    now = hospital.clock.now()
    due = hospital.anchorer.step(now)
    assert due == now + timedelta(seconds=1)
    assert hospital.anchorer.step(now + timedelta(seconds=0.5)) == due
    assert len(tries) == 1
    hospital.anchorer.step(due)
    assert len(tries) == 2


def test_an_anchor_lost_before_the_clock_was_set_back_does_not_stop_the_next(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = store(hospital)
    right = hospital.clock.now()

    def lose(_ledger: object, _name: str, _arguments: bytes) -> str:
        raise OutcomeUnknown("lost on its way", tx_id="0" * 64)

    with monkeypatch.context() as losing:
        losing.setattr(type(hospital.ledger), "submit", lose)
        hospital.anchorer.step(right + timedelta(hours=2))
    hospital.settle()
    assert states(hospital, records) == {"anchored"}


def test_the_ledger_down_keeps_everything_in_the_outbox(hospital: Hospital) -> None:
    records = store(hospital, 2)
    hospital.ledger.close()
    now = hospital.clock.now()
    assert hospital.anchorer.step(now) >= now + timedelta(milliseconds=20)
    assert states(hospital, records) == {"stored"}
    with hospital.node.database.reading() as session:
        held = session.execute(select(func.count()).select_from(RecordVersion)).scalar_one()
        waiting = session.execute(select(func.count()).select_from(Outbox)).scalar_one()
    assert (held, waiting) == (2, 2)


def test_a_leaf_that_comes_late_under_a_smaller_id_is_not_lost(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids are drawn before their transactions commit, so on other databases a smaller one can appear afterwards."""
    store(hospital, 2)
    append = Log.append
    with hospital.node.database.transaction() as session:
        late, _ = session.scalars(select(Outbox).order_by(Outbox.id)).all()
        values = {"id": late.id, "record": late.record, "version": late.version, "leaf_hash": late.leaf_hash}
        session.delete(late)

    def meanwhile(log: Log, leaf_hashes: list[bytes]) -> int:
        session.add(Outbox(**values))
        session.flush()
        return append(log, leaf_hashes)

    monkeypatch.setattr(Log, "append", meanwhile)
    with hospital.node.database.transaction() as session:
        assert append_outbox(session) == 1
    with hospital.node.database.reading() as session:
        assert session.scalars(select(Outbox.record)).all() == [values["record"]]
