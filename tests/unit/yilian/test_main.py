"""The command: help of every command in both languages, errors as one sentence with an exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from domain.errors import Conflict, Denied, Invalid, NotFound, OutcomeUnknown, Tampered, Unavailable, YilianError
from yilian.deferred import SUMMARIES, Deferred
from yilian.language import Language, text
from yilian.main import EXIT_CODES, build, explain

RUNNER = CliRunner()


def command_paths(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    command = command.command() if isinstance(command, Deferred) else command
    for name, inner in getattr(command, "commands", {}).items():
        yield from command_paths(inner, (*path, name))


APPS = {language: build(text(language)) for language in ("en", "zh")}
PATHS = sorted(command_paths(typer.main.get_command(APPS["en"])))
HEAVY = {"fastapi", "sqlalchemy", "pydicom", "fhir", "httpx", "pydantic", "google", "node_service", "network"}
KINDS: list[type[YilianError]] = [Invalid, Denied, NotFound, Conflict, Tampered, Unavailable]


def test_every_expected_command_is_there() -> None:
    assert {
        ("ledger", "init"), ("node", "init"), ("node", "run"), ("ingest",), ("demo",), ("version",),
        ("audit", "verify"), ("audit", "export"), ("audit", "query"), ("audit", "fsck"),
        ("wallet", "create"), ("wallet", "grant"), ("wallet", "revoke"), ("wallet", "accesses"), ("wallet", "export"),
    } <= set(PATHS)  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_explains_itself_in_the_language(path: tuple[str, ...], language: Language) -> None:
    shown = RUNNER.invoke(APPS[language], [*path, "--help"], terminal_width=200)
    assert shown.exit_code == 0
    assert bool(re.search(r"[\u4e00-\u9fff]", shown.stdout)) == (language == "zh")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_overview_says_of_each_command_what_the_command_says_of_itself(language: Language) -> None:
    root = typer.main.get_command(APPS[language])
    deferred = [found for found in getattr(root, "commands", {}).values() if isinstance(found, Deferred)]
    assert {found.name for found in deferred} == set(SUMMARIES)
    for found in deferred:
        assert found.help == found.command().help


def test_the_overview_imports_nothing_of_what_commands_need() -> None:
    assert not imported_by(["--help"]) & HEAVY


def test_a_witness_does_not_import_the_node() -> None:
    imported = imported_by(["witness", "run", "--help"])
    assert not imported & {"sqlalchemy", "pydicom", "fhir", "httpx"}
    assert "node_service.composition" not in imported


def imported_by(arguments: list[str]) -> set[str]:
    program = (
        "import runpy, sys, contextlib, io; sys.argv[1:] = sys.argv[1].split()\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    runpy.run_module('yilian', run_name='__main__')\n"
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, " ".join(arguments)], capture_output=True, text=True, check=True
    )
    assert "yilian.main" in done.stdout
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("error", "code"),
    [(kind("why"), EXIT_CODES[kind]) for kind in KINDS] + [(OutcomeUnknown("why", tx_id="t"), 8)],
)
def test_each_kind_of_error_has_its_words_and_code(error: YilianError, code: int) -> None:
    assert code == [*KINDS, OutcomeUnknown].index(type(error)) + 2
    assert explain(error, text("en")).endswith(": why")
    assert explain(error, text("zh")).endswith("：why")


def test_a_known_reason_is_told_in_chinese_with_the_detail_behind_it() -> None:
    error = Denied("the passphrase does not fit", reason="vault")
    assert explain(error, text("en")) == "Denied: the passphrase does not fit"
    assert explain(error, text("zh")) == "被拒绝：口令不符，或钱包文件已被改动（the passphrase does not fit）"


def test_an_error_is_one_sentence_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    done = subprocess.run(
        [sys.executable, "-m", "yilian", "ledger", "init", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == EXIT_CODES[Invalid]
    assert "not empty" in done.stderr
    assert "Traceback" not in done.stderr
