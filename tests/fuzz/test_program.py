"""The harness as a program: it finds its targets, feeds them, and says by its exit status what came of it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import target

ROOT = Path(target.__file__).resolve().parents[2]
HAS_ATHERIS = (sys.platform, platform.machine()) == ("linux", "x86_64") and sys.version_info < (3, 14)
"""Where it is installed (pyproject.toml)."""

TIMEOUT_S = 300


def fuzz(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program's run in a folder of its own, in which it leaves what it finds.

    A shell in between starts it: the peak of memory that it bounds would else be that of who starts it (getrusage(2)).
    """
    command = ["/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", "tests.fuzz", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )


@pytest.mark.slow
@pytest.mark.skipif(not HAS_ATHERIS, reason="atheris is for Linux on x86-64 and Python below 3.14")
def test_the_program_feeds_a_target_for_some_seconds(tmp_path: Path) -> None:
    done = fuzz(tmp_path, "jcs", "--seconds", "2")
    assert done.returncode == 0, done.stderr
    inputs = re.search(r"^stat::number_of_executed_units: (\d+)$", done.stderr, re.MULTILINE)
    assert inputs is not None, done.stderr
    assert int(inputs[1]) > 0
    assert list((tmp_path / ".fuzz" / "jcs").iterdir())
    assert not list((tmp_path / ".fuzz").glob("jcs-*")), "an input broke the target"
