"""Damage at rest: what is altered or gone is refused and named, and nothing is served wrongly; the rest goes on."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from domain.errors import NotFound, Tampered, Unavailable, YilianError
from node_service.access_log import fsck
from node_service.access_log.sequencer import Sequencer
from node_service.background import Worker
from node_service.database.migrations import upgrade
from node_service.database.models import RecordVersion
from node_service.ledger_sync.alarm import alarms
from node_service.own_reading import read_record
from node_service.records.ingest import ingest_fhir
from node_service.records.scrub import check_objects
from node_service.staff.principal import StaffPrincipal
from tests.faults.counts import repetitions
from tests.unit.node_service.records.hospital import Hospital, open_hospital, start_hospital

READER = StaffPrincipal("a" * 26, frozenset({"clinician"}), "Reader")
COUNT = 30
PAGE_BYTES = 4096


def observation(number: int) -> bytes:
    resource = {
        "resourceType": "Observation", "id": f"o{number}", "status": "final", "code": {"text": f"finding {number};"},
    }  # fmt: skip
    return json.dumps(resource).encode()


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    opened = start_hospital(tmp_path)
    yield opened
    opened.close()


def fill(hospital: Hospital) -> list[str]:
    """Records, anchored; the n-th holds finding n."""
    lines = b"\n".join(observation(number) for number in range(COUNT))
    stored = ingest_fhir(hospital.node, lines, "application/fhir+ndjson", "his").stored
    hospital.clock.advance(11)
    Sequencer(hospital.node).step(hospital.clock.now())
    hospital.settle()
    return [one.record for one in stored]


def object_of(hospital: Hospital, record: str) -> Path:
    with hospital.node.database.reading() as session:
        digest = session.scalars(select(RecordVersion.digest).where(RecordVersion.record == record)).one()
    return hospital.node.settings.data_dir / "objects" / "objects" / digest.hex()[:2] / digest.hex()


# --- Objects ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_an_altered_object_is_refused_and_named_and_the_others_are_served(hospital: Hospital, place: str) -> None:
    records = fill(hospital)
    path = object_of(hospital, records[7])
    data = bytearray(path.read_bytes())
    at = {"first": 0, "middle": len(data) // 2, "last": len(data) - 1}[place]
    data[at] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(Tampered):
        read_record(hospital.node, READER, records[7])
    findings = check_objects(hospital.node)
    assert [one.row for one in findings] == [f"record {records[7]}"]
    assert served(hospital, records) == set(range(COUNT)) - {7}


def test_a_missing_object_is_not_found_and_named_and_the_others_are_served(hospital: Hospital) -> None:
    records = fill(hospital)
    object_of(hospital, records[3]).unlink()
    with pytest.raises(NotFound):
        read_record(hospital.node, READER, records[3])
    assert [(one.row, one.reason) for one in check_objects(hospital.node)] == [(f"record {records[3]}", "missing")]
    assert served(hospital, records) == set(range(COUNT)) - {3}


def test_an_object_in_the_place_of_another_is_refused(hospital: Hospital) -> None:
    records = fill(hospital)
    shutil.copyfile(object_of(hospital, records[1]), object_of(hospital, records[2]))
    with pytest.raises(Tampered):
        read_record(hospital.node, READER, records[2])
    assert served(hospital, records) == set(range(COUNT)) - {2}


def served(hospital: Hospital, records: list[str]) -> set[int]:
    """Numbers of the records that open, each with its own content."""
    numbers = set()
    for number, record in enumerate(records):
        try:
            content = read_record(hospital.node, READER, record).content
        except YilianError:
            continue
        assert f"finding {number};".encode() in content
        numbers.add(number)
    return numbers


# --- The database -----------------------------------------------------------------------------------------------------


def damage(database: Path, page: int, how: str, chance: random.Random) -> None:
    with database.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(bytes(PAGE_BYTES) if how == "zeroed" else chance.randbytes(PAGE_BYTES))


def test_a_damaged_page_is_an_alarm_and_whatever_page_it_is_nothing_is_served_wrongly(tmp_path: Path) -> None:
    hospital = start_hospital(tmp_path / "whole")
    records = fill(hospital)
    hospital.close()
    with closing(sqlite3.connect(tmp_path / "whole" / "data" / "node.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (pages,) = database.execute("PRAGMA page_count").fetchone()
    chance = random.Random(20260501)  # noqa: S311 - repeatable on purpose
    chosen = chance.sample(range(2, pages + 1), min(pages - 1, repetitions(12, 10_000)))
    tampered = 0
    for page in chosen:
        for how in ("zeroed", "random"):
            copy = tmp_path / f"{page}-{how}"
            shutil.copytree(tmp_path / "whole", copy)
            damage(copy / "data" / "node.db", page, how, chance)
            tampered += outcome_with_damage(copy, records)
            shutil.rmtree(copy)
    assert tampered >= len(chosen) // 4


def outcome_with_damage(folder: Path, records: list[str]) -> bool:
    """Read everything; true if somebody met the damage. Only the product's own errors are let through."""
    hospital = open_hospital(folder)
    met = False
    try:
        for number, record in enumerate(records):
            try:
                content = read_record(hospital.node, READER, record).content
            except (Tampered, Unavailable, NotFound):
                met = True
                continue
            assert f"finding {number};".encode() in content
        try:
            met |= fsck.check(hospital.node).findings != ()
        except (Tampered, Unavailable):
            met = True
    finally:
        hospital.close()
    return met


def test_a_damaged_database_is_tampered_and_its_step_raises_an_alarm(hospital: Hospital, tmp_path: Path) -> None:
    records = fill(hospital)
    path = hospital.node.settings.data_dir / "node.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = database.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'record_version'").fetchall()
    hospital.node.database.engine.dispose()
    for (page,) in pages:
        damage(path, page, "zeroed", random.Random(1))  # noqa: S311 - repeatable on purpose
    with pytest.raises(Tampered) as found:
        read_record(hospital.node, READER, records[0])
    assert (found.value.reason, found.value.place) == ("database-damaged", "database")

    class Reading:
        def step(self, now: object) -> object:
            return fsck.check(hospital.node)

    failed: list[str] = []
    worker = Worker("scrub", Reading(), hospital.clock, hospital.node.database, failed.append)  # type: ignore[arg-type]
    worker.turn(hospital.clock.now())
    assert failed == ["scrub"]
    with hospital.node.database.reading() as session:
        assert [(one.name, one.reason) for one in alarms(session)] == [("scrub", "database-damaged")]


def test_a_file_that_is_no_database_any_more_is_tampered(hospital: Hospital) -> None:
    records = fill(hospital)
    path = hospital.node.settings.data_dir / "node.db"
    hospital.node.database.engine.dispose()
    damage(path, 1, "random", random.Random(1))  # noqa: S311 - repeatable on purpose
    with pytest.raises(Tampered):
        read_record(hospital.node, READER, records[0])
    with pytest.raises(Tampered), hospital.node.database.transaction() as session:
        session.execute(select(RecordVersion.record)).all()
    with pytest.raises(Tampered, match="the database is damaged"):
        upgrade(hospital.node.settings.sqlalchemy_url)


# --- Locked -----------------------------------------------------------------------------------------------------------

_HOLD = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
database.execute("ROLLBACK")
"""


def test_a_database_locked_by_another_process_delays_writers_and_loses_nothing(hospital: Hospital) -> None:
    path = str(hospital.node.settings.data_dir / "node.db")
    with subprocess.Popen([sys.executable, "-c", _HOLD, path, "2"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        stored = ingest_fhir(hospital.node, observation(0), "application/fhir+json", "his").stored
    assert holder.returncode == 0
    assert b"finding 0;" in read_record(hospital.node, READER, stored[0].record).content


@pytest.mark.slow
def test_a_database_that_stays_locked_is_unavailable_and_answers_nothing_that_it_cannot_log(hospital: Hospital) -> None:
    stored = ingest_fhir(hospital.node, observation(0), "application/fhir+json", "his").stored
    path = str(hospital.node.settings.data_dir / "node.db")
    with subprocess.Popen([sys.executable, "-c", _HOLD, path, "60"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        errors: list[YilianError] = []

        def read() -> None:
            try:
                read_record(hospital.node, READER, stored[0].record)
            except YilianError as error:
                errors.append(error)

        reading = threading.Thread(target=read)
        reading.start()
        with pytest.raises(Unavailable):
            ingest_fhir(hospital.node, observation(1), "application/fhir+json", "his")
        reading.join()
        holder.kill()
    assert [type(error) for error in errors] == [Unavailable]
    assert len(ingest_fhir(hospital.node, observation(1), "application/fhir+json", "his").stored) == 1
