"""Creates and reads over HTTP beside a plaintext FHIR server on fhirstarter and SQLite; a node has no search yet."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Final

from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.fhir_client import Line, Target, observation, own_target
from scripts.bench.inputs import Skipped
from scripts.bench.served import served
from yilian.demo.network import free_ports

_ROOT: Final = Path(__file__).resolve().parents[3]
_PYTHON: Final = _ROOT / ".tools/fhirstarter/bin/python"
_SERVER: Final = _ROOT / "scripts/bench/fhirstarter/server.py"
_MIX: Final = ("create", "read", "read", "read", "read")
_REQUESTS: Final = 500
_CLIENTS: Final = 16
_READ: Final = 20
"""Resources that are read by turns."""
_WEIGHT: Final = 71.5
_TIMEOUT_S: Final = 120.0


@contextmanager
def case(place: Place) -> Iterator[Comparison]:
    """Sixteen clients; of five requests one creates."""
    with _plaintext(place.folder) as there, served(place) as running, asyncio.Runner() as runner:
        here = own_target(running)
        ours, peer = (_working(runner, target) for target in (here, there))
        yield Comparison(
            operation="FHIR creates and reads, 1 : 4",
            unit="request",
            ours=Side("sealed, decided, logged", ours),
            peer=Side("fhirstarter on SQLite, plaintext", peer),
            goal=Goal(Figure.SPEED, 1.0),
            note=f"{_CLIENTS} clients, one server process each; the node also anchors meanwhile",
        )


def _working(runner: asyncio.Runner, target: Target) -> Callable[[], float]:
    known = runner.run(_prepare(target))
    return lambda: runner.run(_work(target, known))


async def _prepare(target: Target) -> list[str]:
    """Resources to read; each is read once, and holds what was sent."""
    line, sent = await Line.to(target), json.loads(observation(target.patient, _WEIGHT))
    known = [_id_in(await line.ask(target.create(_WEIGHT))) for _ in range(_READ)]
    for one in known:
        found = json.loads((await line.ask(target.read(one)))[1])
        if found["id"] != one or any(found[name] != sent[name] for name in ("code", "subject", "valueQuantity")):
            raise AssertionError("something else is read than was sent")
    line.close()
    return known


async def _work(target: Target, known: Sequence[str]) -> float:
    turns = iter(zip(range(_REQUESTS), cycle(_MIX), cycle(known), strict=False))

    async def client() -> None:
        line = await Line.to(target)
        try:
            for _, kind, one in turns:
                await line.ask(target.create(_WEIGHT) if kind == "create" else target.read(one))
        finally:
            line.close()

    async with asyncio.timeout(_TIMEOUT_S):
        await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return _REQUESTS


def _id_in(answer: tuple[dict[str, str], bytes]) -> str:
    """From ``Location: [base]/Observation/[id]/_history/[vid]``."""
    return answer[0]["location"].partition("/Observation/")[2].partition("/")[0]


@contextmanager
def _plaintext(folder: Path) -> Iterator[Target]:
    if not _PYTHON.exists():
        raise Skipped("fhirstarter is not there: make .tools/fhirstarter/.installed")
    port = free_ports(1)[0]
    with subprocess.Popen([_PYTHON, _SERVER, folder / "plaintext.db", str(port)]) as server:  # noqa: S603 - ours
        try:
            target = Target(f"http://127.0.0.1:{port}", {}, "mix")
            _wait(target)
            yield target
        finally:
            server.terminate()


def _wait(target: Target) -> None:
    address, deadline = target.address, time.monotonic() + _TIMEOUT_S
    while True:
        try:
            socket.create_connection((address.hostname or "", address.port or 0)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
