"""What stands for threads, pools and event loops while a simulation runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeVar
from unittest.mock import patch

from patient_wallet import refusing
from tests.simulation.scheduler import Scheduler

ROUND: Final = timedelta(seconds=5)
INLINE_BYTES: Final = 1000
"""Of one release; what lies beyond comes range by range."""
Answer = TypeVar("Answer")


def finished(call: Coroutine[Any, Any, Answer]) -> Answer:
    """A use case to its end: whatever it waits for is a port of the simulation, so it never suspends itself."""
    try:
        call.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("a use case waited for something outside the simulation")


@contextmanager
def without_threads(scheduler: Scheduler) -> Iterator[None]:
    """Pools of threads become calls between which others may run; what is done once a day is done every few seconds."""

    async def in_this_thread(call: Callable[[], Answer], *_args: object, **_kwargs: object) -> Answer:
        scheduler.pause()
        return call()

    with ExitStack() as patched:
        for what, stand_in in (
            ("anyio.to_thread.run_sync", in_this_thread),
            ("node_service.erasure.notifier.asyncio.run", finished),
            ("node_service.records.scrubber.PASS_EVERY", ROUND),
            ("node_service.records.collecting.INTERVAL", ROUND),
            ("node_service.sharing.release.MAX_INLINE_TOTAL_BYTES", INLINE_BYTES),
        ):
            patched.enter_context(patch(what, stand_in))
        patched.enter_context(patch.object(refusing, "ThreadPoolExecutor", lambda _count: TaskPool(scheduler)))
        patched.enter_context(patch.object(refusing, "time", VirtualTime(scheduler)))
        yield


@dataclass
class VirtualTime:
    """What a wallet needs of the module ``time``."""

    scheduler: Scheduler

    def monotonic(self) -> float:
        return self.scheduler.now

    def sleep(self, seconds: float) -> None:
        self.scheduler.pause(seconds)


@dataclass
class TaskPool:
    """A pool whose threads are tasks of the simulation."""

    scheduler: Scheduler

    def __enter__(self) -> TaskPool:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def map(self, call: Callable[[Any], Answer], items: Iterable[Any]) -> Iterator[Answer]:
        process = self.scheduler.current.process if self.scheduler.current else self.scheduler.network
        tasks = [self.scheduler.spawn("one of many", process, partial(call, item)) for item in items]
        for task in tasks:
            self.scheduler.wait(task, float("inf"))
            if task.error is not None:
                raise task.error
            yield task.result  # type: ignore[misc]
