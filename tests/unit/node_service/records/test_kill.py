"""Kill −9 during ingestion: nothing acknowledged is lost, nothing doubled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from node_service.client.wire import RecordEntry
from node_service.database.models import LogSize, Outbox, Person, Record, RecordVersion
from node_service.records.entries import entries
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from tests.unit.node_service.records.hospital import Hospital, open_hospital, start_hospital
from tests.unit.node_service.records.ingesting import BUNDLES, RESOURCES, bundle

pytestmark = pytest.mark.sqlite  # a process of its own

KILLED_AFTER_LINES = (2, 5, 9)
ROOT = Path(__file__).resolve().parents[4]


def run_until_killed(directory: Path, lines: int) -> list[str]:
    """Start the process, kill it when it has acknowledged so many Bundles; return what it acknowledged as stored."""
    command = [sys.executable, "-m", "tests.unit.node_service.records.ingesting", str(directory)]
    acknowledged: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(lines):
            acknowledged += process.stdout.readline().split()[2:]
        process.kill()
        acknowledged += [record for line in process.stdout for record in line.split()[2:] if line.endswith("\n")]
    return acknowledged


def read_all(hospital: Hospital) -> list[RecordEntry]:
    with hospital.node.database.reading() as session:
        return entries(hospital.node, session, list(session.scalars(select(Record.id))))


def test_three_kills_during_ingestion_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    start_hospital(tmp_path).close()
    acknowledged: list[str] = []
    for lines in KILLED_AFTER_LINES:
        acknowledged += run_until_killed(tmp_path, lines)
    hospital = open_hospital(tmp_path)
    assert len(acknowledged) >= KILLED_AFTER_LINES[-1] * RESOURCES
    held = {one.record for one in read_all(hospital)}
    assert held.issuperset(acknowledged)

    for number in range(BUNDLES):
        assert ingest_fhir(hospital.node, bundle(number), "application/fhir+json", "his").refused == []
    hospital.clock.advance(5)
    hospital.settle()
    after = read_all(hospital)
    assert {(one.state, one.version) for one in after} == {("anchored", 1)}
    with hospital.node.database.reading() as session:
        counts = [
            session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (Record, RecordVersion, Person, Outbox)
        ]
        assert counts == [BUNDLES * RESOURCES, BUNDLES * RESOURCES, BUNDLES, 0]
        log_indices = sorted(index for index in session.scalars(select(RecordVersion.log_index)) if index is not None)
        assert log_indices == list(range(BUNDLES * RESOURCES))
        assert session.execute(select(LogSize.size).where(LogSize.log == "records")).scalar_one() == len(log_indices)
    for record in acknowledged:
        assert open_version(hospital.node, record).content.startswith(b'{"')
    hospital.close()
