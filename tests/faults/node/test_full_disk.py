"""Small file systems that fill up, each apart: an error tells, nothing acknowledged is lost, and then it goes on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import OutcomeUnknown, Unavailable
from node_service.access_log import fsck
from node_service.access_log.sequencer import Sequencer
from node_service.client.wire import RecordRef
from node_service.node_status import node_status
from node_service.own_reading import read_record
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from tests.faults.node.test_damage import READER, observation
from tests.faults.small_disks import Full, mounted
from tests.unit.node_service.records.hospital import Hospital, open_hospital, start_hospital

SIZES = {"data/objects": 3, "data/custody": 1, "data": 8, "ledger": 3}
"""Mebibytes of each file system: what the folder holds at the start, and a little more."""
MOST_TRIES = 400


@pytest.fixture(params=SIZES)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Hospital, Full]]:
    """A hospital of which one folder lies on a small file system."""
    start_hospital(tmp_path).close()
    folder = tmp_path / request.param
    folder.mkdir(exist_ok=True)
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    with mounted(folder, SIZES[request.param]):
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        hospital = open_hospital(tmp_path)
        yield hospital, Full(folder)
        hospital.close()


def test_a_full_disk_is_told_and_nothing_acknowledged_is_lost(small: tuple[Hospital, Full]) -> None:
    hospital, disk = small
    stored, sent = write(hospital, 0, 3)
    assert len(stored) == 3
    disk.fill()
    more, sent = write(hospital, sent, 5)
    stored += more
    refused = 5 - len(more)
    reads = [read(hospital, one.record) for one in stored]
    settle(hospital)
    status = node_status(hospital.node)
    assert refused or not all(reads) or status.anchored < status.records
    disk.empty()
    more, _ = write(hospital, sent, 2)
    assert len(more) == 2
    for number in range(sent):
        ingest_fhir(hospital.node, observation(number), "application/fhir+json", "his")
    settle(hospital)
    for one in [*stored, *more]:
        assert b"finding" in open_version(hospital.node, one.record).content
    assert fsck.check(hospital.node).findings == ()
    status = node_status(hospital.node)
    assert status.anchored == status.records == sent + 2


def write(hospital: Hospital, first: int, count: int) -> tuple[list[RecordRef], int]:
    """Send so many; return what was acknowledged, and the number of the next."""
    stored: list[RecordRef] = []
    for number in range(first, first + count):
        try:
            stored += ingest_fhir(hospital.node, observation(number), "application/fhir+json", "his").stored
        except (Unavailable, OutcomeUnknown):
            continue
    return stored, first + count


def read(hospital: Hospital, record: str) -> bool:
    """True if it was answered; a disk that takes no row lets nobody read."""
    try:
        return b"finding" in read_record(hospital.node, READER, record).content
    except Unavailable:
        return False


def settle(hospital: Hospital) -> None:
    """The steps run; what they cannot do now they do later."""
    hospital.clock.advance(11)
    try:
        Sequencer(hospital.node).step(hospital.clock.now())
        hospital.settle()
    except Unavailable:
        return
