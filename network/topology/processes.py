"""Processes that outlive the command that started them: each has a log, and a file that says which process it is.

A process is known by its id and the moment it started (proc(5)), so a recycled id is never taken for one of ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from domain.errors import Conflict, Unavailable
from network.topology.layout import FILE_MODE, PID_SUFFIX, Layout, disk_errors, make_folder, write_file
from network.topology.waiting import wait_for

STOP_TIMEOUT_S: Final = 20.0
KILL_TIMEOUT_S: Final = 10.0
_STARTED_FIELD: Final = 19
"""Of the fields of ``/proc/<pid>/stat`` behind the name in brackets: state is 0, start time 19."""


class Processes:
    """The processes of one network."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start a process in a session of its own; what it writes is appended to its log.

        Raises:
            Conflict: it runs already.
            Unavailable: it cannot be started.
        """
        if self.running(name):
            raise Conflict(f"{name} runs already", reason="running")
        log = self._layout.log(name)
        for needed in (log.parent, folder):
            make_folder(needed)
        with disk_errors(log), appending(log) as output:
            child = subprocess.Popen(  # noqa: S603 - a program of the engine, or our own
                list(command),
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
            )
        self._children[child.pid] = child
        write_file(self._layout.pid(name), f"{child.pid} {_started(child.pid)}\n".encode())

    def known(self) -> list[str]:
        """Names of all processes that were started and not stopped."""
        return sorted(path.name.removesuffix(PID_SUFFIX) for path in self._layout.pid("").parent.glob(f"*{PID_SUFFIX}"))

    def running(self, name: str) -> bool:
        """True while the process lives."""
        return self.pid(name) is not None

    def pid(self, name: str) -> int | None:
        """Id of the process, or None if it does not run."""
        try:
            number, _, started = self._layout.pid(name).read_text().strip().partition(" ")
            pid = int(number)
        except (OSError, ValueError):
            return None
        if (child := self._children.get(pid)) is not None and child.poll() is not None:
            self._children.pop(pid, None)
            return None
        return pid if started and _started(pid) == started else None

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, and wait for the end if it is SIGKILL; a process that is gone is fine.

        Raises:
            Unavailable: it does not end.
        """
        pid = self.pid(name)
        if pid is None:
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if number is signal.SIGKILL:
            self._wait_for_end(name, KILL_TIMEOUT_S)

    def stop(self, name: str, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Ask it to end, and end it if it does not.

        Raises:
            Unavailable: it does not end.
        """
        self.kill(name, signal.SIGTERM)
        try:
            self._wait_for_end(name, timeout_s)
        except Unavailable:
            self.kill(name)
        self._layout.pid(name).unlink(missing_ok=True)

    def rename(self, name: str, new: str) -> None:
        """Call a running process by another name; its log keeps the old one until it is started again."""
        with disk_errors(self._layout.pid(name)):
            self._layout.pid(name).replace(self._layout.pid(new))

    def _wait_for_end(self, name: str, timeout_s: float) -> None:
        wait_for(lambda: not self.running(name), timeout_s, f"the end of {name}")


def appending(log: Path) -> IO[bytes]:
    """A log that its owner alone may read."""
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE), "ab")


def _started(pid: int) -> str:
    """When a living process started, in the kernel's ticks; empty if there is none.

    A process whose first thread ended has its sockets until the last one has.
    """
    folder = Path(f"/proc/{pid}")
    try:
        state, *fields = (folder / "stat").read_text().rpartition(")")[2].split()
        ended = state in "ZX" and len(list((folder / "task").iterdir())) <= 1
    except OSError:
        return ""
    return "" if ended else fields[_STARTED_FIELD - 1]
