"""The background scrub: what is damaged is named, alone; it is paced, and goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.errors import NotFound, Tampered
from domain.identifiers import decode_bytes, encode_bytes
from node_service.access_log.rows import Entry, record_alone
from node_service.access_log.sequencer import Sequencer
from node_service.context import Node
from node_service.database.models import AccessRow, AnchoredHead, LogNode, LogSize, Notice, RecordVersion
from node_service.ledger_sync.alarm import alarms
from node_service.logs.scrub import verify_window
from node_service.records import scrubber
from node_service.records.damage import damaged_objects
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from node_service.records.scrub import ObjectFinding, ReferredObject, check_object
from node_service.records.scrubber import LEAST_PAUSE, LOAD, PASS_EVERY, Progress, Scrubber
from tests.unit.node_service.records.hospital import Hospital
from tests.unit.node_service.records.ingesting import RESOURCES, bundle

ROWS = 20
OBJECTS = RESOURCES + 1
MAX_PIECES = 200


@pytest.fixture
def kept(hospital: Hospital) -> Hospital:
    """A hospital with a Bundle's records and some access rows, all anchored."""
    report = ingest_fhir(hospital.node, bundle(1), "application/fhir+json", "his")
    assert len(report.stored) == RESOURCES
    for _ in range(ROWS):
        record_alone(hospital.node, Entry("search", hospital.node.msp_id, "system"))
    Sequencer(hospital.node).step(hospital.clock.now())
    hospital.clock.advance(11)
    hospital.settle()
    return hospital


def whole_pass(hospital: Hospital, subject: Scrubber | None = None, *, anew: bool = True) -> Progress:
    subject = subject or Scrubber(hospital.node)
    for _ in range(MAX_PIECES):
        progress = subject.advance(hospital.clock.now(), anew=anew)
        anew = False
        if progress.is_finished:
            return progress
    raise AssertionError("the pass does not end")


def object_file(hospital: Hospital, digest: str) -> Path:
    (found,) = (hospital.node.settings.data_dir / "objects").rglob(decode_bytes(digest, "digest").hex())
    return found


def versions(hospital: Hospital) -> list[tuple[str, str]]:
    with hospital.node.database.reading() as session:
        rows = session.execute(select(RecordVersion.record, RecordVersion.digest).order_by(RecordVersion.object_id))
        return [(record, encode_bytes(digest)) for record, digest in rows]


def damaged(hospital: Hospital) -> list[tuple[str, str]]:
    with hospital.node.database.reading() as session:
        return [(one.reason, one.row) for one in damaged_objects(session)]


def standing(hospital: Hospital) -> list[tuple[str, str, str]]:
    with hospital.node.database.reading() as session:
        return [(one.name, one.reason, one.place) for one in alarms(session)]


def test_a_whole_pass_reads_every_object_and_every_leaf_and_finds_nothing(kept: Hospital) -> None:
    progress = whole_pass(kept)
    assert (progress.objects, progress.leaves) == (OBJECTS, RESOURCES + ROWS)
    assert damaged(kept) == []
    assert standing(kept) == []


@pytest.mark.parametrize("reason", ["object-altered", "missing"])
def test_a_reader_who_meets_a_damaged_object_has_it_named_at_once_and_once(kept: Hospital, reason: str) -> None:
    record, digest = versions(kept)[3]
    path = object_file(kept, digest)
    if reason == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[-20] ^= 1
        path.chmod(0o600)
        path.write_bytes(content)
    for _ in range(2):
        with pytest.raises((NotFound, Tampered)):
            open_version(kept.node, record)
    assert damaged(kept) == [(reason, f"record {record}")]
    with kept.node.database.reading() as session:
        assert len(list(session.scalars(select(Notice).filter_by(event="object-damaged")))) == 1


def test_a_damaged_object_is_named_alone_and_the_others_go_on(kept: Hospital) -> None:
    record, digest = versions(kept)[3]
    path = object_file(kept, digest)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    whole_pass(kept)
    whole_pass(kept)
    assert damaged(kept) == [("object-altered", f"record {record}")]
    assert standing(kept) == []
    with kept.node.database.reading() as session:
        (notice,) = session.scalars(select(Notice).filter_by(event="object-damaged"))
        assert (notice.recipient, notice.references) == (
            "role:system-administrator",
            [f"record {record}", "object-altered"],
        )
    for other, _ in versions(kept):
        if other == record:
            with pytest.raises(Tampered):
                open_version(kept.node, other)
        else:
            assert open_version(kept.node, other).content
    content[-20] ^= 1
    path.write_bytes(content)
    whole_pass(kept)
    assert damaged(kept) == []


def test_a_missing_object_is_named(kept: Hospital) -> None:
    record, digest = versions(kept)[0]
    kept.node.blobs.delete(digest)
    whole_pass(kept)
    assert damaged(kept) == [("missing", f"record {record}")]


def test_it_goes_on_where_it_was_after_a_restart(kept: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubber, "MAX_OBJECTS_PER_STEP", 4)
    looked: list[str] = []

    def counted(node: Node, part: str, one: ReferredObject) -> ObjectFinding | None:
        looked.append(one.object_id)
        return check_object(node, part, one)

    monkeypatch.setattr(scrubber, "check_object", counted)
    for _ in range(5):
        Scrubber(kept.node).step(kept.clock.now())
    assert len(looked) == 20
    whole_pass(kept, anew=False)
    assert len(looked) == len(set(looked)) == OBJECTS


def test_it_rests_longer_than_it_works_and_a_day_between_passes(kept: Hospital) -> None:
    ticks = iter(range(0, 10_000, 3))
    subject = Scrubber(kept.node, timer=lambda: float(next(ticks)))
    now = kept.clock.now()
    assert subject.step(now) == now + timedelta(seconds=3 / LOAD)
    assert Scrubber(kept.node, timer=lambda: 0.0).step(now) == now + LEAST_PAUSE
    whole_pass(kept)
    later = now + timedelta(hours=3)
    assert Scrubber(kept.node).step(later) - now >= PASS_EVERY - timedelta(minutes=1)


# --- Logs -----------------------------------------------------------------------------------------------------------


def flip_leaf(session: Session) -> None:
    row = session.scalars(select(AccessRow).where(AccessRow.log_index == 5)).one()
    row.leaf = row.leaf[:-3] + bytes([row.leaf[-3] ^ 1]) + row.leaf[-2:]


def flip_node(session: Session) -> None:
    node = session.get_one(LogNode, ("records", 1, 2, 3))
    node.hash = bytes([node.hash[0] ^ 1]) + node.hash[1:]


def flip_leaf_hash(session: Session) -> None:
    version = session.scalars(select(RecordVersion).where(RecordVersion.log_index == 2)).one()
    version.leaf_hash = bytes(32)


def remove_row(session: Session) -> None:
    session.delete(session.scalars(select(AccessRow).where(AccessRow.log_index == 5)).one())


def alter_head(session: Session) -> None:
    head = session.scalars(select(AnchoredHead).filter_by(log="records").where(AnchoredHead.size > 0)).first()
    assert head is not None
    head.root = bytes(32)


def cut(session: Session) -> None:
    """Shorter than the ledger knows it, and the projection with it."""
    session.get_one(LogSize, ("access", 1)).size = 7
    for head in session.scalars(select(AnchoredHead).filter_by(log="access").where(AnchoredHead.size > 7)):
        session.delete(head)


@pytest.mark.parametrize(
    ("damage", "reason", "place"),
    [
        (flip_leaf, "log-node", "access/1 leaf 5 access row 6"),
        (flip_node, "log-node", "records/1 leaf 15 record "),
        (flip_leaf_hash, "altered-leaf", "records/1 leaf 2 record "),
        (remove_row, "missing-leaf", "access/1 leaf 5"),
        (alter_head, "root", "records/1 leaf "),
        (cut, "log-behind", "access/1 size "),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_flipped_bit_in_a_log_is_named_and_stops_anchoring(
    kept: Hospital, damage: Callable[[Session], None], reason: str, place: str
) -> None:
    with kept.node.database.transaction() as session:
        damage(session)
    whole_pass(kept)
    ((name, found, where),) = standing(kept)
    assert (name, found) == ("anchorer", reason)
    assert where.startswith(place)
    height = kept.ledger.height()
    ingest_fhir(kept.node, json.dumps({"resourceType": "Patient"}).encode(), "application/fhir+json", "other")
    kept.clock.advance(20)
    kept.settle()
    assert kept.ledger.height() == height


def test_an_anchor_that_lands_while_a_log_is_read_is_no_damage(kept: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy node anchors several times a second; a false alarm would stop its anchors and releases."""

    def verify_slowly(session: Session, msp_id: str, log: str, incarnation: int, begin: int) -> int:
        count = verify_window(session, msp_id, log, incarnation, begin)
        height = kept.ledger.height()
        for _ in range(2):
            record_alone(kept.node, Entry("search", kept.node.msp_id, "system"))
        ingest_fhir(kept.node, bundle(height), "application/fhir+json", "his")
        Sequencer(kept.node).step(kept.clock.now())
        kept.clock.advance(11)
        kept.settle()
        assert kept.ledger.height() > height
        return count

    monkeypatch.setattr("node_service.records.scrubber.verify_window", verify_slowly)
    whole_pass(kept)
    assert standing(kept) == []


def test_windows_join_over_many_leaves(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(130):
        record_alone(hospital.node, Entry("search", hospital.node.msp_id, "system"))
    Sequencer(hospital.node).step(hospital.clock.now())
    for module in ("node_service.logs.scrub", "node_service.records.scrubber"):
        monkeypatch.setattr(f"{module}.WINDOW_LEAVES", 8)
    assert whole_pass(hospital).leaves == 130
    with hospital.node.database.transaction() as session:
        top = session.get_one(LogNode, ("access", 1, 6, 0))
        top.hash = bytes(32)
    whole_pass(hospital)
    assert standing(hospital)[0][1:] == ("log-node", "access/1 leaf 63 access row 64")
