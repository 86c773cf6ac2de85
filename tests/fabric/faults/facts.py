"""What hospitals told their people while faults struck: it is what the claims are checked against."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median


@dataclass(frozen=True, slots=True)
class Answer:
    """An acknowledged request of a kind: when it was begun, and when it was answered (monotonic seconds)."""

    kind: str
    begun: float
    at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A grant whose revocation was acknowledged, and an access that was open under it."""

    grant: str
    access: str


@dataclass
class Facts:
    """Everything acknowledged since the hospitals started. Threads share it.

    Attributes:
        stored: record ids by the number of their Bundle.
        committed: transaction ids that were acknowledged as valid on the ledger, each with the id that it wrote.
        served: records of each chart that a reader got, by access.
        findings: what must never be.
        numbers: of the next Bundles.
        troubles: how often callers were told to try again, by kind and reason.
    """

    stored: dict[int, list[str]] = field(default_factory=dict)
    committed: dict[str, str] = field(default_factory=dict)
    served: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def answered(self, kind: str, begun: float) -> None:
        """A request was acknowledged now."""
        with self._changed:
            self.answers.append(Answer(kind, begun, time.monotonic()))
            self._changed.notify_all()

    def found(self, finding: str) -> None:
        """Something that must never be."""
        with self._changed:
            self.findings.append(finding)
            self._changed.notify_all()

    def wait_for(self, kinds: Iterable[str], since: float, timeout_s: float) -> None:
        """Wait until a request of each kind is acknowledged after this moment; that one is not is a finding."""
        wanted = set(kinds)

        def missing() -> set[str]:
            return wanted - {answer.kind for answer in self.answers if answer.at > since}

        with self._changed:
            if not self._changed.wait_for(lambda: self.findings or not missing(), timeout_s):
                self.findings.append(
                    f"not answered within {timeout_s:.0f} s: {sorted(missing())}; told: {self.troubles}"
                )
        assert self.findings == []


def longest_gap_s(answers: Iterable[Answer], kinds: Sequence[str], start: float) -> float:
    """The longest time without an acknowledgement of any of these kinds, from the last one before ``start`` on."""
    times = sorted(answer.at for answer in answers if answer.kind in kinds)
    before = [at for at in times if at <= start][-1:] or [start]
    following = before + [at for at in times if at > start]
    return max((after - at for at, after in pairwise(following)), default=0.0)


def first_answer_s(answers: Iterable[Answer], kinds: Sequence[str], healed: float) -> float:
    """How long after ``healed`` the first acknowledgement of any of these kinds came."""
    return min(answer.at for answer in answers if answer.kind in kinds and answer.at > healed) - healed


def median_s(answers: Iterable[Answer], kind: str) -> float:
    """The median time to an acknowledgement of a kind."""
    return median(answer.at - answer.begun for answer in answers if answer.kind == kind)
