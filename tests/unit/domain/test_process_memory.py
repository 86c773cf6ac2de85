"""A crash leaves no core file, and another process of the same user reads nothing."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

UNPRIVILEGED = 65534
DUMPABLE = "import ctypes; ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)"
GUARDED = "from domain.process_memory import forbid_core_files; forbid_core_files()"
PROGRAM = """
import domain.process_memory
import os, resource, time
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
if os.geteuid() == 0: os.setresgid({user}, {user}, {user}); os.setresuid({user}, {user}, {user})
{first}
print("ready", flush=True)
time.sleep(60)
"""
READER = """
import os, sys
if os.geteuid() == 0: os.setgroups([]); os.setresgid({user}, {user}, {user}); os.setresuid({user}, {user}, {user})
for name in ("environ", "mem"):
    try:
        open(f"/proc/{pid}/{{name}}", "rb").close()
        print("opened")
    except PermissionError:
        print("refused")
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl and /proc are Linux'")


@contextmanager
def running(first: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process without privileges whose limit on core files is open, as an administrator may have left it."""
    folder.chmod(0o777)

    program = PROGRAM.format(user=UNPRIVILEGED, first=first)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def crashed(process: subprocess.Popen[bytes], number: int) -> bool:
    """End a process by a signal that dumps core; true if the kernel wrote one."""
    os.kill(process.pid, number)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -number
    assert os.WTERMSIG(status) == number
    return os.WCOREDUMP(status)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_writes_no_core(tmp_path: Path, number: int) -> None:
    with running(GUARDED, tmp_path) as process:
        assert not crashed(process, number)
    assert list(tmp_path.iterdir()) == []


def test_the_control_writes_one(tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("this machine allows no core files at all: raise the hard limit (ulimit -Hc) for the control")
    with running(DUMPABLE, tmp_path) as process:
        assert crashed(process, signal.SIGSEGV)


def looks(process: subprocess.Popen[bytes]) -> list[str]:
    reader = READER.format(user=UNPRIVILEGED, pid=process.pid)
    return subprocess.run([sys.executable, "-c", reader], capture_output=True, check=True).stdout.decode().split()


def test_another_process_of_the_same_user_reads_neither_memory_nor_environment(tmp_path: Path) -> None:
    with running(GUARDED, tmp_path) as process:
        assert looks(process) == ["refused", "refused"]
    with running(DUMPABLE, tmp_path) as process:
        assert looks(process)[0] == "opened"
