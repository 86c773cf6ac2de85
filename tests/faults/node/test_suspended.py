"""A node that stands still and wakes up, as a virtual machine does: what was revoked meanwhile is refused at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import Conflict, Denied, NotFound, OutcomeUnknown, Unavailable, YilianError
from node_service.client import wire
from patient_wallet.drafts import GrantChoice
from patient_wallet.wallet import Wallet
from tests.faults.counts import repetitions
from tests.scenario.actors import AWAY, HOME, Actors, acting, new_wallet
from tests.unit.node_service.records.ingesting import bundle
from yilian.demo.network import Hospital

pytestmark = pytest.mark.slow
SUSPENDED_S = repetitions(3, 30)


@pytest.fixture(scope="module")
def actors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Actors]:
    with acting(tmp_path_factory.mktemp("suspended")) as hospitals:
        yield hospitals


@pytest.fixture
def wallet(actors: Actors, tmp_path: Path) -> Wallet:
    report = actors.archive.ingest_fhir(bundle(31), source=tmp_path.name)
    patient = next(ref.patient for ref in report.stored if ref.patient is not None)
    made = new_wallet(tmp_path / "wallet.json")
    made.enrol(actors.home.url, actors.registrar.issue_enrolment_code(patient).code)
    actors.wait_anchored()
    return made


def suspend(hospital: Hospital) -> None:
    assert hospital.process is not None
    os.kill(hospital.process.pid, signal.SIGSTOP)


def resume(hospital: Hospital) -> None:
    assert hospital.process is not None
    os.kill(hospital.process.pid, signal.SIGCONT)


def test_reads_that_wait_for_a_suspended_custodian_get_nothing_that_was_revoked_meanwhile(
    actors: Actors, wallet: Wallet
) -> None:
    granted = wallet.grant(HOME, GrantChoice(grantee=AWAY), actors.away.url)
    actors.shared.confirm_match(granted.patient, granted.id, None)
    access = actors.shared.open_access(granted.patient, granted.id, "TREAT").id
    assert actors.shared.chart(access).items
    answers: list[wire.SharedChart | YilianError] = []
    suspend(actors.home)
    waiting = threading.Thread(target=lambda: answers.append(chart(actors, access)))
    waiting.start()
    time.sleep(0.3)  # the request has reached the custodian, which does not move
    revoked = threading.Thread(target=lambda: revoke(wallet, granted.id, actors.away.url))
    revoked.start()
    time.sleep(SUSPENDED_S)
    resume(actors.home)
    revoked.join()
    waiting.join()
    assert all(isinstance(answer, YilianError) for answer in answers), answers
    with pytest.raises((Denied, NotFound)):
        actors.shared.chart(access)


def test_what_was_taken_in_before_and_after_a_suspension_is_anchored(actors: Actors) -> None:
    before = actors.wait_anchored().records
    report = actors.archive.ingest_fhir(bundle(41), source="suspended")
    suspend(actors.home)
    answers: list[object] = []
    sending = threading.Thread(target=lambda: answers.append(send(actors)))
    sending.start()
    time.sleep(SUSPENDED_S)
    resume(actors.home)
    sending.join()
    actors.archive.ingest_fhir(bundle(42), source="suspended")
    after = actors.wait_anchored()
    assert after.records - before == 2 * len(report.stored)
    assert after.alarm is None


def chart(actors: Actors, access: str) -> wire.SharedChart | YilianError:
    try:
        return actors.shared.chart(access)
    except YilianError as error:
        return error


def revoke(wallet: Wallet, grant: str, through: str) -> None:
    """Through the other hospital, since the custodian does not answer."""
    while True:
        try:
            wallet.revoke(HOME, grant, through=through)
        except (Unavailable, OutcomeUnknown, Conflict):
            time.sleep(0.1)
        else:
            return


def send(actors: Actors) -> object:
    try:
        return actors.archive.ingest_fhir(bundle(42), source="suspended")
    except (Unavailable, OutcomeUnknown) as error:
        return error
