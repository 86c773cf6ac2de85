"""What the demo does where the engine itself fails in passing; the engine here is a script that fails so often."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import Unavailable
from yilian.demo import containers
from yilian.demo.containers import Compose

ENGINE = """#!/bin/sh
printf 'x' >>{calls}
[ "$(wc -c <{calls})" -gt {failures} ] || {{ echo 'error: {said}' >&2; exit 1; }}
"""
STARTS = "OCI runtime create failed: broken pipe"
ENDS = "error while removing network: network x has active endpoints"


def engine(folder: Path, said: str, failures: int) -> tuple[Compose, Path]:
    calls, script = folder / "calls", folder / "compose"
    script.write_text(ENGINE.format(calls=calls, failures=failures, said=said))
    script.chmod(0o700)
    return Compose((str(script),), "test", {"PATH": "/usr/bin:/bin"}), calls


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "PAUSE_S", 0.0)


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_what_fails_in_passing_is_done_again(tmp_path: Path, failures: int) -> None:
    for action, said in (("up", STARTS), ("down", ENDS)):
        folder = tmp_path / action
        folder.mkdir()
        project, calls = engine(folder, said, failures)
        getattr(project, action)()
        assert len(calls.read_text()) == failures + 1


@pytest.mark.parametrize("action", ["up", "down"])
@pytest.mark.parametrize(("said", "calls_made"), [(STARTS, {"up": 3, "down": 1}), (ENDS, {"up": 1, "down": 3})])
def test_what_goes_on_failing_or_fails_otherwise_is_said(
    tmp_path: Path, action: str, said: str, calls_made: dict[str, int]
) -> None:
    project, calls = engine(tmp_path, said, 9)
    with pytest.raises(Unavailable, match=said[:20]):
        getattr(project, action)()
    assert len(calls.read_text()) == calls_made[action]
