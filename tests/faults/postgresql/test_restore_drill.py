"""The restore drill on PostgreSQL, by the lines of docs/operations.md: server and node are lost and come back."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from domain.errors import Unavailable
from domain.identifiers import decode_bytes
from patient_wallet.wallet import Wallet
from scripts.postgresql import Server, running_server
from tests.fabric.faults.consortium import CANARY, HOME, RESOURCES, People, person, settle
from tests.faults.node.wholeness import database_of, waiting_writes
from tests.faults.postgresql.documented import blocks, run
from tests.postgresql import require
from tests.scenario.actors import acting, eventually
from tests.scenario.test_imaging import instances, upload
from tests.unit.node_service.cda.documents import admission
from tests.unit.node_service.documents.files import pdf
from yilian.audit_export import verify_folder

pytestmark = pytest.mark.slow
BACK_UP_SERVER, BACK_UP_NODE, KEEP_SECRETS, RESTORE_SERVER, RESTORE_NODE, GO_ON, CHECK = range(7)
KEPT = {
    "person": "id, demographics", "record": "id, patient, resource_type, category, source_token",
    "record_version": "record, version, object_id, digest, leaf, leaf_hash, undo", "member": "record, digest, wrap",
    "bundle_skeleton": "id, digest, wrap", "wrap": "record, version, recipient, key_id, wrap",
    "record_token": "token, record", "staff": "id, username",
    "access_row": "id, leaf, patient, access, reader", "patient_key": "patient, key_epoch, signing, wrap",
    "held_consent": "*", "ledger_transaction": "tx_id, block, name, arguments",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drill:
    """A custodian on PostgreSQL, with the shelf and the safe of its backups."""

    people: People
    server: Server

    @property
    def environment(self) -> Mapping[str, str]:
        """The node's settings, and the variables of the document."""
        folder = self.server.folder
        return {
            **self.people.actors.home.environment, "SHELF": str(folder / "shelf"), "SAFE": str(folder / "safe"),
            "PGDATA": str(folder / "data"), "PGHOST": str(folder), "PGUSER": self.server.user, "YILIAN_LANG": "en",
        }  # fmt: skip

    def follow(self, number: int) -> str:
        """Do what one block of the document says; the server's blocks as the server's user."""
        block = blocks("docs/operations.md", "### Backup and restore on PostgreSQL")[number]
        return run(block, self.environment, server=self.server if "yilian" not in block else None)

    def alarms(self) -> str:
        return run("yilian node alarms", self.environment)

    def rows(self) -> dict[str, set[tuple[object, ...]]]:
        """What must come back byte for byte."""
        with database_of(self.people.actors.home) as session:
            return {
                table: {tuple(map(_hashable, row)) for row in session.execute(text(f"SELECT {columns} FROM {table}"))}  # noqa: S608
                for table, columns in KEPT.items()
            }

    def contents(self) -> dict[str, bytes]:
        """What the custodian's doctor reads of every record; of a series all its instances."""
        doctor = self.people.actors.house_doctor
        with database_of(self.people.actors.home) as session:
            records = session.execute(text("SELECT id, resource_type FROM record")).all()
        return {
            record: b"".join(
                b"".join(doctor.record_member(record, one.object_id)) for one in doctor.record_members(record)
            )
            if kind == "ImagingSeries"
            else doctor.record_content(record)
            for record, kind in records
        }

    def chart(self) -> dict[str, bytes]:
        """What the doctor elsewhere reads under the grant."""
        shared, granted = self.people.actors.shared, self.people.granted
        access = shared.open_access(granted.patient, granted.id, "TREAT").id
        return {one.entry.record: decode_bytes(one.content, "content") for one in shared.chart(access).items}

    def wait_for_the_rows(self) -> None:
        """Until the ledger covers every row of the access log."""
        eventually(self.people.actors.archive.status, lambda now: now.unsequenced == 0 and now.outbox == 0)

    def lose(self) -> None:
        """The custodian's machine, and its database server's, burn down."""
        home = self.people.actors.home
        assert home.process is not None
        os.kill(home.process.pid, signal.SIGKILL)
        home.process.wait()
        self.server.stop("immediate")
        shutil.rmtree(self.server.folder / "data")
        shutil.rmtree(home.folder)
        (self.server.folder / "data").mkdir()
        shutil.chown(self.server.folder / "data", self.server.user)


def _hashable(value: object) -> object:
    return repr(value) if isinstance(value, list | dict) else value


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    require()
    with running_server(durable=True) as server:
        (server.folder / "safe").mkdir()
        (server.folder / "shelf").mkdir()
        shutil.chown(server.folder / "shelf", server.user)
        settings = {HOME: {"DATABASE_URL": server.create("renhe")}}
        with acting(tmp_path / "network", settings=settings) as actors:
            yield Drill(settle(actors, tmp_path / "wallet.json"), server)


def fill(drill: Drill, shared_data: Path) -> None:
    """Records of every kind: FHIR resources, documents, a series."""
    archive, patient = drill.people.actors.archive, drill.people.granted.patient
    archive.ingest_cda(admission(), source="emr")
    archive.ingest_pdf(pdf(3), source="scanner", document="ECG 7", patient=patient, title="ECG", date="2024-03-05")
    upload(archive, instances(shared_data)[:2], patient, "ct-1")
    drill.people.actors.wait_anchored()


def entries(wallet: Wallet) -> set[str]:
    """The access rows that the patient sees, by id."""
    return {entry.row.id for entry in wallet.accesses(HOME)}


def test_a_lost_server_and_node_come_back_by_the_documented_steps(
    drill: Drill, shared_data: Path, tmp_path: Path
) -> None:
    people = drill.people
    fill(drill, shared_data)
    chart, contents, seen = drill.chart(), drill.contents(), entries(people.wallet)
    assert len(set(contents.values())) == len(contents) >= RESOURCES + 5
    assert set(chart) <= set(contents)
    assert sum(CANARY.encode() in content for content in chart.values()) == RESOURCES
    rows = drill.rows()
    assert all(rows.values()), [table for table, found in rows.items() if not found]
    drill.follow(BACK_UP_SERVER)
    assert drill.chart() == chart  # its rows are in no backup of the database
    said = drill.follow(BACK_UP_NODE)
    assert "needs the base backup" in said

    later = people.actors.archive.ingest_fhir(person(1), source="his").stored
    people.actors.wait_anchored()
    assert len(drill.contents()) == len(contents) + len(later)
    drill.wait_for_the_rows()
    drill.follow(KEEP_SECRETS)
    drill.lose()
    drill.follow(RESTORE_SERVER)
    restored = drill.rows()
    assert all(rows[table] <= restored[table] for table in rows)
    said = drill.follow(RESTORE_NODE)
    assert f"{len(contents) + len(rows['bundle_skeleton'])} records" in said
    assert f"The ledger holds {len(later)} record and" in said
    assert not [line for line in said.splitlines() if "\t" in line], "nothing is named as missing"

    go_on(drill)
    assert drill.contents() == contents
    assert drill.chart() == chart
    assert seen <= entries(people.wallet)
    again = people.actors.archive.ingest_fhir(person(1), source="his").stored
    assert len(again) == len(later)
    assert not {one.record for one in again} & {one.record for one in later}
    check_whole(drill, tmp_path)


def go_on(drill: Drill) -> None:
    """Start the node; it says that the ledger holds more, and goes on once a person decided."""
    home = drill.people.actors.home
    home.start()
    eventually(drill.alarms, lambda told: "log-behind" in told)
    with pytest.raises(Unavailable):
        drill.people.actors.archive.call("GET", "/ready")
    drill.follow(GO_ON)
    home.wait_ready()


def check_whole(drill: Drill, tmp_path: Path) -> None:
    """Everything is anchored again, in the next incarnation; logs, objects and ledger are whole."""
    people = drill.people
    people.actors.wait_anchored()
    eventually(lambda: waiting_writes(people.actors.home), lambda waiting: waiting == 0)
    with database_of(people.actors.home) as session:
        heads = session.execute(
            text("SELECT log, max(size) FROM anchored_head WHERE msp_id = :m AND incarnation = 2 GROUP BY log"),
            {"m": HOME},
        )
        sizes = {row.log: row.max for row in heads}
    assert sizes["records"] == RESOURCES
    assert sizes["access"] > 0
    assert "No alarm stands" in drill.alarms()
    assert "lost by a restore" in drill.follow(CHECK)
    people.actors.network.ground.export(tmp_path / "export")
    assert verify_folder(tmp_path / "export", people.actors.network.ground.genesis).replayed > 0
