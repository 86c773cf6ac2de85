"""One attacked hospital for all tests of hostile input."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hostile.victim import Victim
from yilian.demo.network import Network

ROLES = ("clinician", "medical-records", "registrar", "system", "privacy-officer", "quality")

ANCHORED_S = 3.0
"""Longer than the node takes to anchor its logs: what it keeps of its own does not change any more."""

MAX_UPLOAD_BYTES = 96 << 20
"""Beyond every other bound on a body, and soon reached by one without end."""


@pytest.fixture(scope="session")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    settings = {"RenheMSP": {"MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES)}}
    with attacked_hospital(tmp_path_factory.mktemp("hostile"), settings) as attacked:
        yield attacked


@contextmanager
def attacked_hospital(folder: Path, settings: Mapping[str, Mapping[str, str]] | None = None) -> Iterator[Victim]:
    """A running node with a member of staff of each role and one record."""
    network = Network(folder, {"RenheMSP": "Renhe"}, settings=settings)
    hospital = network.hospitals[0]
    # Other files' tests run in between.
    hospital.environment = {**hospital.environment, "YILIAN_STAFF_SESSION_MINUTES": "720"}
    with network:
        people = {role: hospital.employ(role, role, role) for role in ROLES}
        tokens = {role: token_of(person.client.authorise("", "")) for role, person in people.items()}
        tokens["system-administrator"] = token_of(hospital.administrator().authorise("", ""))
        body = json.dumps({"resourceType": "Patient", "id": "p", "gender": "unknown"}).encode()
        people["medical-records"].client.ingest_fhir(body, source="s")
        attacked = Victim(hospital, tokens)
        attacked.wait_idle(ANCHORED_S)
        yield attacked


def token_of(headers: object) -> str:
    assert isinstance(headers, dict)
    return str(headers["Authorization"]).removeprefix("Bearer ")
