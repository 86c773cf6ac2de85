"""A hospital that can be lost and restored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node_service.backup.restoring import RestoreReport
from node_service.composition import open_custody
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from node_service.settings import Settings
from offchain.custody.root_key import write_root_key
from offchain.disk import Disk
from tests.unit.node_service.records.hospital import Hospital, open_hospital, start_hospital
from tests.unit.node_service.records.ingesting import bundle
from yilian.backup_commands import make_backup, restore_backup

LATER = "2026-03-01T10:00:00Z"


@dataclass
class Site:
    """One hospital, its safe with the root key, and its shelf of backups."""

    folder: Path
    hospital: Hospital

    @property
    def settings(self) -> Settings:
        return self.hospital.node.settings

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def root_key(self) -> Path:
        return self.folder / "safe" / "root-key"

    def store(self, number: int) -> list[str]:
        """Take in a Bundle of 40 resources; return its records."""
        report = ingest_fhir(self.hospital.node, bundle(number), "application/fhir+json", "his")
        assert not report.refused
        self.hospital.settle()
        return [one.record for one in report.stored]

    def back_up(self, name: str, *, objects: bool = True) -> Path:
        make_backup(self.settings, self.folder / "shelf" / name, objects=objects)
        return self.folder / "shelf" / name

    def escrow(self) -> None:
        """Put the present root key into the safe."""
        self.root_key.parent.mkdir(exist_ok=True)
        write_root_key(self.root_key, open_custody(self.settings).root_key(), Disk())

    def lose(self) -> None:
        """The machine burns down."""
        self.hospital.close()
        shutil.rmtree(self.data)

    def restore(self, backup: Path, custody: Path | None = None) -> RestoreReport:
        return restore_backup(self.settings, backup, self.root_key, custody)

    def open(self) -> Any:
        self.hospital = open_hospital(self.folder, at=self.hospital.clock.at, stores=self.settings.stores)
        self.hospital.follow()
        return self.hospital.node

    def contents(self, records: list[str]) -> list[bytes]:
        return [open_version(self.hospital.node, record).content for record in records]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    opened = Site(tmp_path, start_hospital(tmp_path))
    yield opened
    opened.hospital.close()
