"""A comparison and its interleaved measurement."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from scripts.bench.figures import (
    Sample,
    Spread,
    amounts,
    cpu_ratios,
    cpu_seconds_each,
    rates,
    seconds_each,
    speed_ratios,
)

MIN_ROUNDS: Final = 5


def nothing() -> None:
    """No preparation."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared.

    Attributes:
        work: what is measured; returns the amount done, in the comparison's unit.
        before: runs unmeasured before each round.
    """

    label: str
    work: Callable[[], float]
    before: Callable[[], None] = nothing


class Figure(StrEnum):
    """What a goal speaks of."""

    SPEED = "speed of the peer"
    CPU = "CPU of the peer"
    SECONDS = "seconds each"
    AMOUNT = "the amount itself"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be: at least ``bound`` for a speed, at most for CPU, seconds and amounts."""

    figure: Figure
    bound: float

    def __str__(self) -> str:
        if self.figure is Figure.SECONDS:
            return f"≤ {duration(self.bound)}"
        if self.figure is Figure.AMOUNT:
            return f"≤ {self.bound:g}"
        return f"≥ {self.bound:g}×" if self.figure is Figure.SPEED else f"CPU ≤ {self.bound:g}×"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours beside a peer; ``note`` says what must be known to read the figures."""

    operation: str
    unit: str
    ours: Side
    peer: Side | None = None
    goal: Goal | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how much a case works.

    Attributes:
        folder: empty, on the disk that is measured; removed afterwards.
        mebibytes: size of large contents.
        shared_data: the public data set, None where there is none.
    """

    folder: Path
    mebibytes: int
    shared_data: Path | None


@dataclass(frozen=True, slots=True)
class Measured:
    """All rounds of one comparison, warm-up left out."""

    comparison: Comparison
    ours: tuple[Sample, ...]
    peers: tuple[Sample, ...]

    @property
    def speed(self) -> Spread | None:
        """Our rate over the peer's."""
        return speed_ratios(self.ours, self.peers) if self.peers else None

    @property
    def cpu(self) -> Spread | None:
        """Our CPU seconds per unit over the peer's."""
        return cpu_ratios(self.ours, self.peers) if self.peers else None

    @property
    def is_met(self) -> bool | None:
        """Whether the median reaches the goal; None without a goal."""
        goal = self.comparison.goal
        if goal is None:
            return None
        if goal.figure is Figure.SECONDS:
            return seconds_each(self.ours).median <= goal.bound
        if goal.figure is Figure.AMOUNT:
            return amounts(self.ours).median <= goal.bound
        found = self.speed if goal.figure is Figure.SPEED else self.cpu
        if found is None:
            return None
        return found.median >= goal.bound if goal.figure is Figure.SPEED else found.median <= goal.bound

    def as_json(self) -> dict[str, object]:
        """Raw samples and what was made of them."""
        sides = {self.comparison.ours.label: self.ours}
        if self.comparison.peer is not None:
            sides[self.comparison.peer.label] = self.peers
        return {
            "operation": self.comparison.operation,
            "unit": self.comparison.unit,
            "goal": str(self.comparison.goal or ""),
            "met": self.is_met,
            "speedRatio": None if self.speed is None else self.speed.median,
            "cpuRatio": None if self.cpu is None else self.cpu.median,
            "sides": {
                label: {
                    "amount": amounts(samples).median,
                    "ratePerSecond": rates(samples).median,
                    "secondsEach": seconds_each(samples).median,
                    "cpuSecondsEach": cpu_seconds_each(samples).median,
                    "rounds": [{"amount": s.amount, "wallS": s.wall_s, "cpuS": s.cpu_s} for s in samples],
                }
                for label, samples in sides.items()
            },
            "note": self.comparison.note,
        }


def measure(comparison: Comparison, rounds: int) -> Measured:
    """Both sides in every round, by turns first, after one round that does not count.

    Raises:
        ValueError: fewer than ``MIN_ROUNDS``.
    """
    if rounds < MIN_ROUNDS:
        raise ValueError(f"a median needs at least {MIN_ROUNDS} rounds")
    sides = [comparison.ours] if comparison.peer is None else [comparison.ours, comparison.peer]
    found: list[list[Sample]] = [[] for _ in sides]
    for number in range(rounds + 1):
        order = range(len(sides)) if number % 2 else reversed(range(len(sides)))
        for index in order:
            sample = _run(sides[index])
            if number:
                found[index].append(sample)
    return Measured(comparison, tuple(found[0]), tuple(found[1]) if len(found) > 1 else ())


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _run(side: Side) -> Sample:
    side.before()
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    amount = side.work()
    return Sample(amount, time.perf_counter() - wall, time.process_time() - cpu)
