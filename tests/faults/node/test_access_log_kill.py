"""Kill −9 while many threads share the commits of the access log: no acknowledged row is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from domain import leaves
from node_service.access_log import fsck
from node_service.access_log.sequencer import Sequencer
from node_service.database.models import AccessRow
from tests.faults.counts import repetitions
from tests.unit.node_service.records.hospital import open_hospital, start_hospital

ROWS_BEFORE_KILL = (3, 40, 150)
KILLS = repetitions(3, 100)
ROOT = Path(__file__).resolve().parents[3]


def run_until_killed(directory: Path, rows: int) -> list[str]:
    """Start the process, kill it when it has acknowledged so many rows; return all that it acknowledged."""
    command = [sys.executable, "-m", "tests.faults.node.logging_node", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(rows)]
        process.kill()
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -9
    return acknowledged


def test_kills_while_rows_share_commits_lose_no_acknowledged_row(tmp_path: Path) -> None:
    start_hospital(tmp_path).close()
    acknowledged: list[str] = []
    for number in range(KILLS):
        acknowledged += run_until_killed(tmp_path, ROWS_BEFORE_KILL[number % len(ROWS_BEFORE_KILL)])
    hospital = open_hospital(tmp_path)
    with hospital.node.database.reading() as session:
        kept = [leaves.parse_access_leaf(row).id for row in session.scalars(select(AccessRow.leaf))]
    assert len(kept) == len(set(kept))
    assert set(kept) >= set(acknowledged)
    assert len(acknowledged) >= sum(ROWS_BEFORE_KILL)
    Sequencer(hospital.node).step(hospital.clock.now())
    hospital.settle()
    assert fsck.check(hospital.node).findings == ()
    hospital.close()
