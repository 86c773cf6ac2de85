"""Every call that can fail fails once: what was answered is written down, what was refused can be asked again."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from domain import leaves
from domain.errors import Unavailable, YilianError
from domain.identifiers import encode_bytes
from node_service.access_log import fsck
from node_service.access_log.sequencer import Sequencer
from node_service.client import exchange_wire, wire
from node_service.context import Node
from node_service.database.models import AccessRow, Record, RecordVersion
from node_service.own_reading import read_record
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from node_service.sharing import accesses, release
from node_service.sharing.accesses import own_opening
from node_service.staff.principal import StaffPrincipal
from offchain.custody.file_keyring import FileKeyring
from offchain.stores.local import LocalStore
from tests.faults.node.failing import MOST_CALLS, Countdown, FailingDisk, fail_database
from tests.unit.node_service.records.hospital import Hospital, start_hospital
from tests.unit.node_service.sharing.conftest import Story, begin_story
from tests.unit.node_service.sharing.consortium import A, B, doctor, found_consortium, run

READER = StaffPrincipal("a" * 26, frozenset({"clinician"}), "Reader")


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    opened = start_hospital(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    consortium = found_consortium(tmp_path, (A, B))
    yield begin_story(consortium)
    consortium.close()


def observation(number: int) -> bytes:
    resource = {
        "resourceType": "Observation", "id": f"o{number}", "status": "final", "code": {"text": f"finding {number}"},
    }  # fmt: skip
    return json.dumps(resource).encode()


def each_call(countdown: Countdown, attempt: Callable[[int], None]) -> int:
    """Let the first call fail, then the second, and so on, until nothing fails any more; return how many there are."""
    for n in range(1, MOST_CALLS):
        with countdown.armed(n):
            attempt(n)
        if not countdown.failed:
            return n - 1
    raise AssertionError("there is no end of calls")


def rows_that_name(node: Node, record: str, action: str) -> int:
    with node.database.reading() as session:
        found = [leaves.parse_access_leaf(leaf) for leaf in session.scalars(select(AccessRow.leaf))]
    return sum(row.action == action and record in row.records for row in found)


def test_whichever_statement_of_the_database_fails_no_read_is_answered_without_its_row(hospital: Hospital) -> None:
    record = ingest_fhir(hospital.node, observation(0), "application/fhir+json", "his").stored[0].record
    countdown = Countdown()
    fail_database(hospital.node.database, countdown)
    answered = 0

    def attempt(_n: int) -> None:
        nonlocal answered
        try:
            opened = read_record(hospital.node, READER, record)
        except Unavailable:
            return
        answered += 1
        assert b"finding 0" in opened.content

    calls = each_call(countdown, attempt)
    assert calls >= 3
    assert answered == 1
    assert rows_that_name(hospital.node, record, "read") >= answered


def test_whichever_statement_of_the_database_fails_nothing_is_half_stored_and_the_input_comes_in_once(
    hospital: Hospital,
) -> None:
    countdown = Countdown()
    fail_database(hospital.node.database, countdown)
    calls = each_call(countdown, lambda n: taken_in(hospital, n))
    assert calls >= 5
    check_whole(hospital, calls + 1)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["io-error", "full"])
@pytest.mark.parametrize("place", ["objects", "custody"])
def test_whichever_write_or_sync_of_the_disk_fails_nothing_acknowledged_is_lost(
    hospital: Hospital, place: str, number: int
) -> None:
    countdown = Countdown()
    disk, data = FailingDisk(countdown, number), hospital.node.settings.data_dir
    if place == "objects":
        hospital.node = replace(hospital.node, blobs=LocalStore(data / "objects", disk=disk))
        calls = each_call(countdown, lambda n: taken_in(hospital, n))
    else:
        record = ingest_fhir(hospital.node, observation(0), "application/fhir+json", "his").stored[0].record
        hospital.node = replace(hospital.node, custody=FileKeyring(data / "custody", disk))
        calls = each_call(countdown, lambda _n: read_or_refused(hospital, record))
        assert hospital.node.custody.count().released == 1
    hospital.restart()
    assert calls >= 2
    check_whole(hospital, calls + 1 if place == "objects" else 1)


def taken_in(hospital: Hospital, number: int) -> None:
    """Sent once while something fails, and again until it is in."""
    try:
        ingest_fhir(hospital.node, observation(number), "application/fhir+json", "his")
    except Unavailable:
        again = ingest_fhir(hospital.node, observation(number), "application/fhir+json", "his")
        assert len(again.stored) + again.unchanged == 1


def read_or_refused(hospital: Hospital, record: str) -> None:
    try:
        assert b"finding" in open_version(hospital.node, record).content
    except Unavailable:
        return


def check_whole(hospital: Hospital, records: int) -> None:
    """Every resource is there once, opens, is anchored; the logs verify."""
    hospital.clock.advance(11)
    Sequencer(hospital.node).step(hospital.clock.now())
    hospital.settle(8)
    with hospital.node.database.reading() as session:
        held = session.scalars(select(Record.id)).all()
        unplaced = session.execute(
            select(func.count()).select_from(RecordVersion).where(RecordVersion.log_index.is_(None))
        ).scalar_one()
    assert (len(held), unplaced) == (records, 0)
    for record in held:
        assert b"finding" in open_version(hospital.node, record).content
    assert fsck.check(hospital.node).findings == ()


def test_whichever_statement_of_the_custodians_database_fails_no_key_leaves_without_its_row(story: Story) -> None:
    custodian, reader, who = story.consortium[A].node, story.consortium[B].node, doctor()
    grant = story.wallet.share(story.consortium[B])
    access = run(
        accesses.open_access(
            reader, who, wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT")
        )
    ).id
    with reader.database.reading() as session:
        opening = own_opening(reader, session, who.id, access)
    record = story.records["Observation"].record
    body = exchange_wire.ExchangeRelease(
        opening=opening.wire(), public_key=encode_bytes(opening.private_key.public.raw), records=[record]
    )
    countdown = Countdown()
    fail_database(custodian.database, countdown)
    answered = 0

    def attempt(_n: int) -> None:
        nonlocal answered
        try:
            released = run(release.release(custodian, B, body))
        except YilianError as error:
            assert isinstance(error, Unavailable), error  # noqa: PT017 - any other error would hide the fault
            return
        answered += 1
        assert next(item.entry.record for item in released.items) == record

    calls = each_call(countdown, attempt)
    assert calls >= 8
    assert answered == 1
    assert rows_that_name(custodian, record, "release") == answered
