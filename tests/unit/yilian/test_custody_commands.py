"""``yilian custody`` and ``yilian node backup``, as an operator runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from domain.errors import Conflict
from network.embedded.founding import init
from node_service.composition import SystemClock, open_custody
from node_service.provisioning import initialise
from node_service.settings import Settings
from offchain.envelope.keys import RecordSecret
from tests.unit.node_service.records.hospital import MSP_ID, OTHER_MSP_ID
from tests.unit.offchain.sealing import fresh_id
from yilian.language import text
from yilian.main import build

RUNNER = CliRunner()
APP = build(text("en"))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A hospital whose settings stand in the environment."""
    init(tmp_path / "ledger", "yilian", [MSP_ID, OTHER_MSP_ID], clock=SystemClock(), random=os.urandom)
    settings = Settings(msp_id=MSP_ID, name="仁济医院", data_dir=tmp_path / "data", ledger_dir=tmp_path / "ledger")
    initialise(settings)
    for name in ("msp_id", "name", "data_dir", "ledger_dir"):
        monkeypatch.setenv(f"YILIAN_{name.upper()}", str(getattr(settings, name)))
    return settings


def run(*arguments: object) -> str:
    result = RUNNER.invoke(APP, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_rekeying_replaces_the_root_key_in_escrow(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YILIAN_CUSTODY_ESCROW_FILE", str(tmp_path / "safe"))
    run("custody", "rekey")
    first = json.loads((tmp_path / "safe").read_bytes())
    run("custody", "rekey")
    second = json.loads((tmp_path / "safe").read_bytes())
    assert first["baseKey"] != second["baseKey"]
    assert first["keyring"] == second["keyring"]
    run("custody", "root-key", tmp_path / "own")
    assert json.loads((tmp_path / "own").read_bytes()) == second
    assert {path.name for path in tmp_path.iterdir()} >= {"safe", "own"}
    assert not list(tmp_path.glob(".*former"))


def test_a_node_writes_to_the_replica_that_its_settings_name_and_takes_over_from_it(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("custody", "channel", tmp_path / "keys")
    custody = settings.data_dir / "custody"
    (tmp_path / "keys" / "store").rename(custody / "channel")
    replica = subprocess.Popen(
        [sys.executable, "-m", "yilian", "custody", "replica", str(tmp_path / "second"),
         "--channel", str(tmp_path / "keys" / "replica"), "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert replica.stdout is not None
        address = replica.stdout.readline().strip()
        named = settings.model_copy(update={"custody_replica": address})
        record = fresh_id()
        open_custody(named).prepare([record])
    finally:
        replica.terminate()
        replica.communicate(timeout=10)
    with pytest.raises(Conflict):
        RUNNER.invoke(APP, ["custody", "takeover", str(tmp_path / "second")], catch_exceptions=False)
    (custody / "secrets").rename(tmp_path / "lost")
    run("custody", "takeover", tmp_path / "second")
    (answer,) = open_custody(settings)._secrets.find([record])
    assert isinstance(answer, RecordSecret)


def test_backup_and_restore_say_what_they_did(settings: Settings, tmp_path: Path) -> None:
    assert "0 objects named" in run("node", "backup", tmp_path / "backup")
    run("custody", "root-key", tmp_path / "root-key")
    settings.data_dir.rename(tmp_path / "burnt")
    told = run("node", "restore", tmp_path / "backup", "--root-key", tmp_path / "root-key")
    assert "0 records" in told
    assert "new root key" in told
    assert (settings.data_dir / "node-keys.json").read_bytes() == (tmp_path / "burnt" / "node-keys.json").read_bytes()
    assert open_custody(settings).standing([fresh_id()]) == ["unknown"]
