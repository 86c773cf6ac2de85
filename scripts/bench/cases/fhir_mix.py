"""Creates and reads over HTTP beside a plaintext FHIR server on fhirstarter and SQLite; a node has no search yet."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import Skipped
from scripts.bench.served import Served, served
from yilian.demo.network import free_ports

_ROOT: Final = Path(__file__).resolve().parents[3]
_PYTHON: Final = _ROOT / ".tools/fhirstarter/bin/python"
_SERVER: Final = _ROOT / "scripts/bench/fhirstarter/server.py"
_TYPE: Final = "application/fhir+json"
_MIX: Final = ("create", "read", "read", "read", "read")
_REQUESTS: Final = 500
_CLIENTS: Final = 16
_READ: Final = 20
"""Resources that are read by turns."""
_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Target:
    """A FHIR server with one patient."""

    url: str
    headers: Mapping[str, str]
    patient: str

    def create(self) -> bytes:
        """A request as it goes over the line."""
        return self._bytes("POST", "/Observation", _observation(self.patient))

    def read(self, known: str) -> bytes:
        """A request as it goes over the line."""
        return self._bytes("GET", f"/Observation/{known}")

    def _bytes(self, method: str, path: str, body: bytes = b"") -> bytes:
        address = urlsplit(self.url)
        lines = {"Host": address.netloc, "Accept": _TYPE, **self.headers, "Content-Length": str(len(body))}
        if body:
            lines["Content-Type"] = _TYPE
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {address.path}{path} HTTP/1.1\r\n{head}\r\n".encode() + body


@contextmanager
def case(place: Place) -> Iterator[Comparison]:
    """Sixteen clients; of five requests one creates."""
    with _plaintext(place.folder) as there, served(place) as running, asyncio.Runner() as runner:
        here = _own(running)
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
    reader, sender = await _connect(target)
    known = []
    for _ in range(_READ):
        sender.write(target.create())
        known.append(_id_in(await _answer(reader)))
    for one in known:
        sender.write(target.read(one))
        found = json.loads((await _answer(reader))[1])
        sent = json.loads(_observation(target.patient))
        if found["id"] != one or any(found[name] != sent[name] for name in ("code", "subject", "valueQuantity")):
            raise AssertionError("something else is read than was sent")
    sender.close()
    return known


async def _work(target: Target, known: Sequence[str]) -> float:
    turns = iter(zip(range(_REQUESTS), cycle(_MIX), cycle(known), strict=False))

    async def client() -> None:
        reader, sender = await _connect(target)
        try:
            for _, kind, one in turns:
                sender.write(target.create() if kind == "create" else target.read(one))
                await _answer(reader)
        finally:
            sender.close()

    async with asyncio.timeout(_TIMEOUT_S):
        await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return _REQUESTS


async def _connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(target.url)
    return await asyncio.open_connection(address.hostname, address.port, limit=1 << 22)


async def _answer(reader: asyncio.StreamReader) -> tuple[dict[str, str], bytes]:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    if status.split()[1] not in ("200", "201"):
        raise AssertionError(f"answered {status}: {body[:300]!r}")
    return headers, body


def _id_in(answer: tuple[dict[str, str], bytes]) -> str:
    """From ``Location: [base]/Observation/[id]/_history/[vid]``."""
    return answer[0]["location"].partition("/Observation/")[2].partition("/")[0]


def _own(running: Served) -> Target:
    body = json.dumps({"resourceType": "Patient", "id": "mix", "name": [{"family": "Bench"}]}).encode()
    patient = running.records.ingest_fhir(body, source="bench").stored[0].record
    return Target(f"{running.north.url}/fhir", running.clinician.authorise("GET", ""), patient)


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
    address, deadline = urlsplit(target.url), time.monotonic() + _TIMEOUT_S
    while True:
        try:
            socket.create_connection((address.hostname or "", address.port or 0)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _observation(patient: str) -> bytes:
    return json.dumps(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": "2026-11-22",
            "valueQuantity": {"value": 71.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        }
    ).encode()
