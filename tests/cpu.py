"""Claims about processor time that hold on any machine, also while it does much else."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final, TypeVar

Value = TypeVar("Value")

_TRIES: Final = 3
_ROUNDS: Final = 200_000
_ROUNDS_S: Final = 0.025
"""What the rounds of :func:`slowness` take where nothing else runs (two cores of docs/performance.md)."""


def slowness() -> float:
    """How many times as long as on a quiet machine work takes now, at least 1.

    Processor time grows, too, where others use caches, memory and the second thread of a core.
    """
    begun = time.thread_time()
    table: dict[int, bytes] = {}
    for number in range(_ROUNDS):
        table[number & 0xFFF] = b"%d" % number
    return max(1.0, (time.thread_time() - begun) / _ROUNDS_S)


def is_frugal(cpu_s: float, limit_s: float) -> bool:
    """Whether work that has taken so much of a processor until now keeps to its limit on a quiet machine."""
    return cpu_s <= limit_s or cpu_s <= limit_s * slowness()


def frugal(limit_s: float, work: Callable[[], Value], clock: Callable[[], float] = time.thread_time) -> Value:
    """Do the work, up to three times, and claim that it keeps to its limit once.

    What earlier tests left in memory is no concern of the garbage collector when it is done again.

    Args:
        limit_s: seconds of a processor on a quiet machine.
        work: may be done again.
        clock: ``time.process_time`` where the work is done in several threads.
    """
    begun = clock()
    done = work()
    costs = [clock() - begun]
    while not is_frugal(costs[-1], limit_s):
        assert len(costs) < _TRIES, f"{costs} s of a processor, at most {limit_s} s wanted"
        gc.collect()
        gc.freeze()
        try:
            begun = clock()
            done = work()
            costs.append(clock() - begun)
        finally:
            gc.unfreeze()
    return done
