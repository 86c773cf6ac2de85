"""A node does not begin with keys that are not its own or older than its database, and nothing is harmed by trying."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text

from domain.errors import Conflict, Tampered, YilianError
from domain.identifiers import identifier
from domain.instants import instant
from network.embedded.founding import init
from node_service import secrets
from node_service.client.wire import StaffAccount
from node_service.composition import CUSTODY_FOLDER, SystemClock, build, migrate
from node_service.database.account_models import Staff
from node_service.database.engine import Database
from node_service.database.erasure_models import Removal
from node_service.database.models import RecordVersion, Wrap
from node_service.database.standing import revision
from node_service.erasure.forgetting import forget_what_custody_lost
from node_service.ledger_sync.anchorer import append_outbox
from node_service.provisioning import initialise
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from node_service.settings import Settings
from node_service.staff.accounts import create_account
from offchain.custody.file_keyring import SECRETS_FOLDER, FileKeyring
from tests.unit.node_service.records.ingesting import bundle

PASSWORD = "correct horse battery staple"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A node with records, which is not running."""
    init(tmp_path / "ledger", "yilian", ["AMSP"], clock=SystemClock(), random=os.urandom)
    made = Settings.from_environment(
        {}, msp_id="AMSP", name="A", data_dir=tmp_path / "node", ledger_dir=tmp_path / "ledger"
    )
    initialise(made, password=PASSWORD)
    store(made, 1)
    return made


def store(settings: Settings, number: int) -> list[str]:
    return take_in(settings, bundle(number))


def take_in(settings: Settings, body: bytes, *, logged: bool = True) -> list[str]:
    """Store records; they are in the log then, or still wait for it."""
    running = build(settings)
    try:
        report = ingest_fhir(running.node, body, "application/fhir+json", "his")
        if logged:
            with running.node.database.transaction() as session:
                append_outbox(session)
    finally:
        running.resources.close()
    assert not report.refused
    return [one.record for one in report.stored]


def patient(number: int, city: str) -> bytes:
    """A person by a fixed id; another city is the next version of the same record."""
    person = json.loads(bundle(number))["entry"][0]["resource"]
    return json.dumps({**person, "address": [{"city": city}]}).encode()


def read(settings: Settings, records: list[str]) -> list[bytes]:
    running = build(settings)
    try:
        return [open_version(running.node, record).content for record in records]
    finally:
        running.resources.close()


def refused(settings: Settings, kind: type[YilianError]) -> YilianError:
    """Why the node does not begin; its keys are as they were."""
    files = [path for path in settings.data_dir.rglob("*") if path.is_file() and "node.db" not in path.name]
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(kind) as caught:
        build(settings)
    assert {path: path.read_bytes() for path in before} == before
    return caught.value


def test_another_nodes_keys_are_refused_and_the_own_ones_open_everything_again(
    settings: Settings, tmp_path: Path
) -> None:
    records = store(settings, 2)
    contents = read(settings, records)
    own, other = settings.data_dir / secrets.FILE_NAME, tmp_path / "other"
    other.mkdir()
    secrets.create(other)
    kept = own.rename(tmp_path / "kept")
    shutil.copy(other / secrets.FILE_NAME, own)
    error = refused(settings, Conflict)
    assert (error.reason, "put this node's own file back" in error.detail) == ("other-keys", True)
    kept.replace(own)
    assert read(settings, records) == contents


def test_another_hospitals_keyring_is_refused_and_the_own_one_opens_everything_again(
    settings: Settings, tmp_path: Path
) -> None:
    records = store(settings, 2)
    contents = read(settings, records)
    own = settings.data_dir / CUSTODY_FOLDER
    kept = own.rename(tmp_path / "kept")
    FileKeyring.create(own, "2026-03-01T08:00:00Z")
    error = refused(settings, Conflict)
    assert (error.reason, "put this node's own custody folder back" in error.detail) == ("other-keyring", True)
    shutil.rmtree(own)
    kept.rename(own)
    assert read(settings, records) == contents


def test_record_secrets_that_are_older_than_the_database_are_refused(settings: Settings, tmp_path: Path) -> None:
    own, older = settings.data_dir / CUSTODY_FOLDER, tmp_path / "older"
    shutil.copytree(own, older)
    records = store(settings, 2)
    contents = read(settings, records)
    kept = own.rename(tmp_path / "kept")
    shutil.copytree(older, own)
    error = refused(settings, Conflict)
    assert (error.reason, "yilian custody takeover" in error.detail) == ("older-secrets", True)
    shutil.rmtree(own)
    kept.rename(own)
    assert read(settings, records) == contents


def test_one_account_and_one_wrap_that_were_altered_do_not_keep_the_node_from_starting(settings: Settings) -> None:
    """The row that is asked first; the others tell whose database it is."""
    running = build(settings)
    try:
        for name in ("a", "b"):
            account = StaffAccount(username=name, password=PASSWORD, display_name=name, roles=["privacy-officer"])
            create_account(running.node, account)
        with running.node.database.transaction() as session:
            first = session.scalars(select(Staff).limit(1)).one()
            first.display_name = first.display_name[:-1] + bytes([first.display_name[-1] ^ 1])
            wrap = session.scalars(select(Wrap).filter_by(recipient="custodian").limit(1)).one()
            wrap.key_id = "another"
    finally:
        running.resources.close()
    build(settings).resources.close()


@pytest.mark.parametrize("begin", [build, initialise, migrate])
def test_another_nodes_database_is_refused_before_its_schema_is_changed(
    settings: Settings, tmp_path: Path, begin: Callable[[Settings], object]
) -> None:
    path = tmp_path / "other.db"
    shutil.copy(settings.data_dir / "node.db", path)
    database = Database(f"sqlite:///{path}")
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0002'"))
        session.execute(text("ALTER TABLE checkpoint DROP COLUMN members"))
    database.close()
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    secrets.create(other)
    FileKeyring.create(other / CUSTODY_FOLDER, "2026-03-01T08:00:00Z")
    wrong = settings.model_copy(update={"data_dir": other, "database_url": f"sqlite:///{path}"})
    with pytest.raises(Conflict) as caught:
        begin(wrong)
    assert caught.value.reason == "other-keys"
    database = Database(f"sqlite:///{path}")
    with database.rows() as connection:
        assert revision(connection) == "0002"
    database.close()
    build(settings.model_copy(update={"database_url": f"sqlite:///{path}"})).resources.close()


def put_back(settings: Settings, older: Path) -> None:
    own = settings.data_dir / CUSTODY_FOLDER
    shutil.rmtree(own)
    shutil.copytree(older, own)


@pytest.fixture
def older(settings: Settings, tmp_path: Path) -> Path:
    """A copy of the custody folder, which knows one person's record and the first Bundle's."""
    take_in(settings, patient(9, "Beijing"))
    store(settings, 1)
    return Path(shutil.copytree(settings.data_dir / CUSTODY_FOLDER, tmp_path / "older"))


def test_older_secrets_are_seen_though_the_last_leaves_are_versions_of_records_that_they_know(
    settings: Settings, older: Path
) -> None:
    store(settings, 2)
    versions = [*(take_in(settings, patient(9, city)) for city in ("Shanghai", "Suzhou"))]
    assert versions[0] == versions[1] == newest(settings)[:1] == newest(settings)[1:2]
    put_back(settings, older)
    assert refused(settings, Conflict).reason == "older-secrets"


def test_older_secrets_are_seen_though_the_new_records_wait_for_the_log(settings: Settings, older: Path) -> None:
    take_in(settings, bundle(2), logged=False)
    put_back(settings, older)
    assert refused(settings, Conflict).reason == "older-secrets"


@pytest.mark.parametrize("state", ["forgotten", "done"])
def test_a_folder_that_brings_back_what_was_forgotten_is_refused(settings: Settings, older: Path, state: str) -> None:
    """Nothing was stored since: only the erasure tells how old the folder is."""
    erase(settings, state)
    build(settings).resources.close()
    put_back(settings, older)
    assert refused(settings, Conflict).reason == "older-secrets"


def test_after_a_restore_what_was_forgotten_may_have_to_be_forgotten_again(settings: Settings, older: Path) -> None:
    """The snapshot was older than the erasure; the node does it again as soon as it runs."""
    record = erase(settings, "done")
    put_back(settings, older)
    custody = FileKeyring(settings.data_dir / CUSTODY_FOLDER)
    custody.continue_count(identifier(os.urandom(16)), 0, "2100-01-01T00:00:00Z")
    running = build(settings)
    try:
        forget_what_custody_lost(running.node, running.node.clock.now())
        assert running.node.custody.forgotten(record) is not None
    finally:
        running.resources.close()


def erase(settings: Settings, state: str) -> str:
    """Custody forgets a record, and the database says so; as the steps of an erasure leave it."""
    (record, *_) = newest(settings)
    at = instant(SystemClock().now())
    running = build(settings)
    try:
        running.node.custody.forget([record], at)
        with running.node.database.transaction() as session:
            session.add(Removal(record=record, action="erase", state=state, ordered_at=at, forgotten_at=at))
    finally:
        running.resources.close()
    return record


def newest(settings: Settings) -> list[str]:
    """Ids of records, the newest first."""
    database = Database(settings.sqlalchemy_url)
    try:
        with database.reading() as session:
            return list(session.scalars(select(RecordVersion.record).order_by(RecordVersion.log_index.desc())))
    finally:
        database.close()


def test_after_a_restore_that_lost_secrets_the_node_begins(settings: Settings, tmp_path: Path) -> None:
    """As ``yilian node restore`` leaves it; it named the records."""
    own, older = settings.data_dir / CUSTODY_FOLDER, tmp_path / "older"
    shutil.copytree(own, older)
    store(settings, 2)
    shutil.rmtree(own)
    shutil.copytree(older, own)
    FileKeyring(own).continue_count(identifier(os.urandom(16)), 0, "2100-01-01T00:00:00Z")
    store(settings, 3)


def test_another_base_key_is_refused(settings: Settings) -> None:
    (key,) = (settings.data_dir / CUSTODY_FOLDER / SECRETS_FOLDER).glob("key-*")
    own = key.read_bytes()
    key.write_bytes(os.urandom(len(own)))
    refused(settings, Tampered)
    key.write_bytes(own)
    build(settings).resources.close()
