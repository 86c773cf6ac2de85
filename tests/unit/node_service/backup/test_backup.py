"""Backup and restore of a node on the real engines; and that nothing which is left gives an erased record back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from domain import merkle
from domain.errors import Conflict, Invalid, NotFound, Tampered
from domain.identifiers import encode_bytes
from domain.paths import verify_leaf
from domain.ports import CustodyEntry, NoKey
from node_service.access_log import fsck
from node_service.access_log.rows import Entry, record_alone
from node_service.access_log.sequencer import Sequencer
from node_service.backup.continuing import behind_ledger
from node_service.backup.manifest import CUSTODY
from node_service.backup.restoring import restore
from node_service.composition import open_custody
from node_service.database.models import AccessRow, AnchoredHead, LogNode, LogSize, RecordVersion
from node_service.ledger_sync.alarm import alarms
from node_service.ledger_sync.anchorer import append_outbox
from node_service.ledger_sync.incarnations import open_incarnation
from node_service.ledger_sync.projection import covering_head
from node_service.logs.log import Log
from node_service.own_keys import verify_secrets_are_newest
from node_service.records.evidence import leaf_and_path
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from node_service.records.scrubber import Scrubber
from offchain.custody.file_keyring import FileKeyring
from offchain.custody.restoring import CustodyFromSnapshot
from offchain.custody.root_key import read_root_key
from offchain.disk import Disk
from offchain.envelope.keys import DataKey
from offchain.envelope.wraps import KeyBinding, Wrap
from tests.unit.node_service.backup.conftest import LATER, Site
from tests.unit.node_service.records.hospital import MSP_ID, START, MovableClock
from tests.unit.node_service.records.ingesting import bundle
from tests.unit.offchain.sealing import fresh_id
from yilian.backup_commands import make_backup, restore_backup

pytestmark = pytest.mark.sqlite  # PostgreSQL is archived by its own tools


def test_a_lost_node_comes_back_from_backup_and_root_key_and_goes_on(site: Site) -> None:
    records = site.store(1)
    before = site.contents(records)
    released = site.hospital.node.custody.count().released
    backup = site.back_up("first")
    site.escrow()
    site.lose()
    report = site.restore(backup)
    assert (report.records, report.without_key, report.forgotten, report.missing_objects) == (41, (), (), ())
    node = site.open()
    assert site.contents(records) == before
    assert node.custody.count().released == released + len(records)
    assert not behind_ledger(node).needs_incarnation
    more = site.store(2)
    assert len(site.contents(more)) == 40


def test_a_backup_holds_no_key_in_clear(site: Site) -> None:
    site.store(1)
    backup = site.back_up("first")
    site.escrow()
    keyring = json.loads((site.data / "custody" / "keyring.json").read_bytes())
    keys = [entry["secret"] for entry in keyring["keys"]] + [json.loads(site.root_key.read_bytes())["baseKey"]]
    keys += [value for name, value in json.loads((site.data / "node-keys.json").read_bytes()).items() if name != "v"]
    for path in backup.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(key.encode() in content for key in keys), path.name
    assert not list((backup / CUSTODY).glob("key-*"))


def test_records_newer_than_the_last_increment_are_named_and_the_others_open(site: Site) -> None:
    old = site.store(1)
    snapshot = site.folder / "shelf" / "snapshot"
    open_custody(site.settings).snapshot(snapshot)
    new = site.store(2)
    backup = site.back_up("later")
    site.escrow()
    site.lose()
    report = site.restore(backup, custody=snapshot)
    assert set(report.without_key) >= set(new)
    assert not set(report.without_key) & set(old)
    site.open()
    assert len(site.contents(old)) == 40
    with pytest.raises(NotFound):
        open_version(site.hospital.node, new[0])


def test_a_restore_that_is_older_than_the_ledger_says_so_and_goes_on_in_a_new_incarnation(site: Site) -> None:
    site.store(1)
    backup = site.back_up("early")
    later = site.store(2)
    site.contents(later)
    site.hospital.settle()
    site.escrow()
    site.lose()
    site.restore(backup)
    node = site.open()
    behind = behind_ledger(node)
    assert (behind.needs_incarnation, behind.record_leaves) == (True, 40)
    custody = open_custody(site.settings)
    custody.continue_count(fresh_id(), behind.unwraps, LATER)
    assert custody.count().released >= behind.unwraps
    assert open_incarnation(node, "restore") == 2
    site.hospital.settle()
    site.store(3)
    assert not behind_ledger(node).needs_incarnation


def restored_after_losing_rows(site: Site) -> Any:
    """A node whose backup is older than rows that were anchored and keys that were opened, in its next incarnation."""
    site.contents(site.store(1)[:3])
    backup = site.back_up("early")
    site.contents(site.store(2)[:5])
    read_and_anchored(site)
    site.escrow()
    site.lose()
    site.restore(backup)
    node = site.open()
    open_custody(site.settings).continue_count(fresh_id(), behind_ledger(node).unwraps, LATER)
    open_incarnation(node, "restore")
    site.hospital.settle()
    return node


def appended(site: Site, body: bytes) -> list[str]:
    """Take in records; they and two rows are in the logs, and not anchored yet."""
    node = site.hospital.node
    stored = ingest_fhir(node, body, "application/fhir+json", "his").stored
    log_rows(site, 2)
    Sequencer(node).step(site.hospital.clock.now())
    with node.database.transaction() as session:
        append_outbox(session)
    return [one.record for one in stored]


def note() -> bytes:
    """A document, whose leaf also stands on the ledger by its record's id."""
    resource = {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {"title": "x"}}]}
    entries = [{"fullUrl": "urn:uuid:00000000-0000-4000-8000-0000000000aa", "resource": resource}]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


def log_rows(site: Site, count: int) -> None:
    for _ in range(count):
        record_alone(site.hospital.node, Entry("read", site.settings.msp_id, "system", None))


def read_and_anchored(site: Site) -> None:
    log_rows(site, 4)
    site.hospital.clock.advance(11)
    Sequencer(site.hospital.node).step(site.hospital.clock.now())
    site.hospital.settle()


def test_what_the_next_incarnation_gave_up_is_no_finding_and_no_alarm(site: Site) -> None:
    node = restored_after_losing_rows(site)
    scrubber = Scrubber(node)
    while not scrubber.advance(site.hospital.clock.now()).is_finished:
        pass
    with node.database.reading() as session:
        assert alarms(session) == []
    report = fsck.check(node)
    assert report.findings == ()
    assert {(log.log, log.incarnation): log.lost for log in report.logs} == {
        ("access", 1): 4, ("access", 2): 0, ("records", 1): 40, ("records", 2): 0,
    }  # fmt: skip
    read_and_anchored(site)
    assert not behind_ledger(node).needs_incarnation


def rewrite_row(session: Session) -> None:
    """A record's leaf from before the restore, all hashes, and all projected heads that cover it."""
    rows = session.scalars(select(RecordVersion).filter_by(incarnation=1).order_by(RecordVersion.log_index)).all()
    rows[1].leaf = rows[1].leaf[:-1] + b" }"
    rows[1].leaf_hash = merkle.leaf_hash(rows[1].leaf)
    tree = merkle.MemoryTree()
    for row in rows:
        for level, position, value in merkle.completed_subtrees(tree.size, row.leaf_hash, tree.read):
            session.get_one(LogNode, ("records", 1, level, position)).hash = value
        tree.append(row.leaf_hash)
    for head in session.scalars(select(AnchoredHead).filter_by(msp_id=MSP_ID, log="records", incarnation=1)):
        if head.size <= tree.size:
            head.root = tree.root(head.size)


def rewrite_row_and_hide_heads(session: Session) -> None:
    rewrite_row(session)
    session.execute(delete(AnchoredHead).filter_by(msp_id=MSP_ID, log="records", incarnation=1))


def rewrite_row_and_move_heads(session: Session) -> None:
    """The projection names a later block, where the heads are beyond what is held."""
    rewrite_row(session)
    heads = select(func.max(AnchoredHead.block)).filter_by(msp_id=MSP_ID, incarnation=1)
    last = session.scalar(heads) or 0
    session.execute(update(AnchoredHead).filter_by(msp_id=MSP_ID, log="records", incarnation=1).values(block=last))


@pytest.mark.parametrize("damage", [rewrite_row, rewrite_row_and_hide_heads, rewrite_row_and_move_heads])
def test_what_is_held_of_a_former_incarnation_is_compared_with_the_ledger_itself(
    site: Site, damage: Callable[[Session], None]
) -> None:
    """The projected heads lie in the same database as the rows."""
    node = restored_after_losing_rows(site)
    with node.database.transaction() as session:
        damage(session)
    assert [(one.log, one.incarnation, one.reason) for one in fsck.check(node).findings] == [("records", 1, "root")]
    scrubber = Scrubber(node)
    while not scrubber.advance(site.hospital.clock.now()).is_finished:
        pass
    with node.database.reading() as session:
        assert [(one.name, one.reason) for one in alarms(session)] == [("anchorer", "root")]


def test_leaves_whose_proof_needs_lost_ones_are_anchored_again_in_the_next_incarnation(site: Site) -> None:
    """Their first head on the ledger covers leaves that were appended after the backup."""
    first = site.store(1)
    unproven = appended(site, bundle(2)) + appended(site, note())
    backup = site.back_up("between-appending-and-anchoring")
    appended(site, bundle(3))
    read_and_anchored(site)
    site.escrow()
    site.lose()
    site.restore(backup)
    node = site.open()
    assert open_incarnation(node, "restore") == 2
    read_and_anchored(site)
    with node.database.reading() as session:
        for record in (*first, *unproven):
            leaf, path = leaf_and_path(node, session, record, 1)
            assert path is not None
            assert path.incarnation == (1 if record in first else 2)
            head = session.get(AnchoredHead, (node.msp_id, path.incarnation, "records", path.size))
            assert head is not None
            verify_leaf(leaf, path, encode_bytes(head.root))
        for row in session.scalars(select(AccessRow).where(AccessRow.log_index.is_not(None))):
            assert row.incarnation is not None
            assert row.log_index is not None
            covering = covering_head(session, node.msp_id, row.incarnation, "access", row.log_index)
            assert covering is not None
            Log(session, "access", row.incarnation).inclusion(row.log_index, covering.size)
    assert fsck.check(node).findings == ()


def test_more_leaves_than_the_next_incarnation_gave_up_are_missed(site: Site) -> None:
    node = restored_after_losing_rows(site)
    with node.database.transaction() as session:
        session.execute(update(LogSize).filter_by(log="records", incarnation=1).values(size=39))
        last = session.scalars(select(RecordVersion).filter_by(incarnation=1, log_index=39)).one()
        last.incarnation = last.log_index = None
    assert [(one.log, one.incarnation, one.reason) for one in fsck.check(node).findings] == [
        ("records", 1, "missing-leaf")
    ]
    scrubber = Scrubber(node)
    while not scrubber.advance(site.hospital.clock.now()).is_finished:
        pass
    with node.database.reading() as session:
        assert [(one.name, one.reason) for one in alarms(session)] == [("anchorer", "log-behind")]


def test_objects_that_are_not_in_the_backup_are_named(site: Site) -> None:
    records = site.store(1)
    backup = site.back_up("listed", objects=False)
    listed = (backup / "objects.txt").read_text().split()
    assert not (backup / "objects").exists()
    site.escrow()
    site.hospital.close()
    kept = site.folder / "kept"
    shutil.move(site.data / "objects", kept)
    shutil.rmtree(site.data)
    assert sorted(site.restore(backup).missing_objects) == listed
    shutil.rmtree(site.data / "objects")
    shutil.move(kept, site.data / "objects")
    site.open()
    assert len(site.contents(records)) == 40


@pytest.mark.parametrize("name", ["node.db", "identity.sealed", "objects.txt", "custody.log", "manifest.json"])
def test_an_altered_backup_is_not_restored(site: Site, name: str) -> None:
    site.contents(site.store(1)[:1])
    backup = site.back_up("first")
    site.escrow()
    site.lose()
    whole = bytearray((backup / name).read_bytes())
    for position in (0, len(whole) // 2, len(whole) - 2):
        altered = whole.copy()
        altered[position] ^= 1
        (backup / name).write_bytes(altered)
        with pytest.raises(Tampered):
            site.restore(backup)
        assert not list(site.folder.glob("*data*")) + list(site.folder.glob(".data*"))
    (backup / name).write_bytes(whole)
    site.restore(backup)
    site.open()


@pytest.mark.parametrize("part", ["base-1", "increments-1"])
def test_an_altered_snapshot_is_not_restored(site: Site, part: str) -> None:
    site.store(1)
    backup = site.back_up("first")
    site.escrow()
    site.lose()
    content = bytearray((backup / CUSTODY / part).read_bytes())
    content[-1] ^= 1
    (backup / CUSTODY / part).write_bytes(content)
    with pytest.raises(Tampered):
        site.restore(backup)
    assert not list(site.folder.glob("*data*"))
    assert not list(site.folder.glob(".data*"))


def test_a_restore_never_overwrites_and_a_backup_neither(site: Site) -> None:
    site.store(1)
    backup = site.back_up("first")
    site.escrow()
    with pytest.raises(Conflict) as caught:
        site.restore(backup)
    assert caught.value.reason == "not-empty"
    with pytest.raises(Conflict):
        site.back_up("first")
    with pytest.raises(NotFound):
        site.restore(site.folder / "shelf" / "none")


def test_a_backup_that_broke_off_is_none(site: Site) -> None:
    site.store(1)
    backup = site.back_up("first")
    site.escrow()
    (backup / "manifest.json").unlink()
    with pytest.raises(NotFound):
        site.restore(backup)
    with pytest.raises(Conflict):
        site.back_up("first")
    shutil.rmtree(backup)
    site.back_up("first")


def test_what_lies_in_the_folder_already_does_not_become_a_part_of_a_backup(site: Site) -> None:
    folder = site.folder / "shelf" / "planted"
    folder.mkdir(parents=True)
    (folder / "node.db").write_bytes(b"planted")
    with pytest.raises(Conflict) as caught:
        site.back_up("planted")
    assert caught.value.reason == "not-empty"
    assert [path.name for path in folder.iterdir()] == ["node.db"]


def test_a_restore_by_a_clock_that_is_behind_does_not_keep_the_node_from_starting(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the restore lost was stored later than its clock says."""
    site.store(1)
    snapshot = site.folder / "shelf" / "snapshot"
    open_custody(site.settings).snapshot(snapshot)
    site.store(2)
    backup = site.back_up("later")
    site.escrow()
    site.lose()
    monkeypatch.setattr("yilian.backup_commands.SystemClock", lambda: MovableClock(START - timedelta(days=1)))
    assert site.restore(backup, custody=snapshot).without_key
    node = site.open()
    with node.database.rows() as connection:
        verify_secrets_are_newest(connection, node.custody)


def test_another_hospitals_settings_are_refused(site: Site) -> None:
    backup = site.back_up("first")
    site.escrow()
    site.lose()
    foreign = site.settings.model_copy(update={"msp_id": "HuashanMSP"})
    snapshot = CustodyFromSnapshot(read_root_key(site.root_key, Disk()), backup / CUSTODY)
    with pytest.raises(Conflict) as caught:
        restore(foreign, backup, snapshot, "custody", lambda _: tuple, LATER)
    assert caught.value.reason == "other-hospital"
    site.restore(backup)
    site.open()


@pytest.mark.parametrize("url", ["mysql://nowhere/yilian", "sqlite://", "sqlite:///"])
def test_a_database_that_no_backup_knows_is_refused(site: Site, url: str) -> None:
    foreign = site.settings.model_copy(update={"database_url": url})
    with pytest.raises(Invalid) as refused:
        make_backup(foreign, site.folder / "shelf" / "x", objects=False)
    assert refused.value.place == "YILIAN_DATABASE_URL"


def test_a_backup_with_a_database_is_not_restored_over_a_server(site: Site) -> None:
    site.store(1)
    backup = site.back_up("first")
    site.escrow()
    site.lose()
    foreign = site.settings.model_copy(update={"database_url": "postgresql://nowhere/yilian"})
    with pytest.raises(Invalid) as refused:
        restore_backup(foreign, backup, site.root_key, None)
    assert refused.value.reason == "database"
    assert not site.data.exists()
    site.restore(backup)
    site.open()


def _rows(database: Path) -> list[tuple[KeyBinding, Wrap]]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT v.object_id, v.record, v.version, w.wrap FROM wrap w JOIN record_version v"
            " ON v.record = w.record AND v.version = w.version WHERE w.recipient = 'custodian'"
        ).fetchall()
    return [(KeyBinding(*row[:3]), Wrap.parse(row[3])) for row in rows]


def _opens(custody: FileKeyring, rows: list[tuple[KeyBinding, Wrap]]) -> set[str]:
    entry = CustodyEntry(fresh_id(), "read", len(rows), LATER)
    keys = custody.unwrap_many(entry, rows)
    assert all(isinstance(key, DataKey | NoKey) for key in keys)
    return {row[0].record_id for row, key in zip(rows, keys, strict=True) if isinstance(key, DataKey)}


def test_whatever_is_left_and_the_present_root_key_give_no_erased_record_back(site: Site) -> None:
    """Raw database with its log, custody folder, backups of before and after, and the root key of now."""
    records = site.store(1)
    erased, kept = set(records[:7]), set(records[7:])
    before = site.back_up("before-the-erasure")
    raw = site.folder / "raw"
    shutil.copytree(site.data, raw)
    rows = _rows(before / "node.db")
    assert {row[0].record_id for row in rows} == erased | kept
    custody = open_custody(site.settings)
    custody.forget(sorted(erased), LATER)
    custody.rekey(LATER)
    after = site.back_up("after-the-erasure")
    site.escrow()
    root = read_root_key(site.root_key, Disk())

    assert _opens(custody, rows) == kept
    (raw / "empty.log").write_bytes(b"")
    with pytest.raises(Conflict):
        CustodyFromSnapshot(root, before / CUSTODY).restore(site.folder / "x", raw / "empty.log", LATER)
    forced = CustodyFromSnapshot(type(root)(_base_id(before / CUSTODY), root.base_key, root.keyring), before / CUSTODY)
    with pytest.raises(Tampered):
        forced.restore(site.folder / "y", raw / "empty.log", LATER)
    restored = CustodyFromSnapshot(root, after / CUSTODY).restore(site.folder / "z", raw / "empty.log", LATER)
    assert _opens(restored, rows) == kept
    assert set(restored.standing(sorted(erased))) == {"forgotten"}

    site.lose()
    report = site.restore(before, custody=after / CUSTODY)
    assert erased <= set(report.forgotten)
    site.open()
    for record in erased:
        with pytest.raises(NotFound):
            open_version(site.hospital.node, record)
    assert len(site.contents(sorted(kept))) == len(kept)


def _base_id(snapshot: Path) -> str:
    content = (snapshot / "base-1").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[4:8], "big")])
    return str(header["baseId"])
