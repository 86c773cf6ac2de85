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
from scripts.bench.figures import Spread, amounts, cpu_seconds_each, rates, seconds_each

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
        is_amount = comparison.goal is not None and comparison.goal.figure is Figure.AMOUNT
        figures = (
            f"{amounts(samples).median:,.4g} {comparison.unit}"
            if is_amount
            else f"{rates(samples).median:,.4g} {comparison.unit}/s",
            duration(seconds_each(samples).median),
            duration(cpu_seconds_each(samples).median),
        )
        judged = (_ratio(result.speed), _ratio(result.cpu), str(comparison.goal or ""), _WORDS[result.is_met])
        made.add_row("" if number else comparison.operation, label, *figures, *(() if number else judged))
    made.add_section()


def _ratio(found: Spread | None) -> str:
    return "" if found is None else f"{found.median:.2f}× ({found.least:.2f}–{found.most:.2f})"
