"""One seed: begin, trouble for a while, calm, and the checks. ``python -m tests.simulation.run SEED [SEED…]``."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Final

from tests.simulation.faults import LIKELIHOODS
from tests.simulation.people import People
from tests.simulation.world import BACKLOG_WITHIN_S, World, world

TROUBLE_S: Final = 30.0
_LOOK_EVERY_S: Final = 2.0
PERSONS: Final = 3
_SEEDS_PER_PROCESS: Final = 50
"""About 20 MiB stay in memory after each: statements that its databases compiled."""
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
        _one_processor(),
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
        made.scheduler.run(BACKLOG_WITHIN_S, made.is_settled)  # a message that comes again at the very end leaves a row
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


def main(arguments: list[str]) -> int:
    """Print what each seed found, one seed per processor at a time, or with ``--trace`` all that happened.

    Args:
        arguments: seeds; a range is written ``0-99``.
    """
    logging.disable(logging.CRITICAL)
    traced = arguments[:1] == ["--trace"]
    seeds = [seed for text in arguments[traced:] for seed in _range(text)]
    bad = 0
    with Pool(max(1, min(len(seeds), len(os.sched_getaffinity(0)))), maxtasksperchild=_SEEDS_PER_PROCESS) as pool:
        for outcome, took in pool.imap(_timed, seeds):
            bad += bool(outcome.findings)
            told = f"{outcome.seed} {outcome.digest[:12]} {len(outcome.trace)} events {took:.1f} s"
            lines = [*outcome.trace, outcome.digest] if traced else [told]
            sys.stdout.write("".join(f"{line}\n" for line in [*lines, *(f"  {one}" for one in outcome.findings)]))
            sys.stdout.flush()
    return min(bad, 1)


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _timed(seed: int) -> tuple[Outcome, float]:
    began = time.monotonic()
    return simulate(seed), time.monotonic() - began


@contextmanager
def _one_processor() -> Iterator[None]:
    """Stay on one: a thread that hands over to the next then takes a third less CPU."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(allowed)[os.getpid() % len(allowed)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
