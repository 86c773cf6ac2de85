"""Three hospitals and an enrolled patient with a small history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from node_service.client import wire
from node_service.sharing.shared_reading import SharedReading
from tests.unit.node_service.sharing.consortium import A, B, Consortium, Wallet, found_consortium, history


@dataclass
class Story:
    """Hospital A holds the patient's records, hospital B wants to read them."""

    consortium: Consortium
    wallet: Wallet
    records: dict[str, wire.RecordRef]

    @property
    def reading(self) -> SharedReading:
        """Shared reading at hospital B."""
        return SharedReading(self.consortium[B].node, self.consortium.exchange(B))


@pytest.fixture
def consortium(tmp_path: Path) -> Iterator[Consortium]:
    """Three registered hospitals."""
    founded = found_consortium(tmp_path)
    yield founded
    founded.close()


@pytest.fixture
def story(consortium: Consortium) -> Story:
    """A patient with a history at A, enrolled."""
    return begin_story(consortium)


@pytest.fixture(scope="module")
def lasting_story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The same for a whole module whose tests leave the patient as they found them."""
    founded = found_consortium(tmp_path_factory.mktemp("consortium"))
    yield begin_story(founded)
    founded.close()


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
