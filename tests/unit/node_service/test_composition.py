"""The running node: background work is woken by what it waits for, not by the clock."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from network.embedded.founding import init
from node_service.access_log import sequencer
from node_service.access_log.rows import Entry, record_alone
from node_service.composition import SystemClock, build
from node_service.database.models import AccessRow
from node_service.ledger_sync import anchorer, follower, submission
from node_service.node_status import node_status
from node_service.provisioning import initialise
from node_service.records.ingest import ingest_fhir
from node_service.running import RunningNode
from node_service.settings import Settings
from tests.unit.node_service.records.ingesting import RESOURCES, bundle

WITHIN_S = 20.0
MSP_ID = "RenjiMSP"


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningNode]:
    """A node whose steps look by themselves once an hour."""
    for module in (anchorer, follower, sequencer, submission):
        monkeypatch.setattr(module, "IDLE", timedelta(hours=1))
    init(tmp_path / "ledger", "yilian", [MSP_ID, "HuashanMSP"], clock=SystemClock(), random=os.urandom)
    settings = Settings.from_environment(
        {}, msp_id=MSP_ID, name="Renji", data_dir=tmp_path / "node", ledger_dir=tmp_path / "ledger"
    )
    initialise(settings)
    with build(settings) as running:
        yield running


def until(condition: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + WITHIN_S, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        pause.wait(0.02)


def test_what_is_stored_is_anchored_without_waiting_for_the_clock(running: RunningNode) -> None:
    until(lambda: node_status(running.node).projected == node_status(running.node).height > 1)
    for number in range(2):
        ingest_fhir(running.node, bundle(number), "application/fhir+json", "his")
        until(lambda: node_status(running.node).anchored == (number + 1) * RESOURCES)  # noqa: B023 - called at once


def test_a_row_is_sequenced_without_waiting_for_the_clock(running: RunningNode) -> None:
    until(lambda: node_status(running.node).projected == node_status(running.node).height > 1)
    record_alone(running.node, Entry("search", MSP_ID, "system"))

    def is_sequenced() -> bool:
        with running.node.database.reading() as session:
            places = session.execute(select(func.count(AccessRow.log_index), func.count(AccessRow.id))).one()
        return places[0] == places[1] > 0

    until(is_sequenced)
