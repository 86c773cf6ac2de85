"""A thousand writers at once beside sixteen: nothing lost, no server error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

import httpx

from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.served import Served, served

_MANY: Final = 1_000
_FEW: Final = 16
_WRITES: Final = 1_000
_TIMEOUT_S: Final = 120.0


@contextmanager
def case(place: Place) -> Iterator[Comparison]:
    """Each writer creates Observations for one patient until the round's writes are done."""
    with served(place) as running, asyncio.Runner() as runner:
        patient = _patient(running)
        numbers = count()

        def write(writers: int) -> float:
            return runner.run(_write(running, patient, writers, numbers))

        yield Comparison(
            operation=f"FHIR creates by {_MANY:,} writers at once",
            unit="create",
            ours=Side(f"{_MANY:,} writers", lambda: write(_MANY)),
            peer=Side(f"{_FEW} writers", lambda: write(_FEW)),
            goal=Goal(Figure.SPEED, 0.8),
            note="a round fails unless every create is answered 201 and is counted by the node afterwards",
        )


async def _write(running: Served, patient: str, writers: int, numbers: Iterator[int]) -> float:
    headers = dict(running.clinician.authorise("POST", "")) | {"Content-Type": "application/fhir+json"}
    limits = httpx.Limits(max_connections=writers, max_keepalive_connections=writers)
    before = running.clinician.status().records
    turns = iter(range(_WRITES))
    async with httpx.AsyncClient(
        base_url=running.north.url, limits=limits, timeout=_TIMEOUT_S, trust_env=False, headers=headers
    ) as http:

        async def writer() -> None:
            for _ in turns:
                answer = await http.post("/fhir/Observation", content=_observation(patient, next(numbers)))
                if answer.status_code != httpx.codes.CREATED:
                    raise AssertionError(f"a create was answered {answer.status_code}")

        await asyncio.gather(*(writer() for _ in range(writers)))
    if running.clinician.status().records - before != _WRITES:
        raise AssertionError("an acknowledged create is not there")
    return _WRITES


def _patient(running: Served) -> str:
    body = json.dumps({"resourceType": "Patient", "id": "bench", "name": [{"family": "Bench"}]}).encode()
    return running.records.ingest_fhir(body, source="bench").stored[0].record


def _observation(patient: str, number: int) -> bytes:
    return json.dumps(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": "2026-11-22",
            "valueQuantity": {"value": number, "unit": "kg"},
        }
    ).encode()
