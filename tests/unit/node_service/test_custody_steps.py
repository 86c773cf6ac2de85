"""Daily re-keying and snapshots of the record secrets, as steps of a node."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from domain.instants import instant, moment
from node_service.custody_steps import LOOK_EVERY, SNAPSHOT_EVERY, Rekeying, Snapshots
from tests.unit.node_service.records.hospital import START, start_hospital
from tests.unit.offchain.sealing import fresh_id

DAY = timedelta(hours=24)


def test_an_erasure_is_final_within_a_day(tmp_path: Path) -> None:
    hospital = start_hospital(tmp_path)
    custody, step, record = hospital.node.custody, Rekeying(hospital.node), fresh_id()
    promised = custody.forget([record], instant(START))
    assert step.step(START) == START + LOOK_EVERY
    assert step.step(START + DAY - timedelta(seconds=1)) == START + DAY
    forgotten = custody.forgotten(record)
    assert forgotten is not None
    assert forgotten.final_at is None
    step.step(START + DAY)
    forgotten = custody.forgotten(record)
    assert forgotten is not None
    assert forgotten.final_at == promised.final_by == instant(START + DAY)
    assert moment(custody.rekey_due()) == START + 2 * DAY
    hospital.close()


def test_the_snapshot_is_never_older_than_a_minute(tmp_path: Path) -> None:
    hospital = start_hospital(tmp_path)
    step = Snapshots(hospital.node, tmp_path / "snapshot")
    assert step.step(START) == START + SNAPSHOT_EVERY <= START + timedelta(minutes=1)
    empty = (tmp_path / "snapshot" / "increments-1").read_bytes()
    hospital.node.custody.prepare([fresh_id()])
    step.step(START + SNAPSHOT_EVERY)
    assert len((tmp_path / "snapshot" / "increments-1").read_bytes()) > len(empty) == 0
    hospital.close()
