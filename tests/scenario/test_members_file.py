"""The members file from hospitals that agree is the one from the ledger itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from domain.errors import Invalid
from tests.scenario.network import Hospital
from yilian.language import text
from yilian.main import build

APP, RUNNER = build(text("en")), CliRunner()


@pytest.mark.slow
def test_hospitals_and_an_export_name_the_same_members(hospitals: dict[str, Hospital], tmp_path: Path) -> None:
    first = next(iter(hospitals.values()))
    ledger = first.running.node.settings.embedded_folder
    urls = [option for hospital in hospitals.values() for option in ("--node", hospital.url)]
    for command in (
        ["export", str(ledger), str(tmp_path / "export")],
        ["members", str(tmp_path / "export"), "--out", str(tmp_path / "ledger.json")],
        ["members", *urls, "--out", str(tmp_path / "nodes.json")],
    ):
        shown = RUNNER.invoke(APP, ["audit", *command])
        assert shown.exit_code == 0, shown.output
    assert (tmp_path / "nodes.json").read_bytes() == (tmp_path / "ledger.json").read_bytes()


@pytest.mark.parametrize("options", [[], ["folder", "--node", "http://127.0.0.1:1"]])
def test_one_source_is_asked_for(options: list[str]) -> None:
    assert isinstance(RUNNER.invoke(APP, ["audit", "members", *options]).exception, Invalid)
