"""One fault under load: struck, healed, measured, and every claim checked."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fabric.faults.claims import Story, check, check_backlog, read_story
from tests.fabric.faults.consortium import THIRD, Consortium
from tests.fabric.faults.facts import Facts, first_answer_s, longest_gap_s, median_s
from tests.fabric.faults.load import COMMITTED, KINDS, READ, STORED, load
from tests.fabric.ordering import consensus

MEASURED: Final = "TESTS_MEASURED"
"""Environment variable: a file to which each fault's figures are appended as a line of JSON."""
HOLD_S: Final = 3.0
RECOVERY_TIMEOUT_S: Final = 300.0


@dataclass
class Struck:
    """A consortium that is struck again and again; what was acknowledged is remembered from fault to fault."""

    consortium: Consortium
    folder: Path
    facts: Facts = field(default_factory=Facts)
    _stories: dict[str, Story] = field(default_factory=dict, repr=False)
    """By the hospital whose peer tells it; each goes on after the next fault."""

    def survive(
        self,
        name: str,
        strike: Callable[[], object],
        heal: Callable[[], object],
        *,
        hold_s: float = HOLD_S,
        untouched: str = THIRD,
    ) -> None:
        """Strike under load, heal after a while, wait until all kinds of requests are answered again; check."""
        facts = self.facts
        facts.troubles.clear()
        with load(self.consortium, facts):
            struck = time.monotonic()
            strike()
            time.sleep(hold_s)
            heal()
            healed = time.monotonic()
            facts.wait_for(KINDS, healed, RECOVERY_TIMEOUT_S)
        assert [told for told in facts.troubles if told.endswith(" internal")] == [], "a fault of ours was met"
        figures = {"fault": name, "held_s": round(healed - struck, 1), **_figures(facts, struck, healed)}
        drained_s = check_backlog(self.consortium, healed)
        measured({**figures, "backlog_empty_s": round(drained_s, 1)})
        self.check(untouched)

    def check(self, untouched: str = THIRD) -> None:
        """Claims (a) to (d), with the peer of a hospital that no fault struck."""
        check(self.consortium, self.facts, self.story(untouched))

    def story(self, msp_id: str) -> Story:
        """What the peer of a hospital tells now."""
        before = self._stories.get(msp_id)
        story = self._stories[msp_id] = read_story(self.consortium, self.folder / f"export-{msp_id}", msp_id, before)
        return story


def _figures(facts: Facts, struck: float, healed: float) -> dict[str, object]:
    groups = {"committed": COMMITTED, "read": (READ,), "stored": (STORED,)}
    answers = facts.answers
    return {
        "longest_gap_s": {name: round(longest_gap_s(answers, kinds, struck), 1) for name, kinds in groups.items()},
        "after_healing_s": {name: round(first_answer_s(answers, kinds, healed), 1) for name, kinds in groups.items()},
        "median_s": {kind: round(median_s(answers, kind), 2) for kind in KINDS},
        "answers": dict(Counter(answer.kind for answer in answers if answer.at > struck)),
        "told_to_retry": dict(facts.troubles),
    }


def measured(figures: dict[str, object]) -> None:
    """Tell people, and the file that ``TESTS_MEASURED`` names."""
    line = json.dumps({"ordering": consensus(), **figures})
    print(f"\n{line}")  # noqa: T201 - for people
    if name := os.environ.get(MEASURED):
        with Path(name).open("a") as file:
            file.write(f"{line}\n")
