"""The command line: run cases, print the table, keep the raw figures."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scripts.bench.cases import CASES, Skipped
from scripts.bench.comparison import MIN_ROUNDS, Measured, Place, measure
from scripts.bench.report import markdown, table, write_json

ROOT = Path(__file__).resolve().parents[2]
SHARED_DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / ".bench"


def main(
    only: Annotated[list[str] | None, typer.Option(help="a case by name; repeat it")] = None,
    fabric: Annotated[bool, typer.Option(help="the cases on a Fabric network instead of the others")] = False,
    rounds: Annotated[int, typer.Option(min=MIN_ROUNDS, help="rounds of both sides that count")] = MIN_ROUNDS,
    mebibytes: Annotated[int, typer.Option(min=4, help="size of large contents")] = 300,
    json: Annotated[Path | None, typer.Option(help="file for the raw figures; by default in .bench/")] = None,
) -> None:
    """Measure what Yilian does beside named peers, interleaved on this machine."""
    console = Console(width=None if Console().is_terminal else 180)
    unknown = set(only or ()) - CASES.keys()
    if unknown:
        raise typer.BadParameter(f"there is {', '.join(CASES)}; not {', '.join(sorted(unknown))}")
    results: dict[str, Measured] = {}
    begun = time.monotonic()
    for name in only or [name for name in CASES if name.startswith("fabric-") is fabric]:
        before = time.monotonic()
        try:
            results[name] = _run(name, rounds, mebibytes)
        except Skipped as reason:
            console.print(f"{name} is left out: {reason}", style="yellow", highlight=False)
        console.print(f"{name}: {time.monotonic() - before:.0f} s", style="dim", highlight=False)
    console.print(table(list(results.values())))
    path = json or RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    write_json(results, path)
    path.with_suffix(".md").write_text(markdown(list(results.values())))
    console.print(
        f"{time.monotonic() - begun:.0f} s in all; raw figures: {path}, a table in Markdown beside them",
        style="dim", highlight=False, soft_wrap=True,
    )  # fmt: skip


def _run(name: str, rounds: int, mebibytes: int) -> Measured:
    """In a folder beside the results, so that the disk is the checkout's."""
    RESULTS.mkdir(exist_ok=True)
    shared = SHARED_DATA if SHARED_DATA.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="run-", dir=RESULTS) as folder,
        CASES[name](Place(Path(folder), mebibytes, shared)) as comparison,
    ):
        return measure(comparison, rounds)


if __name__ == "__main__":
    typer.run(main)
