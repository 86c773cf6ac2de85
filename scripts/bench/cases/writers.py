"""A thousand writers at once beside sixteen, PostgreSQL beside SQLite: nothing lost, no server error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Final

from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.fhir_client import Line, Target, own_target
from scripts.bench.inputs import Skipped
from scripts.bench.served import Served, served
from scripts.postgresql import HOW_TO_GET, programs, running_server

_MANY: Final = 1_000
_FEW: Final = 16
_WRITES: Final = 1_000
_TIMEOUT_S: Final = 120.0
_NOTE: Final = "a round fails unless every create is answered 201 and is counted by the node afterwards"


@contextmanager
def on_sqlite(place: Place) -> Iterator[Comparison]:
    """Each writer creates Observations for one patient until the round's writes are done."""
    with served(place) as running, _writing(running) as write:
        yield _many_and_few(write, "on SQLite")


@contextmanager
def on_postgresql(place: Place) -> Iterator[Comparison]:
    """The same by a node of two processes."""
    with _postgresql() as settings, served(place, north=settings) as running, _writing(running) as write:
        yield _many_and_few(write, "on PostgreSQL, two processes")


@contextmanager
def databases(place: Place) -> Iterator[Comparison]:
    """Sixteen writers at a node of two processes over PostgreSQL, and at one over SQLite."""
    with (
        _postgresql() as settings,
        served(place, north=settings) as ours,
        served(place, name="peer") as peer,
        _writing(ours) as write,
        _writing(peer) as write_there,
    ):
        yield Comparison(
            operation=f"FHIR creates by {_FEW} writers",
            unit="create",
            ours=Side("PostgreSQL, two processes", lambda: write(_FEW)),
            peer=Side("SQLite, one process", lambda: write_there(_FEW)),
            note=_NOTE,
        )


def _many_and_few(write: Callable[[int], float], where: str) -> Comparison:
    return Comparison(
        operation=f"FHIR creates by {_MANY:,} writers at once, {where}",
        unit="create",
        ours=Side(f"{_MANY:,} writers", lambda: write(_MANY)),
        peer=Side(f"{_FEW} writers", lambda: write(_FEW)),
        goal=Goal(Figure.SPEED, 0.8),
        note=_NOTE,
    )


@contextmanager
def _postgresql() -> Iterator[Mapping[str, str]]:
    """Settings of a node on a server of its own, whose commits wait for the disk."""
    if programs() is None:
        raise Skipped(HOW_TO_GET)
    with running_server(durable=True) as server:
        yield {"DATABASE_URL": server.create("bench"), "WORKERS": "2"}


@contextmanager
def _writing(running: Served) -> Iterator[Callable[[int], float]]:
    target, numbers = own_target(running), count()
    with asyncio.Runner() as runner:
        yield lambda writers: runner.run(_write(running, target, writers, numbers))


async def _write(running: Served, target: Target, writers: int, numbers: Iterator[int]) -> float:
    before = running.clinician.status().records
    turns = iter(range(_WRITES))

    async def writer() -> None:
        line = await Line.to(target)
        try:
            for _ in turns:
                await line.ask(target.create(next(numbers)))
        finally:
            line.close()

    async with asyncio.timeout(_TIMEOUT_S):
        await asyncio.gather(*(writer() for _ in range(writers)))
    if running.clinician.status().records - before != _WRITES:
        raise AssertionError("an acknowledged create is not there")
    return _WRITES
