"""A FHIR client of few bytes and little work: httpx itself takes more time for 1,000 connections than a node does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from scripts.bench.served import Served

_TYPE = "application/fhir+json"
_MOST_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Target:
    """A FHIR server, who asks it, and a patient there."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    patient: str

    @property
    def address(self) -> SplitResult:
        """Where it is."""
        return urlsplit(self.url)

    def create(self, number: float) -> bytes:
        """A request as it goes over the line: the patient's Observation of so many kilograms."""
        return self._request("POST", "/Observation", observation(self.patient, number))

    def read(self, known: str) -> bytes:
        """A request as it goes over the line, for an Observation by its id."""
        return self._request("GET", f"/Observation/{known}")

    def _request(self, method: str, path: str, body: bytes = b"") -> bytes:
        lines = {"Host": self.address.netloc, "Accept": _TYPE, **self.headers, "Content-Length": str(len(body))}
        if body:
            lines["Content-Type"] = _TYPE
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {self.address.path}{path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(frozen=True, slots=True)
class Line:
    """One connection, which is kept."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, target: Target) -> Line:
        """Connect."""
        address = target.address
        return cls(*await asyncio.open_connection(address.hostname, address.port, limit=_MOST_BYTES))

    async def ask(self, request: bytes) -> tuple[dict[str, str], bytes]:
        """Headers and body of the answer.

        Raises:
            AssertionError: the server refused.
        """
        self.writer.write(request)
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        if status.split()[1] not in ("200", "201"):
            raise AssertionError(f"answered {status}")
        return headers, body

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


def own_target(running: Served) -> Target:
    """The measured hospital, asked by its clinician, with a new patient."""
    body = json.dumps({"resourceType": "Patient", "id": "bench", "name": [{"family": "Bench"}]}).encode()
    patient = running.records.ingest_fhir(body, source="bench").stored[0].record
    return Target(f"{running.north.url}/fhir", running.clinician.authorise("POST", ""), patient)


def observation(patient: str, number: float) -> bytes:
    """What is created."""
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
