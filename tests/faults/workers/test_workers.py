"""A node of several processes over PostgreSQL: whichever of them dies, what was told holds and the work goes on."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from node_service.client import resumable_client
from node_service.client.resumable_client import LargeUpload
from tests.fabric.faults.consortium import AWAY, CANARY, HOME
from tests.fabric.faults.facts import Facts
from tests.fabric.faults.striking import measured
from tests.faults.counts import repetitions
from tests.faults.surviving import survive
from tests.faults.workers.conftest import WORKERS, Shared
from tests.simulation.files import plaintext
from tests.unit.node_service.records.test_series import instance

pytestmark = pytest.mark.slow
KILLS = repetitions(1, 20)
STRIKES = repetitions(1, 3)
"""On one upload."""
HOLD_S = 2.0
TAKEOVER_TIMEOUT_S = 90.0
MIB = 1 << 20


@pytest.fixture(scope="module")
def facts() -> Facts:
    """What was acknowledged, from fault to fault."""
    return Facts()


def test_one_process_of_each_node_does_the_background_work(shared: Shared) -> None:
    for msp_id, count in WORKERS.items():
        wait(lambda msp_id=msp_id, count=count: len(shared.others(msp_id)) == count - 1)  # type: ignore[misc]
        assert shared.leader(msp_id) is not None


@pytest.mark.parametrize("msp_id", [HOME, AWAY], ids=["custodian", "reader"])
@pytest.mark.parametrize("_time", range(KILLS))
def test_the_process_that_leads_is_killed(shared: Shared, facts: Facts, msp_id: str, _time: int) -> None:
    def strike() -> None:
        leader = shared.leader(msp_id)
        assert leader is not None
        struck = time.monotonic()
        os.kill(leader, signal.SIGKILL)
        wait(lambda: shared.leader(msp_id) not in (None, leader))
        measured({"fault": f"leading process of {msp_id}", "takeover_s": round(time.monotonic() - struck, 1)})

    survive(shared.people, facts, strike)
    wait(lambda: len(shared.others(msp_id)) == WORKERS[msp_id] - 1)


@pytest.mark.parametrize("_time", range(KILLS))
def test_a_process_that_does_not_lead_is_killed(shared: Shared, facts: Facts, _time: int) -> None:
    survive(shared.people, facts, lambda: os.kill(shared.others(HOME)[0], signal.SIGKILL))


def test_the_process_that_leads_is_suspended_and_loses_its_lock(shared: Shared, facts: Facts) -> None:
    """It wakes up as somebody who led once; the watching parent may have replaced it by then."""
    leader = shared.leader(HOME)
    assert leader is not None

    def strike() -> None:
        os.kill(leader, signal.SIGSTOP)
        shared.drop(HOME)
        wait(lambda: shared.leader(HOME) not in (None, leader))
        with suppress(ProcessLookupError):
            os.kill(leader, signal.SIGCONT)

    survive(shared.people, facts, strike)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_the_database_server_ends_and_comes_back(shared: Shared, facts: Facts, mode: str) -> None:
    def strike() -> None:
        shared.server.stop(mode)
        time.sleep(HOLD_S)
        shared.server.start()

    survive(shared.people, facts, strike)


def test_the_process_that_watches_the_others_is_killed_and_the_node_started_again(shared: Shared, facts: Facts) -> None:
    home = shared.people.actors.home

    def strike() -> None:
        assert home.process is not None
        home.process.kill()
        home.process.wait()
        wait(lambda: shared.leader(HOME) is None and shared.others(HOME) == [])
        home.start()
        home.wait_ready()

    survive(shared.people, facts, strike)


def test_an_upload_goes_on_in_another_process_where_the_one_that_took_it_was_killed(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable_client, "PART_BYTES", 2 * MIB)
    home = shared.people.actors.home
    client = home.employ("archive-of-uploads", "Archive", "medical-records").client
    path = tmp_path / "large.dcm"
    path.write_bytes(instance(1, pixels=os.urandom(12 * MIB), series="1.2.3.4711"))
    struck = set[int]()

    def strike(sent: int, length: int) -> None:
        if 0 < sent < length and len(struck) < STRIKES:
            serving = {shared.leader(HOME), *shared.others(HOME)} - {None}
            struck.add(sent)
            for process in serving:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)  # type: ignore[arg-type]

    patient = shared.people.wallet.registration(HOME).patient
    series = LargeUpload(client, "pacs", "uploads", patient).send(path, strike)
    assert len(struck) == STRIKES
    client.close_dicom(upload="uploads")
    doctor = home.employ("doctor-of-uploads", "Doctor", "clinician").client
    (member,) = doctor.record_members(series)
    read = hashlib.sha256(b"".join(doctor.record_member(series, member.object_id)))
    assert read.digest() == hashlib.sha256(path.read_bytes()).digest()
    left = home.folder / "uploads"
    assert not left.exists() or list(left.iterdir()) == []


def test_nothing_stands_in_clear_on_the_disks_of_nodes_and_server(shared: Shared) -> None:
    for folder in (shared.people.actors.network.folder, shared.server.folder / "data"):
        assert list(plaintext(folder, CANARY.encode())) == []


def wait(condition: Callable[[], bool]) -> None:
    """It holds in the end."""
    deadline = time.monotonic() + TAKEOVER_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
