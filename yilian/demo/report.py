"""What happened in a run of the demo, for people as it goes and for programs as JSON at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console

from domain.errors import YilianError
from yilian.ingestion import Summary
from yilian.language import Text


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the story."""

    name: str
    ok: bool
    seconds: float


class StepFailed(Exception):
    """A step did not do what the story promises; what depends on it is not told."""


@dataclass(slots=True)
class Report:
    """Counts and steps; ``skipped`` and ``refused`` are inputs, which fail no step."""

    console: Console = field(repr=False)
    t: Text = field(repr=False)
    steps: list[Step] = field(default_factory=list)
    ingested: Summary = field(default_factory=Summary)
    records: int = 0
    anchored: int = 0
    witnessed: int = 0
    receipts: int = 0
    blocks: int = 0
    verified_transactions: int = 0
    not_preventable: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if there was a step and every one held."""
        return bool(self.steps) and all(step.ok for step in self.steps)

    @contextmanager
    def step(self, name: str, english: str, chinese: str) -> Iterator[None]:
        """Tell a step, time it, and note whether it held.

        Raises:
            StepFailed: it did not hold.
        """
        self.console.print(f"[bold]{len(self.steps) + 1:2}. {self.t(english, chinese)}[/bold]")
        started = time.monotonic()
        try:
            yield
        except (YilianError, StepFailed, OSError) as error:
            self.steps.append(Step(name, False, round(time.monotonic() - started, 3)))
            reason = error.reason if isinstance(error, YilianError) else ""
            self.console.print(f"    ✗ {error} {reason}", style="red", markup=False)
            raise StepFailed(name) from error
        seconds = time.monotonic() - started
        self.steps.append(Step(name, True, round(seconds, 3)))
        self.console.print(f"    ✓ {seconds:.2f} s", style="green")

    def say(self, english: str, chinese: str) -> None:
        """One line of the narration."""
        self.console.print("    " + self.t(english, chinese), markup=False, highlight=False)

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(self.as_object(), ensure_ascii=False, indent=1))

    def as_object(self) -> dict[str, object]:
        """The report for programs."""
        issues = {
            kind: [{"source": issue.source, "reason": issue.reason, "place": issue.place} for issue in found]
            for kind, found in (("skipped", self.ingested.skipped), ("refused", self.ingested.refused))
        }
        return {
            "records": self.records,
            "resources_by_type": dict(sorted(self.ingested.resources_by_type.items())),
            "dicom_instances": self.ingested.dicom_instances,
            "anchored": self.anchored,
            "witnessed": self.witnessed,
            "receipts": self.receipts,
            "steps": [asdict(step) for step in self.steps],
            **issues,
            "blocks": self.blocks,
            "verified_transactions": self.verified_transactions,
            **({"not_preventable": self.not_preventable} if self.not_preventable else {}),
        }


def check(condition: bool, message: str) -> None:
    """Fail the step if the condition does not hold.

    Raises:
        StepFailed: it does not.
    """
    if not condition:
        raise StepFailed(message)
