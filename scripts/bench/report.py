"""The table that is printed and the raw figures that are kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from scripts.bench.comparison import Figure, Measured, duration
from scripts.bench.figures import Sample, Spread, amounts, cpu_seconds_each, rates, seconds_each

_WORDS = {True: "yes", False: "NO", None: ""}


def table(results: Sequence[Measured]) -> Table:
    """One line for each side; the ratio stands with ours."""
    made = Table(title=f"medians of {len(results[0].ours) if results else 0} interleaved rounds")
    for name in ("operation", "side"):
        made.add_column(name, overflow="fold")
    for name in ("rate", "wall each", "CPU each", "ratio (least–most)", "CPU ratio", "goal", "met"):
        made.add_column(name, justify="right")
    for result in results:
        _add(made, result)
    return made


def markdown(results: Sequence[Measured]) -> str:
    """The table for docs/performance.md: one line for each comparison."""
    lines = [
        "| operation | ours | peer | speed: ours ÷ peer (least–most) | CPU: ours ÷ peer | target | |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        comparison, peer = result.comparison, result.comparison.peer
        ours = f"{comparison.ours.label}: {_amount(result, result.ours)}"
        theirs = f"{peer.label}: {_amount(result, result.peers)}" if peer else "–"
        met = {True: "met", False: "**missed**", None: "–"}[result.is_met]
        cells = (comparison.operation, ours, theirs, _ratio(result.speed) or "–", _ratio(result.cpu) or "–")
        lines.append(f"| {' | '.join((*cells, str(comparison.goal or '–'), met))} |")
    return "\n".join([*lines, ""])


def write_json(results: dict[str, Measured], path: Path) -> None:
    """Write the raw rounds with date and machine."""
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
            "loadAverage": os.getloadavg()[0],
        },
        "cases": {name: result.as_json() for name, result in results.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _add(made: Table, result: Measured) -> None:
    comparison = result.comparison
    sides = [(comparison.ours.label, result.ours)]
    if comparison.peer is not None:
        sides.append((comparison.peer.label, result.peers))
    for number, (label, samples) in enumerate(sides):
        figures = (
            _amount(result, samples),
            duration(seconds_each(samples).median),
            duration(cpu_seconds_each(samples).median),
        )
        judged = (_ratio(result.speed), _ratio(result.cpu), str(comparison.goal or ""), _WORDS[result.is_met])
        made.add_row("" if number else comparison.operation, label, *figures, *(() if number else judged))
    made.add_section()


def _amount(result: Measured, samples: Sequence[Sample]) -> str:
    """What a goal of that kind speaks of, else how much per second."""
    goal, unit = result.comparison.goal, result.comparison.unit
    if goal is not None and goal.figure is Figure.AMOUNT:
        return f"{amounts(samples).median:,.4g} {unit}"
    if goal is not None and goal.figure is Figure.SECONDS:
        return f"{duration(seconds_each(samples).median)} each"
    return f"{rates(samples).median:,.4g} {unit}/s"


def _ratio(found: Spread | None) -> str:
    return "" if found is None else f"{found.median:.2f}× ({found.least:.2f}–{found.most:.2f})"
