"""Statistics of interleaved rounds: medians, and ratios paired round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one side.

    Attributes:
        amount: work done, in the comparison's unit.
        cpu_s: CPU seconds of the whole process, all threads.
    """

    amount: float
    wall_s: float
    cpu_s: float

    def __post_init__(self) -> None:
        if self.amount <= 0 or self.wall_s <= 0 or self.cpu_s < 0:
            raise ValueError("a sample has an amount and a duration above zero")

    @property
    def rate(self) -> float:
        """Amount per second."""
        return self.amount / self.wall_s

    @property
    def cpu_each_s(self) -> float:
        """CPU seconds per unit."""
        return self.cpu_s / self.amount


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the least and the greatest value."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        if not values:
            raise ValueError("there is no median of nothing")
        return cls(median(values), min(values), max(values))


def amounts(samples: Sequence[Sample]) -> Spread:
    """What each round gave, where that is the figure: a peak, a percentile."""
    return Spread.of([one.amount for one in samples])


def rates(samples: Sequence[Sample]) -> Spread:
    """Amount per second."""
    return Spread.of([one.rate for one in samples])


def seconds_each(samples: Sequence[Sample]) -> Spread:
    """Wall seconds per unit."""
    return Spread.of([one.wall_s / one.amount for one in samples])


def cpu_seconds_each(samples: Sequence[Sample]) -> Spread:
    """CPU seconds per unit."""
    return Spread.of([one.cpu_each_s for one in samples])


def speed_ratios(ours: Sequence[Sample], peers: Sequence[Sample]) -> Spread:
    """Our rate over the peer's, each pair from one round: what disturbs the machine disturbs both."""
    return Spread.of([one.rate / other.rate for one, other in zip(ours, peers, strict=True)])


def cpu_ratios(ours: Sequence[Sample], peers: Sequence[Sample]) -> Spread | None:
    """Our CPU seconds per unit over the peer's; None where a peer needed none that the clock shows."""
    if any(other.cpu_s == 0 for other in peers):
        return None
    return Spread.of([one.cpu_each_s / other.cpu_each_s for one, other in zip(ours, peers, strict=True)])
