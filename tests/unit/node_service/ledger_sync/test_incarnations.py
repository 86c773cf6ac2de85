"""A database restored from a backup that is older than what is anchored."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from domain.entries import LogEntry
from domain.errors import Conflict, Invalid
from domain.identifiers import encode_bytes
from domain.paths import verify_leaf
from node_service.access_log.rows import Entry, record_alone
from node_service.access_log.sequencer import Sequencer
from node_service.database.models import AccessRow, AnchoredHead, LogSize, Notice
from node_service.ledger_sync import projection
from node_service.ledger_sync.alarm import alarms
from node_service.ledger_sync.incarnations import open_incarnation
from node_service.records.entries import entries
from node_service.records.evidence import leaf_and_path
from tests.unit.node_service.ledger_sync.test_anchoring import states, store
from tests.unit.node_service.records.hospital import MSP_ID, Hospital, open_hospital, start_hospital


def verify_anchored(hospital: Hospital, record: str, incarnation: int) -> None:
    with hospital.node.database.reading() as session:
        leaf, path = leaf_and_path(hospital.node, session, record, 1)
        assert path is not None
        assert path.incarnation == incarnation
        head = session.get(AnchoredHead, (MSP_ID, incarnation, "records", path.size))
        assert head is not None
        verify_leaf(leaf, path, encode_bytes(head.root))


@pytest.mark.sqlite
def test_after_a_restore_a_person_opens_the_next_incarnation_and_old_heads_stay_valid(tmp_path: Path) -> None:
    hospital = start_hospital(tmp_path)
    kept = store(hospital, 3)
    hospital.settle()
    hospital.close()
    database = tmp_path / "data" / "node.db"
    shutil.copy(database, tmp_path / "backup.db")
    hospital = open_hospital(tmp_path, at=hospital.clock.now())
    lost = store(hospital, 2)
    hospital.settle()
    hospital.close()
    for path in database.parent.glob("node.db*"):
        path.unlink()
    shutil.copy(tmp_path / "backup.db", database)

    hospital = open_hospital(tmp_path, at=hospital.clock.now())
    hospital.settle()
    with hospital.node.database.reading() as session:
        assert [one.reason for one in alarms(session)] == ["log-behind"]
        assert entries(hospital.node, session, lost) == []
    waiting = store(hospital, 1)
    hospital.settle()
    assert states(hospital, waiting) == {"stored"}

    assert open_incarnation(hospital.node, "restore") == 2
    fresh = store(hospital, 2)
    hospital.clock.advance(2)
    hospital.settle(12)
    with hospital.node.database.reading() as session:
        told = session.scalars(select(Notice).where(Notice.event == "incarnation-opened")).all()
        assert {(one.recipient, one.references[0]) for one in told} == {
            (f"role:{role}", MSP_ID) for role in projection.WATCHING_ROLES
        }
    with hospital.node.database.reading() as session:
        assert alarms(session) == []
        entry = projection.entry(session, LogEntry, MSP_ID, "0000000002")
    assert entry is not None
    assert entry.opening is not None
    assert (entry.opening.reason, entry.opening.records_size) == ("restore", 3)
    for record in kept:
        verify_anchored(hospital, record, 1)
    verify_anchored(hospital, fresh[0], 2)
    hospital.close()


def test_rows_of_the_access_log_do_not_take_the_place_of_lost_ones(hospital: Hospital) -> None:
    for _ in range(2):
        record_alone(hospital.node, Entry("search", MSP_ID, "system"))
    Sequencer(hospital.node).step(hospital.clock.now())
    hospital.settle()
    with hospital.node.database.transaction() as session:  # as a backup from before the second row has it
        session.execute(delete(AccessRow).where(AccessRow.log_index == 1))
        session.execute(update(LogSize).where(LogSize.log == "access").values(size=1))
    record_alone(hospital.node, Entry("search", MSP_ID, "system"))
    Sequencer(hospital.node).step(hospital.clock.now())
    with hospital.node.database.reading() as session:
        assert list(session.scalars(select(AccessRow.log_index).order_by(AccessRow.id))) == [0, None]
    hospital.clock.advance(11)
    hospital.restart()
    hospital.settle()
    open_incarnation(hospital.node, "restore")
    Sequencer(hospital.node).step(hospital.clock.now())
    hospital.clock.advance(11)
    hospital.settle(12)
    with hospital.node.database.reading() as session:
        rows = session.execute(select(AccessRow.incarnation, AccessRow.log_index).order_by(AccessRow.id)).all()
        assert [(row[0], row[1]) for row in rows] == [(2, 0), (2, 1)]  # the only head of the first one has lost a leaf
        assert projection.anchored_size(session, MSP_ID, 2, "access") == 2


def test_an_incarnation_is_opened_only_with_a_known_reason_and_after_an_anchor(hospital: Hospital) -> None:
    with pytest.raises(Conflict):
        open_incarnation(hospital.node, "restore")
    store(hospital)
    hospital.settle()
    with pytest.raises(Invalid):
        open_incarnation(hospital.node, "because")
    with hospital.node.database.reading() as session:
        assert projection.state(session, "log", MSP_ID, "0000000002") is None


def test_leaves_that_were_never_anchored_move_to_the_next_incarnation(hospital: Hospital) -> None:
    store(hospital)
    hospital.settle()
    moved = store(hospital, 2)
    assert open_incarnation(hospital.node, "migration") == 2
    hospital.clock.advance(2)
    hospital.settle(12)
    for record in moved:
        verify_anchored(hospital, record, 2)
