"""Processes that outlive their starter: found again, stopped, killed, and never taken for somebody else's."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import Conflict, Unavailable
from network.topology.layout import Layout
from network.topology.processes import Processes
from network.topology.waiting import wait_for

WAITING = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]
THREADED = [
    sys.executable,
    "-c",
    "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); print('up', flush=True);"
    "ctypes.CDLL(None).syscall(60, 0)",  # the first thread ends, the process does not
]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(Layout(tmp_path))
    yield started
    for name in started.known():
        started.kill(name)


def spawn(processes: Processes, folder: Path, command: list[str] = WAITING, name: str = "peer-renhe") -> int:
    processes.spawn(name, command, os.environ, folder)
    wait_for(lambda: "up" in (folder / "log" / f"{name}.log").read_text(), 10, "start")
    pid = processes.pid(name)
    assert pid is not None
    return pid


def test_a_process_is_found_by_whoever_comes_later_and_ends_when_asked(processes: Processes, tmp_path: Path) -> None:
    pid = spawn(processes, tmp_path)
    later = Processes(Layout(tmp_path))
    assert later.pid("peer-renhe") == pid
    assert later.known() == ["peer-renhe"]
    later.kill("peer-renhe", signal.SIGTERM)
    wait_for(lambda: not processes.running("peer-renhe"), 10, "end")
    processes.stop("peer-renhe")
    assert processes.known() == []


def test_one_that_does_not_go_is_ended(processes: Processes, tmp_path: Path) -> None:
    spawn(processes, tmp_path, STUBBORN)
    processes.stop("peer-renhe", timeout_s=0.3)
    assert not processes.running("peer-renhe")


def test_a_name_runs_once(processes: Processes, tmp_path: Path) -> None:
    spawn(processes, tmp_path)
    with pytest.raises(Conflict):
        processes.spawn("peer-renhe", WAITING, os.environ, tmp_path)


def test_a_recycled_process_id_is_not_ours(processes: Processes, tmp_path: Path) -> None:
    with subprocess.Popen(WAITING, stdout=subprocess.DEVNULL) as another:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "peer-renhe.pid").write_text(f"{another.pid} 1\n")
        assert not processes.running("peer-renhe")
        processes.kill("peer-renhe")
        assert another.poll() is None
        another.kill()


@pytest.mark.parametrize("content", ["", "x y", "99999999 1", "-1 1", "1"])
def test_a_file_that_names_no_process_means_none(processes: Processes, tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "peer-renhe.pid").write_text(content)
    assert not processes.running("peer-renhe")
    processes.stop("peer-renhe")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of exit(2) is that of x86-64")
def test_a_process_lives_until_its_last_thread_ends(processes: Processes, tmp_path: Path) -> None:
    spawn(processes, tmp_path, THREADED)
    state = Path(f"/proc/{processes.pid('peer-renhe')}/stat")
    wait_for(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z", 10, "the first thread's end")
    assert Processes(Layout(tmp_path)).running("peer-renhe")
    processes.kill("peer-renhe")
    assert not processes.running("peer-renhe")


def test_logs_are_for_their_owner(processes: Processes, tmp_path: Path) -> None:
    spawn(processes, tmp_path)
    assert stat.S_IMODE((tmp_path / "log" / "peer-renhe.log").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700


def test_a_program_that_is_not_there_is_unavailable(processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        processes.spawn("peer-renhe", [str(tmp_path / "none")], {}, tmp_path)


def test_a_renamed_process_runs_under_its_new_name_alone(processes: Processes, tmp_path: Path) -> None:
    pid = spawn(processes, tmp_path, name="contract-renhe.next")
    processes.rename("contract-renhe.next", "contract-renhe")
    assert processes.pid("contract-renhe") == pid
    assert not processes.running("contract-renhe.next")


def test_a_wait_ends_with_the_last_reason() -> None:
    def never() -> bool:
        raise Unavailable("no leader")

    with pytest.raises(Unavailable, match=r"the election did not happen within 0 s: no leader"):
        wait_for(never, 0.05, "the election", poll_s=0.01)
