"""A node whose objects lie in IPFS is lost, with its Kubo node or without it, and comes back from its backup."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import NotFound, Unavailable
from domain.transactions import EraseRecord
from node_service.backup.restoring import RestoreReport
from node_service.composition import open_custody
from node_service.erasure.remover import Remover
from node_service.ledger_sync.submission import submit
from node_service.records.reading import open_version
from node_service.records.scrub import check_objects
from offchain.stores import SealedStore
from offchain.stores.local import LocalStore
from scripts.kubo import Daemon
from tests.faults.stores.repository import holds
from tests.unit.node_service.backup.conftest import Site
from tests.unit.node_service.records.hospital import start_hospital

pytestmark = pytest.mark.sqlite  # PostgreSQL is archived by its own tools
PLACES = {"ipfs": ("{kubo}",), "local and ipfs": ("local", "{kubo}"), "ipfs and local": ("{kubo}", "local")}


@pytest.fixture(params=PLACES)
def site(request: pytest.FixtureRequest, own: Daemon, tmp_path: Path) -> Iterator[Site]:
    """A hospital whose objects lie in IPFS alone, or there and on its disk."""
    stores = tuple(place.format(kubo=own.url) for place in PLACES[request.param])
    folder = tmp_path / "site"
    folder.mkdir()
    opened = Site(folder, start_hospital(folder, stores=stores))
    yield opened
    opened.hospital.close()


def test_data_folder_and_kubo_are_lost_and_everything_comes_back(site: Site, own: Daemon) -> None:
    records = site.store(1)
    before, digests = site.contents(records), held(site.hospital.node.blobs)
    backup = site.back_up("first")
    site.escrow()
    site.lose()
    replace_with_an_empty_one(own)
    assert nothing_lost(site.restore(backup))
    site.open()
    assert site.contents(records) == before
    assert held(site.hospital.node.blobs) == digests
    assert check_objects(site.hospital.node) == []
    assert len(site.contents(site.store(2))) == 40


def test_only_the_data_folder_is_lost_and_what_kubo_kept_is_found_again(site: Site) -> None:
    records = site.store(1)
    before, digests = site.contents(records), held(site.hospital.node.blobs)
    backup = site.back_up("listed", objects=False)
    assert not (backup / "objects").exists()
    site.escrow()
    site.lose()
    assert nothing_lost(site.restore(backup))
    site.open()
    assert site.contents(records) == before
    assert held(site.hospital.node.blobs) == digests
    assert check_objects(site.hospital.node) == []
    if "local" in site.settings.stores:
        assert held(LocalStore(site.data / "objects")) == digests, "the scrub fills the disk again"
    assert len(site.contents(site.store(2))) == 40


@pytest.mark.parametrize("objects", [True, False])
def test_what_was_erased_after_the_backup_stays_erased(site: Site, own: Daemon, *, objects: bool) -> None:
    records = site.store(1)
    erased, kept = records[3], [*records[:3], *records[4:]]
    backup = site.back_up("early", objects=objects)
    gone, sealed = open_version(site.hospital.node, erased).digest, sealed_bytes(site, erased)
    assert holds(own, sealed)
    erase(site, erased)
    there = set(held(site.hospital.node.blobs))
    assert not holds(own, sealed)
    snapshot = site.folder / "shelf" / "snapshot"
    open_custody(site.settings).snapshot(snapshot)
    site.escrow()
    site.lose()

    report = site.restore(backup, custody=snapshot)
    assert erased in report.forgotten
    assert not set(report.forgotten) & set(kept)
    assert (gone in report.missing_objects) is not objects
    assert not set(report.missing_objects) & there, "nothing is missing but what was erased"
    site.open()
    with pytest.raises(NotFound):
        open_version(site.hospital.node, erased)
    carry_out(site)
    with pytest.raises(NotFound):
        open_version(site.hospital.node, erased)
    assert not holds(own, sealed), "also what the backup had brought back"
    assert len(site.contents(kept)) == len(kept)
    assert check_objects(site.hospital.node) == []


@pytest.mark.parametrize("objects", [True, False])
def test_a_restore_while_kubo_is_down_leaves_nothing_and_is_repeated_when_it_is_back(
    site: Site, own: Daemon, *, objects: bool
) -> None:
    records = site.store(1)
    backup = site.back_up("first", objects=objects)
    site.escrow()
    site.lose()
    own.stop()
    with pytest.raises(Unavailable):
        site.restore(backup)
    assert not [path.name for path in site.folder.iterdir() if "data" in path.name]
    own.start()
    assert nothing_lost(site.restore(backup))
    site.open()
    assert len(site.contents(records)) == 40


def replace_with_an_empty_one(kubo: Daemon) -> None:
    """The disk of the Kubo node is lost; a new one listens where it did."""
    kubo.stop()
    shutil.rmtree(kubo.folder)
    kubo.initialise()
    kubo.start()


def nothing_lost(report: RestoreReport) -> bool:
    return (report.records, report.without_key, report.forgotten, report.missing_objects) == (41, (), (), ())


def held(store: SealedStore) -> list[str]:
    return sorted(store.digests())


def sealed_bytes(site: Site, record: str) -> bytes:
    """A part of a record's sealed object, as it lies on disks."""
    digest = open_version(site.hospital.node, record).digest
    with site.hospital.node.blobs.get(digest) as found:
        return found.whole().data[300:400]


def erase(site: Site, record: str) -> None:
    submit(site.hospital.node, EraseRecord((record,)))
    carry_out(site)


def carry_out(site: Site) -> None:
    """What the ledger says is erased is erased here."""
    site.hospital.follow()
    remover = Remover(site.hospital.node)
    for _ in range(3):
        remover.step(site.hospital.clock.now())
        site.hospital.settle()
