"""A medium that fails for a while, under each folder: nothing that was acknowledged was only in the page cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from domain.errors import OutcomeUnknown, Tampered, Unavailable
from node_service.access_log import fsck
from node_service.access_log.sequencer import Sequencer
from node_service.node_status import node_status
from node_service.own_reading import read_record
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.seal import seal
from offchain.stores.local import LocalStore
from tests.faults.bad_media import Medium, medium
from tests.faults.node.test_damage import READER, observation
from tests.faults.small_disks import MEBIBYTE
from tests.unit.node_service.records.hospital import Hospital, open_hospital, start_hospital
from tests.unit.offchain.sealing import KEY, fresh_id

MEBIBYTES = 24
OBJECT_BYTES = 3_000_000
_T = TypeVar("_T")
FOLDERS = ("data/objects", "data/custody", "data", "ledger")


@dataclass
class OnMedium:
    """A hospital of which one folder lies on a medium of its own."""

    directory: Path
    medium: Medium
    hospital: Hospital
    told: list[str] = field(default_factory=list)
    """The reasons that were told; only the product's own errors are let through."""

    def store(self, number: int) -> str | None:
        """The record, if it was acknowledged."""
        report = self.tell(lambda: ingest_fhir(self.hospital.node, observation(number), "application/fhir+json", "his"))
        return None if report is None else report.stored[0].record

    def step(self) -> None:
        """What waits reaches log and ledger, as far as it can."""
        self.hospital.clock.advance(11)
        self.tell(lambda: Sequencer(self.hospital.node).step(self.hospital.clock.now()))
        self.tell(self.hospital.settle)

    def tell(self, call: Callable[[], _T]) -> _T | None:
        """What it returns, or nothing where the node says that it cannot."""
        try:
            return call()
        except (Unavailable, OutcomeUnknown, Tampered) as error:
            assert error.reason in ("disk", "database", "database-damaged", "ledger"), error  # noqa: PT017 - told apart
            self.told.append(error.reason)
            return None

    def mounted_anew(self) -> None:
        """The node starts again, and sees what is on the medium."""
        at = self.hospital.clock.now()
        self.hospital.close()
        self.medium.unmount()
        self.medium.mount()
        self.hospital = open_hospital(self.directory, at=at)


@pytest.fixture(params=["journal", "no-journal"])
def journal(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "journal")


@pytest.fixture(params=FOLDERS)
def placed(request: pytest.FixtureRequest, journal: bool, tmp_path: Path) -> Iterator[OnMedium]:
    start_hospital(tmp_path).close()
    folder = tmp_path / request.param
    folder.mkdir(exist_ok=True)
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    for one in folder.iterdir():
        shutil.rmtree(one) if one.is_dir() else one.unlink()
    with medium(folder, MEBIBYTES, journal=journal) as made:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        made.unmount()
        made.mount()
        placed = OnMedium(tmp_path, made, open_hospital(tmp_path))
        yield placed
        placed.hospital.close()


def test_a_medium_that_fails_is_told_and_nothing_acknowledged_is_lost(placed: OnMedium) -> None:
    acknowledged = [stored for number in range(3) if (stored := placed.store(number))]
    assert len(acknowledged) == 3
    placed.step()
    placed.medium.fail()
    acknowledged += [stored for number in range(3, 8) if (stored := placed.store(number))]
    for record in acknowledged:
        placed.tell(lambda record=record: read_record(placed.hospital.node, READER, record))  # type: ignore[misc]
    placed.step()
    status = placed.tell(lambda: node_status(placed.hospital.node))
    assert placed.told or (status is not None and status.anchored < status.records)
    placed.medium.heal()
    if "database-damaged" in placed.told or not placed.medium.writable():
        placed.mounted_anew()
    for number in range(10):
        ingest_fhir(placed.hospital.node, observation(number), "application/fhir+json", "his")
    placed.step()
    placed.mounted_anew()
    placed.told.clear()
    placed.step()
    assert placed.told == []
    hospital = placed.hospital
    for record in acknowledged:
        assert b"finding" in open_version(hospital.node, record).content
    assert fsck.check(hospital.node).findings == ()
    status = node_status(hospital.node)
    assert status.anchored == status.records == 10


def test_an_object_whose_sync_failed_is_not_completed_from_the_page_cache(tmp_path: Path) -> None:
    sealed = seal(PlainBytes(os.urandom(OBJECT_BYTES), Description("a/b")), KEY, Header.fresh(fresh_id(), "HospitalA"))
    folder = tmp_path / "store"
    folder.mkdir()
    with medium(folder, MEBIBYTES, journal=False) as made:
        store = LocalStore(folder)

        def failing(offset: int) -> Iterator[bytes]:
            made.fail()
            yield sealed.data[offset:]

        with pytest.raises(Unavailable):
            store.put_received(sealed.digest, failing, max_bytes=MEBIBYTES * MEBIBYTE)
        made.heal()
        store.put_received(sealed.digest, lambda offset: [sealed.data[offset:]], max_bytes=MEBIBYTES * MEBIBYTE)
        made.unmount()
        made.mount()
        store.verify(sealed.digest)
