"""The scrub beside an erasure: what goes on purpose is no damage, and what was damage goes with the record."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select

from domain.errors import Unavailable
from domain.identifiers import encode_bytes
from node_service.database.models import BundleSkeleton, RecordVersion
from node_service.erasure import remover
from node_service.records.damage import damaged_objects, note_checked
from node_service.records.scrub import PARTS, check_object, check_objects, objects_after
from tests.unit.node_service.erasure.office import Office


@pytest.fixture
def broken_off(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An erasure that broke off behind the deletion of the objects, of a record that came in a Bundle."""
    office.decide(office.ask(office.record("Observation")).id)

    def fails(*_: Any) -> bool:
        raise Unavailable("the disk is full", reason="database")

    with monkeypatch.context() as patched:
        patched.setattr(remover, "_finish", fails)
        with suppress(Unavailable):
            office.work()
    return office


def objects(office: Office) -> list[str]:
    with office.node.database.reading() as session:
        rows = [*session.scalars(select(RecordVersion.digest)), *session.scalars(select(BundleSkeleton.digest))]
    return [encode_bytes(digest) for digest in rows]


def test_objects_that_are_deleted_before_their_rows_are_not_called_missing(broken_off: Office) -> None:
    gone = [digest for digest in objects(broken_off) if not broken_off.node.blobs.exists(digest)]
    assert len(gone) > 1
    assert check_objects(broken_off.node) == []
    broken_off.work()
    assert check_objects(broken_off.node) == []


def test_what_was_found_damaged_before_is_no_alarm_once_it_is_erased(office: Office) -> None:
    node, record = office.node, office.record("Observation")
    with node.database.reading() as session:
        digest = session.scalars(select(RecordVersion.digest).where(RecordVersion.record == record)).one()
    node.blobs.delete(encode_bytes(digest))
    checked = [(one, check_object(node, part, one)) for part in PARTS for one in objects_after(node, part, "", 100)]
    with node.database.transaction() as session:
        note_checked(session, checked, node.clock.now())
        assert [one.digest for one in damaged_objects(session)] == [digest]
    office.decide(office.ask(record).id)
    office.work()
    with node.database.reading() as session:
        assert damaged_objects(session) == []
