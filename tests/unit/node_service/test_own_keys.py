"""A node does not begin with keys that are not its own or older than its database, and nothing is harmed by trying."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from domain.errors import Conflict, Tampered, YilianError
from domain.identifiers import identifier
from network.embedded.founding import init
from node_service import secrets
from node_service.composition import CUSTODY_FOLDER, SystemClock, build
from node_service.ledger_sync.anchorer import append_outbox
from node_service.provisioning import initialise
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from node_service.settings import Settings
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
    running = build(settings)
    try:
        report = ingest_fhir(running.node, bundle(number), "application/fhir+json", "his")
        with running.node.database.transaction() as session:
            append_outbox(session)
    finally:
        running.resources.close()
    assert not report.refused
    return [one.record for one in report.stored]


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
