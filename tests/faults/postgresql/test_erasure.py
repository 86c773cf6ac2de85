"""An erasure on PostgreSQL: data folder, log files and an older base backup give nothing back with the present keys.

What they do show of the record is exactly what docs/operations.md lists.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import LargeBinary

from domain.errors import Conflict, NotFound, Tampered
from domain.identifiers import identifier
from domain.instants import instant
from domain.ports import CustodyEntry, NoKey
from network.embedded.export import export
from node_service.access_log import fsck
from node_service.database.models import Base
from node_service.records.reading import open_version, version_keys
from offchain.custody.file_keyring import FileKeyring
from offchain.custody.restoring import CustodyFromSnapshot
from offchain.envelope.keys import DataKey
from offchain.envelope.wraps import KeyBinding, Wrap
from scripts.postgresql import Server, restored_from, running_server
from tests.faults.postgresql.documented import ROOT
from tests.faults.test_erasure import is_in
from tests.postgresql import instead_of_sqlite, name_of, require
from tests.unit.node_service.erasure.office import KEEP_NOTHING, Office
from tests.unit.node_service.records.hospital import MovableClock
from tests.unit.node_service.sharing.conftest import begin_story
from tests.unit.node_service.sharing.consortium import A, found_consortium, open_consortium
from yilian.audit_export import verify_folder

pytestmark = pytest.mark.slow
SEED: Final = b"synthetic hypertension"
TABLES: Final = ("record", "record_version", "wrap", "member", "record_token", "bundle_entry", "idempotency_key")
_DOCUMENTED: Final = re.compile(r"^\| `([a-z_]+)\.([a-z_]+)` \|", re.MULTILINE)
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Erased:
    """Hospital A after an erasure, with what was kept of the time before."""

    office: Office
    server: Server
    record: str
    key: DataKey
    before: Rows
    after: Rows
    backup: Path
    snapshot: Path

    @property
    def database(self) -> str:
        return name_of(self.office.node.settings.data_dir / "node.db")


def rows_of(conninfo: str, record: str) -> Rows:
    """Everything that the tables hold of a record."""
    found: Rows = {}
    with psycopg.connect(conninfo, row_factory=psycopg.rows.dict_row) as connection:
        for table in TABLES:
            column = "id" if table == "record" else "record"
            query = f"SELECT * FROM {table} WHERE {column} = %s"  # noqa: S608
            found[table] = connection.execute(query.encode(), (record,)).fetchall()
        query = "SELECT s.* FROM bundle_skeleton s JOIN bundle_entry e ON e.bundle = s.id WHERE e.record = %s"
        found["bundle_skeleton"] = connection.execute(query.encode(), (record,)).fetchall()
    return found


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Erased]:
    require()
    folder = tmp_path_factory.mktemp("erasing")
    (folder / "rules.toml").write_text(KEEP_NOTHING)
    with running_server(durable=True) as server, instead_of_sqlite(server):
        story = begin_story(found_consortium(folder, retention_file=str(folder / "rules.toml")))
        office = Office(story)
        office.share()
        record = office.record("Condition")
        node = office.node
        conninfo = server.conninfo(name_of(node.settings.data_dir / "node.db"))
        (held,) = version_keys(node, [(record, 1)], purpose="read")
        assert SEED in open_version(node, record).content
        assert isinstance(held.key, DataKey)
        before = rows_of(conninfo, record)
        run(server, "pg_basebackup", "-D", str(server.folder / "older"), "-X", "stream", "-c", "fast")
        node.custody.snapshot(folder / "snapshot")
        case = office.ask(record).id
        office.decide(case)
        office.work(6)
        assert office.case(case).items[0].state == "erased"
        node.custody.rekey(instant(node.clock.now()))
        after = rows_of(conninfo, record)
        yield Erased(office, server, record, held.key, before, after, server.folder / "older", folder / "snapshot")
        story.consortium.close()


def run(server: Server, program: str, *arguments: str) -> None:
    """One of PostgreSQL's clients, as the server's user."""
    as_user = {} if os.geteuid() else {"user": server.user, "group": server.user, "extra_groups": ()}
    environment = {**os.environ, "PGHOST": str(server.folder), "PGUSER": server.user}
    subprocess.run(  # type: ignore[call-overload]
        [str(server.bin / program), *arguments], check=True, cwd=server.folder, env=environment, timeout=120, **as_user
    )


@pytest.fixture(scope="module")
def older(erased: Erased) -> Iterator[Server]:
    """A server over the older base backup."""
    with restored_from(erased.backup) as restored:
        yield restored


def files(erased: Erased) -> dict[Path, bytes]:
    """Every file of the server, its log files and the older base backup, and of all hospitals' folders."""
    erased.server.set("log_min_messages", "warning")
    with psycopg.connect(erased.server.conninfo(), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    roots = (erased.server.folder, erased.office.node.settings.data_dir.parent)
    paths = [path for root in roots for path in root.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths}


def test_no_file_of_server_logs_and_backup_holds_text_or_data_key(erased: Erased) -> None:
    found = files(erased)
    assert any("pg_wal" in path.parts for path in found)
    assert any("older" in path.parts for path in found)
    assert any(erased.record.encode() in content for content in found.values()), "the search finds nothing at all"
    for path, content in found.items():
        assert SEED not in content, path
        assert erased.key.reveal() not in content, path


def test_the_older_backup_opens_nothing_of_it_with_the_present_keys(
    erased: Erased, older: Server, tmp_path: Path
) -> None:
    """Its server, the present custody with the present root key, the objects of then would not help either."""
    folder = erased.office.node.settings.data_dir.parent
    restored = tmp_path / "restored"
    shutil.copytree(folder, restored, ignore=shutil.ignore_patterns("rules.toml"))
    clock = MovableClock(erased.office.node.clock.now())
    opened = open_consortium(restored, clock, (A,), database_url=older.url(erased.database))
    node = opened[A].node
    with pytest.raises(NotFound) as refused:
        open_version(node, erased.record)
    assert refused.value.reason == "no-key"
    entry = CustodyEntry(identifier(os.urandom(16)), "read", 1, instant(clock.now()))
    opens = {
        record: not isinstance(node.custody.unwrap_many(entry, [(binding, wrap)])[0], NoKey)
        for record, binding, wrap in custodian_wraps(older.conninfo(erased.database))
    }
    bundle = erased.before["bundle_skeleton"][0]["id"]
    assert {record for record, does in opens.items() if not does} == {erased.record, bundle}
    assert len(opens) > 2
    opened.close()


def custodian_wraps(conninfo: str) -> list[tuple[str, KeyBinding, Wrap]]:
    query = """
        SELECT w.record, v.object_id, w.version, w.wrap FROM wrap w
        JOIN record_version v ON v.record = w.record AND v.version = w.version WHERE w.recipient = 'custodian'
        UNION ALL SELECT id, object_id, 1, wrap FROM bundle_skeleton
    """
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(query.encode()).fetchall()
    return [(row[0], KeyBinding(row[1], row[0], row[2]), Wrap.parse(row[3])) for row in rows]


def test_the_present_root_key_opens_no_older_snapshot_of_the_secrets(erased: Erased, tmp_path: Path) -> None:
    root = FileKeyring(erased.office.node.settings.data_dir / "custody").root_key()
    log = tmp_path / "custody.log"
    log.write_bytes(b"")
    at = instant(erased.office.node.clock.now())
    with pytest.raises(Conflict):
        CustodyFromSnapshot(root, erased.snapshot).restore(tmp_path / "x", log, at)
    base = next(erased.snapshot.glob("base-*")).read_bytes()
    header = re.search(rb'"baseId":"([^"]+)"', base)
    assert header is not None
    forced = replace(root, base_id=header[1].decode())
    with pytest.raises(Tampered):
        CustodyFromSnapshot(forced, erased.snapshot).restore(tmp_path / "y", log, at)


def test_what_dead_rows_and_logs_show_in_clear_is_what_the_document_lists(erased: Erased) -> None:
    """Every value that the erasure removed is sealed, blind or random bytes, or its column is listed."""
    (_, section) = (ROOT / "docs" / "operations.md").read_text().split("\n### What an erasure leaves in PostgreSQL\n")
    listed = set(_DOCUMENTED.findall(re.split(r"^##", section, maxsplit=1, flags=re.MULTILINE)[0]))
    clear = {
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        if table.name in {*TABLES, "bundle_skeleton"}
        for column in table.columns
        if not isinstance(column.type, LargeBinary)
    }
    removed = {
        (table, column)
        for table, rows in erased.before.items()
        for at, row in enumerate(rows)
        for column, value in row.items()
        if value is not None and (at >= len(erased.after[table]) or erased.after[table][at][column] != value)
    }
    assert {("record", "resource_type"), ("record", "category"), ("record_version", "clinical_start")} <= removed
    assert removed & clear <= listed <= clear
    (row,), (version,) = erased.before["record"], erased.before["record_version"]
    left = [content for path, content in files(erased).items() if "base" in path.parts or "pg_wal" in path.parts]
    for needle in (row["resource_type"], row["category"], version["clinical_start"]):
        near = re.compile(re.escape(erased.record.encode()) + rb".{0,400}" + re.escape(needle.encode()), re.DOTALL)
        assert any(near.search(content) for content in left), needle


def test_the_documented_line_takes_them_out_of_the_tables(erased: Erased) -> None:
    """Not out of the log files and archives: these have to be recycled or deleted."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (line,) = re.findall(r"^VACUUM \(FULL\) [a-z_, ]+;$", text, re.MULTILINE)
    assert set(re.split(r"[ ,;]+", line.removeprefix("VACUUM (FULL) "))) - {""} == {*TABLES, "bundle_skeleton"}
    with psycopg.connect(erased.server.conninfo(erased.database), autocommit=True) as connection:
        connection.execute(line.encode())
    tables = [
        content for path, content in files(erased).items()
        if path.is_relative_to(erased.server.folder / "data" / "base") and path.name.split(".")[0].isdigit()
    ]  # fmt: skip
    (version,) = erased.before["record_version"]
    gone = [version["undo"], version["content_token"], *(row["wrap"] for row in erased.before["wrap"])]
    assert not any(is_in(bytes(value), content) for value in gone if value for content in tables)
    near = re.compile(re.escape(erased.record.encode()) + rb".{0,400}" + re.escape(b"Condition"), re.DOTALL)
    for content in tables:
        assert not near.search(content)


def test_the_audit_trail_verifies(erased: Erased, tmp_path: Path) -> None:
    erased.office.hospital.settle()
    export(erased.office.node.settings.data_dir.parent / "ledger", tmp_path / "export")
    assert verify_folder(tmp_path / "export", None).replayed > 0
    assert fsck.check(erased.office.node).findings == ()
