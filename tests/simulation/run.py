"""One seed: begin, trouble for a while, calm, and the checks. ``python -m tests.simulation.run SEED [SEED…]``."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.simulation.faults import LIKELIHOODS
from tests.simulation.people import People
from tests.simulation.world import BACKLOG_WITHIN_S, World, world

TROUBLE_S: Final = 30.0
_LOOK_EVERY_S: Final = 2.0
PERSONS: Final = 3
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a file system in memory where there is one


@dataclass(frozen=True)
class Outcome:
    """What one seed led to."""

    seed: int
    digest: str
    findings: tuple[str, ...]
    trace: tuple[str, ...]


def simulate(seed: int, *, trouble_s: float = TROUBLE_S, allowed: tuple[str, ...] = tuple(LIKELIHOODS)) -> Outcome:
    """Run one seed to its end."""
    base = MEMORY if MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="simulation-", dir=base) as folder,
        world(Path(folder), seed, allowed=allowed) as made,
    ):
        people = People(made, PERSONS)
        people.begin()
        made.faults.active = True
        people.act()
        made.scheduler.run(trouble_s)
        made.calm()
        _settle(made, people)
        made.scheduler.spawn("cases", made.scheduler.network, people.look_at_all_cases)
        made.scheduler.run(_LOOK_EVERY_S)
        made.scheduler.run(_LOOK_EVERY_S, made.is_settled)  # a message that comes again at the very end leaves a row
        made.check()
        findings = (*made.findings, *made.wires.findings)
        return Outcome(seed, made.scheduler.digest, findings, tuple(made.scheduler.trace))


def _settle(made: World, people: People) -> None:
    """After the faults: what had no answer is sent again, and what waits is on the ledger within 60 seconds."""
    end = made.scheduler.now + BACKLOG_WITHIN_S
    sending = made.scheduler.spawn("sending again", made.scheduler.network, people.answer_all, after=10.0)
    while made.scheduler.now < end and not (sending.done and made.is_settled()):
        made.scheduler.run(_LOOK_EVERY_S)
    if not sending.done or sending.error or not sending.result:
        made.findings.append(f"not answered after the faults: {sending.error!r}")


def main(seeds: list[str]) -> int:
    """Print what each seed found, or with ``--trace`` all that happened; a range is written ``0-99``."""
    logging.disable(logging.CRITICAL)
    bad = 0
    for text in seeds[1:] if seeds[:1] == ["--trace"] else seeds:
        first, _, last = text.partition("-")
        for seed in range(int(first), int(last or first) + 1):
            began = time.monotonic()
            outcome = simulate(seed)
            bad += bool(outcome.findings)
            if seeds[0] == "--trace":
                lines: list[str] = [*outcome.trace, outcome.digest]
            else:
                took = time.monotonic() - began
                lines = [f"{seed} {outcome.digest[:12]} {len(outcome.trace)} events {took:.1f} s"]
            sys.stdout.write("".join(f"{line}\n" for line in [*lines, *(f"  {one}" for one in outcome.findings)]))
            sys.stdout.flush()
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
