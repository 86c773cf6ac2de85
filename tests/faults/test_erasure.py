"""Erasure under faults: killed between every two steps it ends the same; afterwards no copy of anything opens."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from domain.errors import NotFound
from domain.identifiers import identifier
from domain.instants import instant
from domain.ports import CustodyEntry, NoKey
from network.embedded.export import export
from node_service.access_log import fsck
from node_service.erasure.remover import Remover
from node_service.records.reading import open_version, version_keys
from offchain.envelope.keys import DataKey
from offchain.envelope.wraps import KeyBinding, Wrap
from tests.faults.node.erasing_node import STEPS, open_office
from tests.unit.node_service.erasure.office import KEEP_NOTHING, Office
from tests.unit.node_service.records.hospital import MovableClock
from tests.unit.node_service.sharing.conftest import begin_story
from tests.unit.node_service.sharing.consortium import A, B, found_consortium, open_consortium
from yilian.audit_export import verify_folder

ROOT = Path(__file__).resolve().parents[2]
SEED = "synthetic hypertension"


@dataclass(frozen=True)
class Asked:
    """A case that the patient asked for, closed on disk: its record was released to B."""

    directory: Path
    at: datetime
    patient: str
    case: str
    record: str

    def copy(self, directory: Path) -> Path:
        shutil.copytree(self.directory, directory)
        return directory

    def open(self, directory: Path, later: timedelta = timedelta()) -> Office:
        return open_office(directory, self.at + later, self.patient, str(directory / "rules.toml"))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    directory = tmp_path_factory.mktemp("asked")
    (directory / "rules.toml").write_text(KEEP_NOTHING)
    founded = found_consortium(directory, retention_file=str(directory / "rules.toml"))
    office = Office(begin_story(founded))
    office.share()
    record = office.record("Condition")
    case = office.ask(record).id
    founded.follow()
    founded.close()
    return Asked(directory, founded.clock.at, office.patient, case, record)


def die_at(step: str, asked: Asked, directory: Path) -> None:
    command = [
        sys.executable, "-m", "tests.faults.node.erasing_node", str(directory), asked.at.isoformat(), asked.patient,
        asked.case, step,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -9, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_ends_in_one_whole_erasure(asked: Asked, tmp_path: Path, step: str) -> None:
    directory = asked.copy(tmp_path / "hospitals")
    die_at(step, asked, directory)
    office = asked.open(directory, timedelta(minutes=2))
    if office.case(asked.case).decided_at is None:
        office.decide(asked.case)
    office.work(6)
    check_erased(office, asked)
    office.story.consortium.close()


def check_erased(office: Office, asked: Asked) -> None:
    node = office.node
    (item,) = office.case(asked.case).items
    assert (item.state, [one.msp_id for one in item.attested], item.missing) == ("erased", [B], [])
    assert office.case(asked.case).certificate is not None
    with pytest.raises(NotFound):
        open_version(node, asked.record)
    assert node.custody.forgotten(asked.record) is not None
    with node.database.reading() as session:
        for table in ("wrap", "member", "record_token", "bundle_entry"):
            count = session.execute(text(f"SELECT count(*) FROM {table} WHERE record = :r"), {"r": asked.record})  # noqa: S608
            assert count.scalar_one() == 0, table
        assert session.execute(text("SELECT count(*) FROM release_notice")).scalar_one() == 1
        assert session.execute(text("SELECT count(*) FROM erasure_item")).scalar_one() == 1
        erasures = text("SELECT count(*) FROM ledger_transaction WHERE name = 'EraseRecord' AND code = 'VALID'")
        assert session.execute(erasures).scalar_one() >= 1
        assert session.execute(text("SELECT count(*) FROM alarm")).scalar_one() == 0
    told = office.story.consortium[B].node
    with told.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM received_notice")).scalar_one() == 1
    assert fsck.check(node).findings == ()


# --- Nothing gives it back ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def before_and_after(asked: Asked, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, Office]]:
    """A whole backup from before, and the hospital after the erasure."""
    folder = tmp_path_factory.mktemp("erased")
    before, after = asked.copy(folder / "before"), asked.copy(folder / "after")
    office = asked.open(after, timedelta(minutes=2))
    office.decide(asked.case)
    office.work(6)
    check_erased(office, asked)
    yield before, after, office
    office.story.consortium.close()


def is_in(value: bytes, content: bytes) -> bool:
    """By two pieces of its end, since a long value may be torn over two pages; wraps begin alike."""
    return value[-16:] in content or (len(value) > 48 and value[-32:-16] in content)


def files_of(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_neither_tokens_nor_wraps_nor_splices_of_the_record_are_left_in_database_or_log(
    asked: Asked, before_and_after: tuple[Path, Path, Office]
) -> None:
    before, after, office = before_and_after
    Remover(office.node).step(office.node.clock.now())
    with closing(sqlite3.connect(before / A / "node.db")) as database:
        rows = [
            *database.execute("SELECT wrap FROM wrap WHERE record = ?", (asked.record,)),
            *database.execute("SELECT undo FROM record_version WHERE record = ?", (asked.record,)),
            *database.execute("SELECT content_token FROM record_version WHERE record = ?", (asked.record,)),
            *database.execute("SELECT token FROM record_token WHERE record = ?", (asked.record,)),
            *database.execute("SELECT wrap FROM bundle_skeleton"),
        ]
        kept = database.execute("SELECT source_token FROM record WHERE id = ?", (asked.record,)).fetchone()
        held = [bytes(row[0]) for row in rows if row[0] not in (None, *kept)]  # ADR 0013: the identity of input stays
    assert len(held) >= 5
    old = (before / A / "node.db").read_bytes()
    assert all(is_in(value, old) for value in held), "the search itself does not find what is there"
    left = {path: content for path, content in files_of(after / A).items() if path.name.startswith("node.db")}
    assert left
    found = {path.name for value in held for path, content in left.items() if is_in(value, content)}
    assert found == set()


def test_a_restored_database_and_store_with_the_present_keys_open_nothing_of_it(
    asked: Asked, before_and_after: tuple[Path, Path, Office], tmp_path: Path
) -> None:
    before, after, office = before_and_after
    restored = tmp_path / "restored"
    shutil.copytree(before, restored)
    shutil.rmtree(restored / A / "custody")
    shutil.copytree(after / A / "custody", restored / A / "custody")
    opened = open_consortium(restored, MovableClock(office.node.clock.now()))
    node = opened[A].node
    with pytest.raises(NotFound) as refused:
        open_version(node, asked.record)
    assert refused.value.reason == "no-key"
    entry = CustodyEntry(identifier(os.urandom(16)), "read", 1, instant(node.clock.now()))
    for record, binding, wrap in wraps_of(before):
        (key,) = node.custody.unwrap_many(entry, [(binding, wrap)])
        assert isinstance(key, NoKey) == (record in forgotten(office)), record
    opened.close()


def wraps_of(directory: Path) -> list[tuple[str, KeyBinding, Wrap]]:
    """Every custodian's wrap of a database: of records, and of what is left of Bundles."""
    query = """
        SELECT w.record, v.object_id, w.version, w.wrap FROM wrap w
        JOIN record_version v ON v.record = w.record AND v.version = w.version WHERE w.recipient = 'custodian'
        UNION ALL SELECT id, object_id, 1, wrap FROM bundle_skeleton
    """
    with closing(sqlite3.connect(directory / A / "node.db")) as database:
        rows = database.execute(query).fetchall()
    return [(row[0], KeyBinding(row[1], row[0], row[2]), Wrap.parse(row[3])) for row in rows]


def forgotten(office: Office) -> set[str]:
    """The erased record, and the Bundle that it came in."""
    with office.node.database.reading() as session:
        erased = session.execute(text("SELECT id FROM record WHERE status = 'erased'")).scalars().all()
        bundles = session.execute(text("SELECT id FROM bundle_skeleton")).scalars().all()
    assert bundles == []
    gone = {record for record, _, _ in wraps_of_before(office) if office.node.custody.forgotten(record) is not None}
    assert set(erased) < gone
    return gone


def wraps_of_before(office: Office) -> list[tuple[str, KeyBinding, Wrap]]:
    """What the backup beside this hospital's folder holds."""
    return wraps_of(office.node.settings.data_dir.parents[1] / "before")


def test_no_file_holds_the_data_key_or_the_text(
    asked: Asked, before_and_after: tuple[Path, Path, Office], tmp_path: Path
) -> None:
    before, after, _ = before_and_after
    copied = tmp_path / "copy"
    shutil.copytree(before, copied)
    opened = open_consortium(copied, MovableClock(asked.at))
    (held,) = version_keys(opened[A].node, [(asked.record, 1)], purpose="read")
    assert SEED.encode() in open_version(opened[A].node, asked.record).content
    opened.close()
    assert isinstance(held.key, DataKey)
    for path, content in files_of(after).items():
        assert held.key.reveal() not in content, path.name
        assert SEED.encode() not in content, path.name


def test_the_ledger_verifies_and_replays_after_it(before_and_after: tuple[Path, Path, Office], tmp_path: Path) -> None:
    _, after, office = before_and_after
    office.hospital.settle()
    export(after / "ledger", tmp_path / "export")
    assert verify_folder(tmp_path / "export", None).replayed > 0
    assert fsck.check(office.node).findings == ()
