"""PostgreSQL's disk is full, or gives back other bytes than were written: it is told, and nothing is served wrongly."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from domain.errors import Tampered, Unavailable
from node_service.access_log import fsck
from node_service.background import Worker
from node_service.database.models import RecordVersion
from node_service.ledger_sync.alarm import alarms
from node_service.node_status import node_status
from node_service.own_reading import read_record
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from scripts.postgresql import Server, running_server
from tests.faults.counts import repetitions
from tests.faults.node.test_damage import READER, fill, observation
from tests.faults.node.test_full_disk import settle, write
from tests.faults.small_disks import Full, mounted
from tests.postgresql import instead_of_sqlite, name_of, require
from tests.unit.node_service.records.hospital import Hospital, start_hospital

pytestmark = pytest.mark.slow
PAGE_BYTES = 8192
DISK_MEBIBYTES = 96
MOST_WRITES = 2000
BACK_TIMEOUT_S = 60.0
TABLES = ("record_version", "record", "wrap", "log_size", "anchored_head")
TIMES = repetitions(1, 10)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Hospital, Server]]:
    """A hospital over a server that a test may stop."""
    require()
    with running_server(durable=True) as server, instead_of_sqlite(server):
        opened = start_hospital(tmp_path)
        yield opened, server
        opened.close()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("how", ["bit", "random"])
def test_a_damaged_page_is_told_and_nothing_is_served_wrongly(
    kept: tuple[Hospital, Server], table: str, how: str
) -> None:
    hospital, server = kept
    records = fill(hospital)
    chance = random.Random(f"{table} {how}")  # noqa: S311 - repeatable on purpose
    for _ in range(TIMES):
        damage(hospital, server, table, how, chance)
        met = everything(hospital, records)
        assert met == {"database-damaged"}


def test_a_step_that_meets_a_damaged_page_raises_an_alarm(kept: tuple[Hospital, Server]) -> None:
    hospital, server = kept
    records = fill(hospital)
    damage(hospital, server, "record_version", "bit", random.Random(1))  # noqa: S311 - repeatable on purpose
    assert everything(hospital, records) == {"database-damaged"}

    class Checking:
        def step(self, now: datetime) -> datetime:
            with hospital.node.database.reading() as session:
                session.scalars(select(RecordVersion)).all()
            return now

    failed: list[str] = []
    Worker("scrub", Checking(), hospital.clock, hospital.node.database, failed.append).turn(hospital.clock.now())
    assert failed == ["scrub"]
    with hospital.node.database.reading() as session:
        assert [(one.name, one.reason) for one in alarms(session)] == [("scrub", "database-damaged")]


def damage(hospital: Hospital, server: Server, table: str, how: str, chance: random.Random) -> None:
    """Other bytes in one page of a table, while the server is down."""
    path = server.file_of(name_of(hospital.node.settings.data_dir / "node.db"), table)
    server.stop()
    at = chance.randrange(path.stat().st_size // PAGE_BYTES) * PAGE_BYTES
    with path.open("r+b") as file:
        file.seek(at)
        page = bytearray(file.read(PAGE_BYTES))
        if how == "bit":
            page[chance.randrange(PAGE_BYTES)] ^= 1
        else:
            page[:] = chance.randbytes(PAGE_BYTES)
        file.seek(at)
        file.write(page)
    server.start()


def everything(hospital: Hospital, records: list[str]) -> set[str]:
    """Read it all; the reasons that were told. Only the product's own errors are let through."""
    told = set()
    for number, record in enumerate(records):
        try:
            content = read_record(hospital.node, READER, record).content
        except Tampered as error:
            told.add(error.reason)
        else:
            assert f"finding {number};".encode() in content
    try:
        assert fsck.check(hospital.node).findings == ()
    except Tampered as error:
        told.add(error.reason)
    return told


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Hospital, Server, Full]]:
    """A hospital whose PostgreSQL has a small disk of its own."""
    require()
    with (
        tempfile.TemporaryDirectory(prefix="yilian-small-") as folder,
        mounted(Path(folder), DISK_MEBIBYTES),
        running_server(durable=True, folder=Path(folder)) as server,
        instead_of_sqlite(server),
    ):
        opened = start_hospital(tmp_path)
        yield opened, server, Full(Path(folder))
        opened.close()


def test_a_full_disk_of_the_server_is_told_and_nothing_acknowledged_is_lost(
    small: tuple[Hospital, Server, Full],
) -> None:
    hospital, server, disk = small
    stored, sent = write(hospital, 0, 3)
    assert len(stored) == 3
    disk.fill()
    while len(stored) == sent and sent < MOST_WRITES:
        more, sent = write(hospital, sent, 1)
        stored += more
    assert len(stored) == sent - 1, "the disk never was full"
    more, sent = write(hospital, sent, 3)
    stored += more
    settle(hospital)
    disk.empty()
    come_back(hospital, server)
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


def come_back(hospital: Hospital, server: Server) -> None:
    """Without room for its log the server ends, and somebody has to start it again."""
    deadline = time.monotonic() + BACK_TIMEOUT_S
    while True:
        try:
            node_status(hospital.node)
        except Unavailable:
            assert time.monotonic() < deadline
            with suppress(subprocess.CalledProcessError):
                server.start()
        else:
            return
