"""The hospital's auditor follows its logs over HTTP, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from network.embedded.export import export
from tests.scenario.network import PASSWORD, Hospital
from yilian.language import text
from yilian.main import build

APP = build(text("en"))


def audit_log(renhe: Hospital, *options: str) -> list[dict[str, object]]:
    shown = CliRunner().invoke(
        APP, ["audit", "log", "--node", renhe.url, "--username", "auditor", "--json", *options],
        env={"YILIAN_STAFF_PASSWORD": PASSWORD},
    )  # fmt: skip
    assert shown.exception is None, shown.exception
    found: list[dict[str, object]] = json.loads(shown.stdout)
    return found


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    return tmp_path / "seen.json"


def test_an_auditor_follows_the_logs_from_visit_to_visit(renhe: Hospital, seen: Path, tmp_path: Path) -> None:
    renhe.staff("auditor")
    renhe.staff("registrar").patients()
    first = {one["log"]: one for one in audit_log(renhe, "--since", str(seen), "--rows")}
    assert first["access"]["since"] is None
    assert first["access"]["rows"] == first["access"]["size"]
    renhe.staff("registrar").patients()
    export(renhe.settings.embedded_folder, tmp_path / "export")
    options = ("--since", str(seen), "--export", str(tmp_path / "export"), "--rows")
    second = {one["log"]: one for one in audit_log(renhe, *options)}
    assert second["access"]["since"] == first["access"]["size"]
    kept = {(one["log"], one["incarnation"]): one for one in json.loads(seen.read_text())["logs"]}
    assert kept["access", 1]["size"] == second["access"]["size"]
