"""One thread at a time, chosen by a seeded die, in virtual time.

A task is a thread that runs only while it holds the baton. It gives the baton back at every call of a port, so any
other task may run between two of them, and time passes only while nobody can run. The same seed gives the same order.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MAX_SWITCHES: Final = 200_000
_LONGEST_CALL_S: Final = 0.002


class Killed(BaseException):
    """The process is gone: nothing that it still holds may touch the world any more."""


@dataclass(eq=False)
class Process:
    """What dies together."""

    name: str
    alive: bool = True

    def check(self) -> None:
        """Nothing goes on in a dead process."""
        if not self.alive:
            raise Killed(self.name)


def _held() -> threading.Lock:
    """A baton that nobody may take before it is given."""
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False)
class Task:
    """One thread; ``wake`` is when it wants to go on."""

    number: int
    name: str
    process: Process
    call: Callable[[], object]
    wake: float
    baton: threading.Lock = field(default_factory=_held)
    undisturbed: int = 0
    done: bool = False
    result: object = None
    error: BaseException | None = None
    waiters: list[Task] = field(default_factory=list)


class Scheduler:
    """Runs tasks; ``now`` is seconds since the beginning, ``trace`` what happened."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"scheduler {seed}")  # noqa: S311 - repeatable on purpose
        self.now = 0.0
        self.trace: list[str] = []
        self.current: Task | None = None
        self.network = Process("network")  # what no hospital's crash stops
        self._tasks: list[Task] = []
        self._back = _held()
        self._number = 0
        self._switches = 0

    @property
    def digest(self) -> str:
        """Of everything that happened, in order."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    def note(self, what: str) -> None:
        """One line of the trace; holds nothing that is not derived from the seed."""
        who = self.current.name if self.current else "world"
        self.trace.append(f"{self.now:.3f} {who}: {what}")

    def spawn(self, name: str, process: Process, call: Callable[[], object], *, after: float = 0.0) -> Task:
        """A further task, which begins after so many seconds."""
        self._number += 1
        task = Task(self._number, name, process, call, self.now + after)
        threading.Thread(target=self._body, args=(task,), name=name, daemon=True).start()
        self._tasks.append(task)
        return task

    def pause(self, seconds: float = 0.0) -> None:
        """Let others run; go on after so many seconds, or at once in the middle of a write transaction."""
        task = self.current
        if task is None:
            return
        task.process.check()
        if task.undisturbed:
            return
        task.wake = self.now + seconds
        self._back.release()
        task.baton.acquire()
        task.process.check()

    def wait(self, other: Task, timeout_s: float) -> bool:
        """Wait for the end of a task; false if it did not come in time."""
        deadline = self.now + timeout_s
        assert self.current is not None
        other.waiters.append(self.current)
        while not other.done and self.now < deadline:
            self.pause(deadline - self.now)
        return other.done

    def kill(self, process: Process) -> None:
        """Everything of a process stops where it is."""
        process.alive = False
        for task in self._tasks:
            if task.process is process:
                task.wake = self.now

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let tasks run for so long, or until it holds."""
        end = self.now + seconds
        while not until():
            ready = [task for task in self._tasks if task.wake <= self.now]
            if ready:
                self._let(ready[self.chance.randrange(len(ready))])
                continue
            following = min((task.wake for task in self._tasks), default=end)
            if following >= end:
                self.now = end
                return
            self.now = following

    def end(self, process: Process) -> None:
        """Kill a process and wait until none of its threads is left."""
        self.kill(process)
        while left := [task for task in self._tasks if task.process is process and not task.done]:
            self._let(left[0])

    def _let(self, task: Task) -> None:
        self._switches += 1
        if self._switches > MAX_SWITCHES:
            raise AssertionError(f"{task.name} and others do not come to an end")
        self.current = task
        task.baton.release()
        self._back.acquire()
        self.current = None
        if task.done:
            self._tasks.remove(task)
        self.now += self.chance.random() * _LONGEST_CALL_S

    def _body(self, task: Task) -> None:
        task.baton.acquire()
        try:
            if task.process.alive:
                task.result = task.call()
            else:
                task.error = Killed(task.process.name)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the task gets it
            task.error = error
        task.done = True
        for waiter in task.waiters:
            waiter.wake = self.now
        self._back.release()
