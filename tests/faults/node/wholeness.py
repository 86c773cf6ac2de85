"""After a fault: the ledger verifies and replays; logs and objects of the node are whole; nothing waits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from node_service.database.engine import Database
from node_service.settings import Settings
from tests.scenario.actors import Actors
from yilian.audit_export import verify_folder
from yilian.demo.network import Hospital

ROOT = Path(__file__).resolve().parents[3]
FSCK_TIMEOUT_S = 300


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
    with database_of(hospital) as session:
        assert session.execute(text("SELECT count(*) FROM alarm")).scalar_one() == 0
        indices = session.scalars(text("SELECT log_index FROM record_version ORDER BY log_index")).all()
        assert indices == list(range(len(indices)))


def waiting_writes(hospital: Hospital) -> int:
    """Writes to the ledger that are not decided yet."""
    waiting = text("SELECT count(*) FROM pending_transaction WHERE state IN ('waiting', 'broadcast')")
    with database_of(hospital) as session:
        return int(session.execute(waiting).scalar_one())


@contextmanager
def database_of(hospital: Hospital) -> Iterator[Session]:
    """The node's database, to look into."""
    database = Database(Settings.from_environment(hospital.environment).sqlalchemy_url)
    try:
        with database.reading() as session:
            yield session
    finally:
        database.close()
