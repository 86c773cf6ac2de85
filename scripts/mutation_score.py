"""The arithmetic of a mutation score: what was found among what counts, and how sure a random sample makes that."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

GOAL_PERCENT: Final = 90
_Z_95: Final = 1.959964
"""The normal distribution has 95 % of its weight within so many deviations."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a percentage lies with 95 % confidence."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test found.

    Attributes:
        change: the changed line.
        is_wording: it differs in a sentence for people alone, such as an error's detail.
    """

    name: str
    change: str
    is_wording: bool


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the mutants of one module, or of a sample of them.

    Attributes:
        out_of_time: those among the found ones whose tests no longer ended.
        untested: no unit test runs the function.
        unchecked: not reached in the time that was given; they do not count.
    """

    found: int
    survivors: tuple[Survivor, ...]
    untested: int = 0
    unchecked: int = 0
    out_of_time: int = 0

    @property
    def wordings(self) -> int:
        """Survivors that nobody has to find."""
        return sum(one.is_wording for one in self.survivors)

    @property
    def checked(self) -> int:
        """Mutants that count."""
        return self.found + len(self.survivors) + self.untested

    @property
    def checked_without_wordings(self) -> int:
        """Mutants that count where nobody has to test the wording of a sentence."""
        return self.checked - self.wordings

    @property
    def percent(self) -> float:
        """Found ones among those that count."""
        return _percent(self.found, self.checked)

    @property
    def percent_without_wordings(self) -> float:
        """The same where nobody has to test the wording of a sentence."""
        return _percent(self.found, self.checked_without_wordings)

    @classmethod
    def sum_of(cls, scores: Sequence[Score]) -> Score:
        """The score of several modules together."""
        return cls(
            sum(one.found for one in scores),
            tuple(survivor for one in scores for survivor in one.survivors),
            sum(one.untested for one in scores),
            sum(one.unchecked for one in scores),
            sum(one.out_of_time for one in scores),
        )


def wilson(found: int, of: int) -> Interval:
    """The 95 % interval, in percent, of a share of which a random sample of ``of`` showed ``found``.

    Wilson's score interval (E. B. Wilson, 1927) stays within 0 and 100 and holds near both, where the usual one fails.

    Raises:
        ValueError: there was no sample, or more was found than there is.
    """
    if not 0 <= found <= of or of == 0:
        raise ValueError(f"{found} of {of} is no share")
    share, weight = found / of, _Z_95**2 / of
    middle = share + weight / 2
    reach = math.sqrt(share * (1 - share) * weight + weight**2 / 4)
    return Interval(max(0.0, 100 * (middle - reach) / (1 + weight)), min(100.0, 100 * (middle + reach) / (1 + weight)))


def draw(packages: Mapping[str, Sequence[str]], count: int, seed: int) -> frozenset[str]:
    """Choose ``count`` mutants of each package, each one equally likely, and all of a package that has fewer.

    A package's choice depends on its own mutants and the seed alone, not on what else is chosen.
    """
    chosen: set[str] = set()
    for package, names in packages.items():
        generator = random.Random(f"{seed} {package}")  # noqa: S311 - a sample that can be had again, no secret
        chosen.update(generator.sample(sorted(names), min(count, len(names))))
    return frozenset(chosen)


def _percent(found: int, of: int) -> float:
    return 100 * found / of if of else 100.0
