"""Reads of the own staff: a row is durable before a key leaves the custody, and without a row there is no answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from domain import leaves
from domain.errors import NotFound, Unavailable
from domain.identifiers import identifier
from domain.ports import CustodyEntry
from node_service import own_reading
from node_service.client.wire import RecordRef
from node_service.database.engine import Database
from node_service.database.models import AccessRow
from node_service.records.ingest import ingest_fhir
from node_service.staff.principal import StaffPrincipal
from tests.unit.node_service.records.hospital import Hospital, start_hospital
from tests.unit.node_service.records.ingesting import bundle

DOCTOR = StaffPrincipal(identifier(bytes(range(16))), frozenset({"clinician"}), "Dr Zhao", "Cardiology")
FHIR_JSON = "application/fhir+json"


class Watched:
    """The custody, asked only after ``check`` has let pass."""

    def __init__(self, custody: Any, check: Callable[[CustodyEntry], None]) -> None:
        self._custody = custody
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._custody, name)

    def unwrap_many(self, entry: CustodyEntry, wraps: Sequence[Any]) -> list[Any]:
        self._check(entry)
        opened: list[Any] = self._custody.unwrap_many(entry, wraps)
        return opened


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    opened = start_hospital(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def stored(hospital: Hospital) -> list[RecordRef]:
    return [ref for ref in ingest_fhir(hospital.node, bundle(0), FHIR_JSON, "his").stored if ref.patient is not None]


def logged(hospital: Hospital) -> list[leaves.AccessLeaf]:
    with hospital.node.database.reading() as session:
        rows = session.scalars(select(AccessRow.leaf).order_by(AccessRow.id)).all()
    return [leaf for leaf in map(leaves.parse_access_leaf, rows) if leaf.action in ("read", "search")]


def rows_on_disk(hospital: Hospital) -> set[str]:
    """As another process sees them."""
    with closing(Database(hospital.node.settings.sqlalchemy_url)) as other, other.reading() as session:
        return {leaves.parse_access_leaf(row).id for row in session.scalars(select(AccessRow.leaf))}


def failing_from(monkeypatch: pytest.MonkeyPatch, database: Database, failing: int) -> None:
    """The n-th COMMIT of a row and all later ones meet a full disk."""
    real, calls = database.engine.dialect.do_commit, 0

    def do_commit(connection: Any) -> None:
        nonlocal calls
        if connection.in_transaction and _wrote_a_row(connection):
            calls += 1
            if calls >= failing:
                raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))
        real(connection)

    monkeypatch.setattr(database.engine.dialect, "do_commit", do_commit)


def _wrote_a_row(connection: Any) -> bool:
    with closing(sqlite3.connect(connection.execute("PRAGMA database_list").fetchone()[2])) as other:
        before = other.execute("SELECT count(*) FROM access_row").fetchone()
    return bool(connection.execute("SELECT count(*) FROM access_row").fetchone() > before)


def test_the_row_is_durable_before_the_custody_is_asked_and_names_the_same_event(
    hospital: Hospital, stored: list[RecordRef]
) -> None:
    asked: list[str] = []

    def check(entry: CustodyEntry) -> None:
        assert entry.entry_id in rows_on_disk(hospital)
        asked.append(entry.entry_id)

    node = replace(hospital.node, custody=Watched(hospital.node.custody, check))
    opened = own_reading.read_record(node, DOCTOR, stored[0].record)
    assert opened.content.startswith(b"{")
    (leaf,) = logged(hospital)
    assert asked == [leaf.id]
    assert (leaf.action, leaf.records, leaf.actor) == ("read", (stored[0].record,), DOCTOR.id)
    assert leaf.patient == stored[0].patient == opened.patient


@pytest.mark.sqlite
@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_from_the_nth_failing_commit_on_nothing_is_answered_and_no_key_is_asked_for(
    hospital: Hospital, stored: list[RecordRef], monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    unwrapped: list[str] = []
    watched = Watched(hospital.node.custody, lambda entry: unwrapped.append(entry.entry_id))
    node, answered = replace(hospital.node, custody=watched), []
    failing_from(monkeypatch, node.database, failing)
    for ref in stored[:3]:
        try:
            answered.append(own_reading.read_record(node, DOCTOR, ref.record).record)
        except Unavailable:
            continue
    monkeypatch.undo()
    assert len(answered) == min(failing - 1, 3)
    assert [leaf.records for leaf in logged(hospital)] == [(record,) for record in answered]
    assert unwrapped == [leaf.id for leaf in logged(hospital)]


def test_lists_that_cannot_be_logged_are_not_answered(
    hospital: Hospital, stored: list[RecordRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = stored[0].patient
    assert patient is not None
    failing_from(monkeypatch, hospital.node.database, 1)
    with pytest.raises(Unavailable):
        own_reading.list_records(hospital.node, DOCTOR, patient, None)
    with pytest.raises(Unavailable):
        own_reading.list_people(hospital.node, DOCTOR, None, 10)
    with pytest.raises(Unavailable):
        own_reading.record_entry(hospital.node, DOCTOR, stored[0].record)
    monkeypatch.undo()
    assert logged(hospital) == []


def test_every_read_of_many_threads_has_a_row_of_its_own(hospital: Hospital, stored: list[RecordRef]) -> None:
    wanted = [stored[number % len(stored)].record for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(lambda one: own_reading.read_record(hospital.node, DOCTOR, one), wanted))
    assert [one.record for one in opened] == wanted
    assert sorted(leaf.records for leaf in logged(hospital)) == sorted((one,) for one in wanted)


def test_a_record_of_another_type_is_not_there(hospital: Hospital, stored: list[RecordRef]) -> None:
    with pytest.raises(NotFound):
        own_reading.read_record(hospital.node, DOCTOR, stored[0].record, resource_type="Binary")
    with pytest.raises(NotFound):
        own_reading.read_record(hospital.node, DOCTOR, identifier(bytes(16)))
    assert logged(hospital) == []


def test_asking_for_a_version_that_is_not_there_is_logged_too(hospital: Hospital, stored: list[RecordRef]) -> None:
    with pytest.raises(NotFound):
        own_reading.read_record(hospital.node, DOCTOR, stored[0].record, version=7)
    assert [leaf.records for leaf in logged(hospital)] == [(stored[0].record,)]
