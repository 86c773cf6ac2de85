"""Kill −9 of the custodian's node during ingestion and during a grant: nothing told is lost, nothing is doubled."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from domain.errors import OutcomeUnknown, Unavailable
from node_service.client import wire
from node_service.client.shared_client import SharedClient
from patient_wallet.drafts import GrantChoice
from patient_wallet.told import Granted
from patient_wallet.wallet import Wallet
from tests.faults.counts import repetitions
from tests.faults.node.killed_node import GRANT_STEPS, RECORD_STEPS
from tests.faults.node.wholeness import check_whole
from tests.scenario.actors import AWAY, HOME, Actors, acting, new_wallet
from tests.unit.node_service.documents.files import pdf
from tests.unit.node_service.records.ingesting import RESOURCES, bundle
from tests.unit.node_service.records.test_series import instance
from yilian.demo.network import Hospital

pytestmark = pytest.mark.slow
KILLS = repetitions(3, 30)
TRIES_WITHIN_S = 60.0
BUNDLES = 5
TIMES = range(repetitions(1, 20))
"""Of each step."""

LONGEST_INGESTION_S, LONGEST_GRANT_S = 0.4, 0.5
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def actors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Actors]:
    with acting(tmp_path_factory.mktemp("killed")) as hospitals:
        yield hospitals


@pytest.fixture(scope="module")
def wallet(actors: Actors, tmp_path_factory: pytest.TempPathFactory) -> Wallet:
    """Of a person with a few records."""
    report = actors.archive.ingest_fhir(bundle(999_999), source="grants")
    patient = next(ref.patient for ref in report.stored if ref.patient is not None)
    made = new_wallet(tmp_path_factory.mktemp("wallet") / "wallet.json")
    made.enrol(actors.home.url, actors.registrar.issue_enrolment_code(patient).code)
    return made


def kill(hospital: Hospital) -> None:
    assert hospital.process is not None
    hospital.process.kill()
    assert hospital.process.wait() == -9


def start_dying(hospital: Hospital, step: str) -> None:
    """A node that kills itself when it comes to this step."""
    hospital.stop()
    with hospital.log.open("ab") as log:
        hospital.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.node.killed_node", step], cwd=ROOT, env=hospital.environment,
            stdout=log, stderr=log,
        )  # fmt: skip
    hospital.wait_ready()


def restart(hospital: Hospital) -> None:
    hospital.start()
    hospital.wait_ready()


# --- Ingestion ------------------------------------------------------------------------------------------------------


@dataclass
class Writing(threading.Thread):
    """Sends Bundle after Bundle until the node is gone; keeps what was acknowledged."""

    actors: Actors
    numbers: range
    reports: dict[int, wire.IngestReport] = field(default_factory=dict)
    first: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        for number in self.numbers:
            try:
                self.reports[number] = self.actors.archive.ingest_fhir(bundle(number), source="his")
            except (Unavailable, OutcomeUnknown):
                return
            finally:
                self.first.set()


def test_kills_during_ingestion_lose_nothing_and_double_nothing(actors: Actors, tmp_path: Path) -> None:
    before = actors.archive.status()
    people_before = {person.patient for person in actors.patients()}
    acknowledged: set[str] = set()
    chance = random.Random(20260101)  # noqa: S311 - repeatable on purpose
    for round_ in range(KILLS):
        writing = Writing(actors, range(round_ * BUNDLES, (round_ + 1) * BUNDLES))
        writing.start()
        assert writing.first.wait(TRIES_WITHIN_S)
        time.sleep(chance.uniform(0.0, LONGEST_INGESTION_S))
        kill(actors.home)
        writing.join()
        acknowledged |= {ref.record for report in writing.reports.values() for ref in report.stored}
        restart(actors.home)
    assert len(acknowledged) >= RESOURCES

    last = Writing(actors, range(KILLS * BUNDLES))
    last.run()
    assert sorted(last.reports) == list(range(KILLS * BUNDLES))
    assert not [report.refused for report in last.reports.values() if report.refused]
    again = {ref.record for report in last.reports.values() for ref in report.stored}
    assert not acknowledged & again
    people = {person.patient: person for person in actors.patients() if person.patient not in people_before}
    assert [person.records for person in people.values()] == [RESOURCES] * KILLS * BUNDLES
    held = [entry for patient in people for entry in _records(actors, patient)]
    assert {entry.version for entry in held} == {1}
    assert acknowledged <= {entry.record for entry in held}
    after = actors.wait_anchored()
    assert after.records - before.records == after.anchored - before.anchored == KILLS * BUNDLES * RESOURCES
    for record in sorted(acknowledged)[:: RESOURCES // 4]:
        assert actors.house_doctor.record_content(record).startswith(b'{"')
    check_whole(actors, tmp_path)


@pytest.mark.parametrize("time_", TIMES)
@pytest.mark.parametrize("step", RECORD_STEPS[:: repetitions(3, 1)])
def test_a_kill_at_a_step_between_store_and_anchor_leaves_every_record_once_after_the_retry(
    actors: Actors, tmp_path: Path, step: str, time_: int
) -> None:
    before = actors.wait_anchored()
    number = 800_000 + RECORD_STEPS.index(step) * len(TIMES) + time_
    start_dying(actors.home, step)
    with suppress(Unavailable, OutcomeUnknown):
        actors.archive.ingest_fhir(bundle(number), source="steps")
    assert actors.home.process is not None
    assert actors.home.process.wait(TRIES_WITHIN_S) == -9
    restart(actors.home)
    report = actors.archive.ingest_fhir(bundle(number), source="steps")
    assert len(report.stored) + report.unchanged == RESOURCES
    after = actors.wait_anchored()
    assert after.records - before.records == after.anchored - before.anchored == RESOURCES
    if step == RECORD_STEPS[6] and time_ == TIMES[-1]:  # before-the-anchor: in every run
        check_whole(actors, tmp_path)


RECORDS_OF = {"document": 2, "series": 1, "resource": 1}
FEW = [("document", "after-the-commit"), ("series", "after-the-objects"), ("resource", "before-the-commit")]
ALL = [(way, step) for way in RECORDS_OF for step in RECORD_STEPS[:4]]


@pytest.mark.parametrize(("way", "step"), ALL if repetitions(0, 1) else FEW)
def test_a_kill_on_any_other_way_in_leaves_every_record_once_after_the_retry(
    actors: Actors, wallet: Wallet, way: str, step: str
) -> None:
    before, name = actors.wait_anchored(), str(uuid.uuid4())
    start_dying(actors.home, step)
    with pytest.raises((Unavailable, OutcomeUnknown)):
        send(actors, wallet, way, name)
    assert actors.home.process is not None
    assert actors.home.process.wait(TRIES_WITHIN_S) == -9
    restart(actors.home)
    send(actors, wallet, way, name)
    after = actors.wait_anchored()
    assert after.records - before.records == after.anchored - before.anchored == RECORDS_OF[way]


def send(actors: Actors, wallet: Wallet, way: str, name: str) -> None:
    """All of it, as a sender does that got no answer."""
    patient, archive = wallet.registration(HOME).patient, actors.archive
    match way:
        case "document":
            archive.ingest_pdf(pdf(), source="letters", document=name, patient=patient)
        case "series":
            one = instance(1, series=f"2.25.{uuid.UUID(name).int}")
            archive.ingest_dicom(one, source="pacs", upload=name, patient=patient)
            archive.close_dicom(upload=name)
        case _:
            resource = {"resourceType": "Observation", "status": "final", "code": {"text": name}}
            actors.house_doctor.fhir(
                "POST", "/Observation", content=json.dumps(resource).encode(), idempotency_key=name
            )


def _records(actors: Actors, patient: str) -> list[wire.RecordEntry]:
    found, after = [], None
    while True:
        page = actors.house_doctor.patient_records(patient, after)
        found += page.items
        if page.next is None:
            return found
        after = page.next


# --- Grants ---------------------------------------------------------------------------------------------------------


def grant_until_told(wallet: Wallet, choice: GrantChoice, url: str) -> Granted:
    """What a person does: choose the same again until there is an answer."""
    deadline = time.monotonic() + TRIES_WITHIN_S
    while True:
        try:
            return wallet.grant(HOME, choice, url)
        except (Unavailable, OutcomeUnknown):
            assert time.monotonic() < deadline, "no answer in time"
            time.sleep(0.1)


def check_granted(actors: Actors, wallet: Wallet, choice: GrantChoice, told: Granted) -> None:
    """The grant is there once, valid, delivered, and is worth an access."""
    fitting = [entry for entry in wallet.grants(HOME).grants if (entry.terms or {}).get("request") == choice.request]
    assert [(entry.id, entry.status, entry.live) for entry in fitting] == [(told.id, "active", True)]
    if not told.delivered:  # the custodian was killed while the wallet asked it for the reader's key
        assert wallet.deliver_packages() == {}
    assert Counter(grant.id for grant in actors.shared.grants())[told.id] == 1
    actors.shared.confirm_match(told.patient, told.id, None)
    access = actors.shared.open_access(told.patient, told.id, "TREAT")
    assert actors.shared.chart(access.id).items


def choose(actors: Actors, wallet: Wallet) -> GrantChoice:
    """A choice that answers a request of its own, so that its grant is told from others."""
    card = wallet.registration(HOME).card
    asked = SharedClient(actors.doctor).request_access(
        wire.AccessRequest(card=card, purpose="TREAT", categories=["result"], message="")
    )
    return GrantChoice(grantee=AWAY, request=asked.id)


@pytest.mark.parametrize("time_", TIMES)
@pytest.mark.parametrize("step", GRANT_STEPS[:: repetitions(2, 1)])
def test_a_kill_at_a_step_of_a_grant_leaves_one_valid_grant_after_the_retry(
    actors: Actors, wallet: Wallet, step: str, time_: int
) -> None:
    choice = choose(actors, wallet)
    start_dying(actors.home, step)
    with pytest.raises(OutcomeUnknown):
        wallet.grant(HOME, choice, actors.away.url)
    assert actors.home.process is not None
    assert actors.home.process.wait() == -9
    restart(actors.home)
    check_granted(actors, wallet, choice, grant_until_told(wallet, choice, actors.away.url))


def test_kills_at_any_moment_of_a_grant_leave_one_valid_grant_each(
    actors: Actors, wallet: Wallet, tmp_path: Path
) -> None:
    chance = random.Random(20260102)  # noqa: S311 - repeatable on purpose
    told: dict[str, Granted] = {}
    for _ in range(KILLS):
        choice = choose(actors, wallet)
        killer = threading.Timer(chance.uniform(0.0, LONGEST_GRANT_S), kill, [actors.home])
        killer.start()
        answers = []
        with suppress(Unavailable, OutcomeUnknown):
            answers.append(wallet.grant(HOME, choice, actors.away.url))
        killer.join()
        restart(actors.home)
        if not answers:
            answers.append(grant_until_told(wallet, choice, actors.away.url))
        check_granted(actors, wallet, choice, answers[0])
        told[answers[0].id] = answers[0]
    assert len(told) == KILLS
    held = {entry.id for entry in wallet.grants(HOME).grants}
    assert set(told) <= held
    logged = Counter(access.row.action for access in wallet.accesses(HOME))
    assert logged["grant"] >= len(told)
    check_whole(actors, tmp_path)
