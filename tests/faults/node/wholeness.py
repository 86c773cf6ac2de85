"""After a fault: the ledger verifies and replays; logs and objects of the node are whole; nothing waits."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.scenario.actors import Actors
from yilian.audit_export import verify_folder
from yilian.demo.network import Hospital

ROOT = Path(__file__).resolve().parents[3]
FSCK_TIMEOUT_S = 120


def check_whole(actors: Actors, folder: Path) -> None:
    """The whole ledger, and the custodian's node."""
    actors.wait_anchored()
    actors.network.ground.export(folder / "export")
    chain = verify_folder(folder / "export", actors.network.ground.genesis)
    assert chain.replayed > 0
    check_node(actors.home)


def check_node(hospital: Hospital) -> None:
    """Its logs are whole and its objects are there; no write waits, no alarm stands."""
    fsck = subprocess.run(
        [sys.executable, "-m", "yilian", "audit", "fsck"], cwd=ROOT, env=hospital.environment,
        capture_output=True, text=True, timeout=FSCK_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert fsck.returncode == 0, fsck.stdout + fsck.stderr
    assert waiting_writes(hospital) == 0
    with closing(_database(hospital)) as database:
        assert database.execute("SELECT count(*) FROM alarm").fetchone() == (0,)
        indices = [row[0] for row in database.execute("SELECT log_index FROM record_version ORDER BY log_index")]
        assert indices == list(range(len(indices)))


def waiting_writes(hospital: Hospital) -> int:
    """Writes to the ledger that are not decided yet."""
    waiting = "SELECT count(*) FROM pending_transaction WHERE state IN ('waiting', 'broadcast')"
    with closing(_database(hospital)) as database:
        count: int = database.execute(waiting).fetchone()[0]
        return count


def _database(hospital: Hospital) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{hospital.folder / 'node.db'}?mode=ro", uri=True)
