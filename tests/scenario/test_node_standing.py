"""``yilian node status`` and ``migrate`` beside a node that runs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from node_service.database.engine import Database
from node_service.database.migrations import NEWEST
from tests.scenario.network import Hospital
from yilian.language import Language
from yilian.language import text as language_text
from yilian.main import build

TIMEOUT_S = 30.0


@pytest.fixture
def surroundings(renhe: Hospital, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    """The environment says which node is meant."""
    settings = renhe.settings
    named = {
        "MSP_ID": settings.msp_id, "NAME": settings.name, "DATA_DIR": settings.data_dir,
        "LEDGER_DIR": settings.ledger_dir, "HOST": settings.host, "PORT": settings.port,
    }  # fmt: skip
    for name, value in named.items():
        monkeypatch.setenv(f"YILIAN_{name}", str(value))
    return renhe


def yilian(*arguments: str, language: Language = "en") -> Result:
    return CliRunner().invoke(build(language_text(language)), ["node", *arguments])


def test_a_running_node_is_shown_whole(surroundings: Hospital) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while (done := yilian("status", "--json")).exit_code != 0:
        assert time.monotonic() < deadline, done.output
        time.sleep(0.2)
    told = json.loads(done.output)
    database = surroundings.running.node.database
    assert (told["msp_id"], told["revision"], told["obstacles"], told["alarms"]) == ("RenheMSP", NEWEST, [], [])
    assert told["database"] == database.engine.dialect.name
    assert min(told["measured"]["ledger_height"], told["projected"]) > 0  # measured at different moments
    assert told["measured"]["stores_down"] == 0
    assert (told["leader"] is not None) == told["is_shared"] == database.is_shared
    assert told["leader"] is None or told["leader"]["is_here"]


@pytest.mark.parametrize(("language", "ready"), [("en", "running node\tready"), ("zh", "运行中的节点\t就绪")])
def test_a_person_reads_it_line_by_line(surroundings: Hospital, language: Language, ready: str) -> None:
    done = yilian("status", language=language)
    assert ready in done.output.splitlines()
    assert any(NEWEST in line for line in done.output.splitlines())


def test_a_node_that_does_not_answer_is_not_well(surroundings: Hospital) -> None:
    done = yilian("status", "--node", "http://127.0.0.1:1")
    assert done.exit_code == 1
    assert "running node\tdoes not answer" in done.output.splitlines()


def test_an_empty_database_is_brought_to_the_newest_schema_once(
    surroundings: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YILIAN_DATA_DIR", str(tmp_path))
    assert yilian("migrate", "--check").output == f"Schema: none; {NEWEST} is the newest.\n"
    assert yilian("migrate").output == f"Schema: from none to {NEWEST}.\n"
    assert yilian("migrate").output == f"Schema: {NEWEST}, the newest.\n"
    assert yilian("migrate", language="zh").output == f"结构：{NEWEST}，已是最新。\n"


@pytest.mark.parametrize(("newer", "exit_code"), [("0099", 0), ("9999", 1)])
def test_a_newer_schema_is_left_alone(
    surroundings: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newer: str, exit_code: int
) -> None:
    monkeypatch.setenv("YILIAN_DATA_DIR", str(tmp_path))
    yilian("migrate")
    database = Database(f"sqlite:///{tmp_path / 'node.db'}")
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :newer"), {"newer": newer})
    database.close()
    done = yilian("migrate")
    assert bool(done.exception) == bool(exit_code)
    assert yilian("migrate", "--check").output == f"Schema: {newer}, newer than this program's {NEWEST}.\n"
