"""Three hospitals and an enrolled patient with a small history."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from node_service.client import wire
from node_service.sharing.shared_reading import SharedReading
from tests.unit.node_service.records.hospital import MovableClock
from tests.unit.node_service.sharing.consortium import (
    A,
    B,
    Consortium,
    Wallet,
    found_consortium,
    history,
    open_consortium,
)


@dataclass
class Story:
    """Hospital A holds the patient's records, hospital B wants to read them."""

    consortium: Consortium
    wallet: Wallet
    records: dict[str, wire.RecordRef]

    @property
    def reading(self) -> SharedReading:
        """Shared reading at hospital B."""
        return self.reading_at(B)

    def reading_at(self, msp_id: str) -> SharedReading:
        """Shared reading at another hospital."""
        return SharedReading(self.consortium[msp_id].node, self.consortium.exchange(msp_id))


@dataclass
class Template:
    """A story on disk, closed, to be copied for each test that changes something."""

    directory: Path
    at: datetime
    wallet: Wallet
    records: dict[str, wire.RecordRef]

    def copy(self, directory: Path) -> Story:
        """The story from its beginning, in a folder of its own."""
        shutil.copytree(self.directory, directory)
        opened = open_consortium(directory, MovableClock(self.at))
        return Story(opened, replace(self.wallet, custodian=opened[A]), self.records)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A patient with a history at A, enrolled; made once."""
    directory = tmp_path_factory.mktemp("story")
    founded = found_consortium(directory)
    story = begin_story(founded)
    founded.close()
    return Template(directory, founded.clock.at, story.wallet, story.records)


@pytest.fixture
def consortium(tmp_path: Path) -> Iterator[Consortium]:
    """Three registered hospitals."""
    founded = found_consortium(tmp_path)
    yield founded
    founded.close()


@pytest.fixture
def story(template: Template, tmp_path: Path) -> Iterator[Story]:
    """A patient with a history at A, enrolled."""
    copied = template.copy(tmp_path / "story")
    yield copied
    copied.consortium.close()


@pytest.fixture(scope="module")
def lasting_story(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The same for a whole module whose tests leave the patient as they found them."""
    copied = template.copy(tmp_path_factory.mktemp("lasting") / "story")
    yield copied
    copied.consortium.close()


def begin_story(consortium: Consortium) -> Story:
    """Ingest, enrol, settle."""
    stored = consortium[A].ingest(*history())
    patient = next(one.patient for one in stored if one.resource_type == "Patient")
    assert patient is not None
    wallet = Wallet(consortium[A], patient)
    wallet.enrol()
    consortium[A].settle()
    consortium.follow()
    return Story(consortium, wallet, {one.resource_type: one for one in stored})
