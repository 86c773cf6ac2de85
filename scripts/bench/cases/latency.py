"""How long until something holds: from stored to anchored, from the answer to a revocation to the refusal."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Final

from domain.errors import Denied, NotFound
from node_service.client.shared_client import SharedClient
from node_service.client.transport import Transport
from patient_wallet.drafts import GrantChoice
from patient_wallet.seeding import create_wallet
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import FHIR_JSON
from scripts.bench.served import Served, served

_WRITES: Final = 40
_REVOCATIONS: Final = 10
_PAUSE_S: Final = 0.002
_GIVE_UP_S: Final = 30.0


@contextmanager
def anchored(place: Place) -> Iterator[Comparison]:
    """One write after another into a running node; the 95th percentile of a round in milliseconds."""
    numbers = count()
    with served(place) as running:

        def percentile() -> float:
            waits = sorted(_until_anchored(running, next(numbers)) for _ in range(_WRITES))
            return waits[int(0.95 * len(waits))] * 1000

        yield Comparison(
            operation="from stored to anchored, p95",
            unit="ms",
            ours=Side("FHIR create → anchored in the projection", percentile),
            goal=Goal(Figure.AMOUNT, 500),
            note="embedded ledger; the target is set for Raft",
        )


@contextmanager
def refused(place: Place) -> Iterator[Comparison]:
    """From the answer to the patient's revocation to the first refusal of an open access; the longest of a round."""
    with served(place) as running:
        wallet = enrol(place, running)
        reader = running.network.hospitals[1]
        doctor = reader.employ("reader", "Reader", "clinician")

        def longest() -> float:
            return max(_until_refused(running, wallet, SharedClient(doctor.client)) for _ in range(_REVOCATIONS)) * 1000

        yield Comparison(
            operation=f"from revocation answered to access refused, longest of {_REVOCATIONS}",
            unit="ms",
            ours=Side("wallet.revoke → refusal at the custodian", longest),
            goal=Goal(Figure.AMOUNT, 1000),
            note=f"five rounds give {5 * _REVOCATIONS} revocations",
        )


def _until_anchored(running: Served, number: int) -> float:
    body = json.dumps({"resourceType": "Basic", "code": {"text": f"bench {number}"}}).encode()
    report = running.records.ingest_fhir(body, source=f"bench-{number}", media_type=FHIR_JSON)
    started = time.perf_counter()
    record = report.stored[0].record
    while running.clinician.record(record).state == "stored":
        _pause(started)
    return time.perf_counter() - started


def _until_refused(running: Served, wallet: Wallet, shared: SharedClient) -> float:
    home, reader = running.north.msp_id, running.network.hospitals[1]
    granted = wallet.grant(home, GrantChoice(grantee=reader.msp_id), reader.url)
    grant = granted.id
    shared.confirm_match(granted.patient, grant, None)
    access = shared.open_access(granted.patient, grant, "TREAT").id
    if not shared.chart(access).items:
        raise AssertionError("the grant opens nothing")
    wallet.revoke(home, grant)
    started = time.perf_counter()
    while True:
        try:
            shared.records(access)
        except (NotFound, Denied):
            return time.perf_counter() - started
        _pause(started)


def enrol(place: Place, running: Served) -> Wallet:
    body = {"resourceType": "Patient", "id": "p", "name": [{"family": "Bench"}]}
    running.records.ingest_fhir(json.dumps(body).encode(), source="bench", media_type=FHIR_JSON)
    patient = running.records.patients().items[0].patient
    registrar = running.north.employ("registrar", "Registrar", "registrar").client
    vault = Vault.create(place.folder / "wallet.json", os.urandom(16).hex())
    create_wallet(vault, "english", os.urandom)
    wallet = Wallet(vault, lambda url: Transport(url, timeout_s=60.0), os.urandom, lambda: datetime.now(UTC))
    wallet.enrol(running.north.url, registrar.issue_enrolment_code(patient).code)
    return wallet


def _pause(started: float) -> None:
    if time.perf_counter() - started > _GIVE_UP_S:
        raise AssertionError("it does not come to hold")
    time.sleep(_PAUSE_S)
