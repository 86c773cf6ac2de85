"""Every Synthea history and every chest CT: in, anchored, shared, read elsewhere as the exact bytes, verified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import select

from domain.identifiers import decode_bytes
from network.embedded.export import export
from node_service.client import wire
from node_service.composition import build
from node_service.database.models import BundleSkeleton
from node_service.records.bundles import reassemble_bundle
from node_service.settings import Settings
from patient_wallet.drafts import GrantChoice
from tests.scenario.actors import AWAY, HOME, Actors, acting, new_wallet, open_own
from yilian.audit_export import verify_folder
from yilian.ingestion import Feed, Summary

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]

HISTORIES, SCANS, ENTRIES, INSTANCES = 14, 4, 2319, 191
MAX_BYTES = 1 << 30
READS_AT_ONCE = 4
Content = TypeVar("Content")


@dataclass
class Source:
    """One history or one scan: its files, what was stored of it, and whose it is."""

    files: list[Path]
    stored: list[wire.RecordRef] = field(repr=False)

    @property
    def patient(self) -> str:
        (patient,) = {ref.patient for ref in self.stored if ref.patient is not None}
        return patient

    @property
    def own(self) -> set[str]:
        return {ref.record for ref in self.stored if ref.patient is not None}


@dataclass
class World:
    """Two hospitals; all the data is at the first."""

    actors: Actors
    sources: list[Source]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[World]:
    histories = sorted((shared_data / "fhir" / "synthea").glob("*.json"))
    scans = sorted(path for path in (shared_data / "ct").iterdir() if path.is_dir())
    assert (len(histories), len(scans)) == (HISTORIES, SCANS)
    with acting(tmp_path_factory.mktemp("public-data")) as actors:
        yield World(actors, [_ingest(actors, path) for path in [*histories, *scans]])


def _ingest(actors: Actors, path: Path) -> Source:
    summary = Feed(actors.archive, os.urandom).files([path], lambda _source: None)
    _check_accounted(summary, path)
    files = sorted(path.rglob("*.dcm")) if path.is_dir() else [path]
    return Source(files, summary.stored)


def _check_accounted(summary: Summary, path: Path) -> None:
    assert summary.refused == []
    assert summary.unchanged == 0
    assert not [issue for issue in summary.skipped if issue.source.endswith(".dcm")]
    assert summary.dicom_instances == (len(list(path.rglob("*.dcm"))) if path.is_dir() else 0)


def test_everything_is_in_and_anchored(world: World) -> None:
    stored = [ref for source in world.sources[:HISTORIES] for ref in source.stored]
    assert len({ref.record for ref in stored}) == ENTRIES
    assert sum(len(source.files) for source in world.sources[HISTORIES:]) == INSTANCES
    assert [len(source.stored) for source in world.sources[HISTORIES:]] == [1] * SCANS
    status = world.actors.wait_anchored()
    assert status.records == status.anchored == ENTRIES + SCANS
    assert len({source.patient for source in world.sources}) == HISTORIES + SCANS == len(world.actors.patients())


@pytest.mark.parametrize("number", range(HISTORIES + SCANS), ids=lambda number: f"person-{number}")
def test_a_person_shares_everything_and_the_reader_has_the_custodians_exact_bytes(
    world: World, tmp_path: Path, number: int
) -> None:
    actors, source = world.actors, world.sources[number]
    actors.wait_anchored()
    wallet = new_wallet(tmp_path / "wallet.json")
    wallet.enrol(actors.home.url, actors.registrar.issue_enrolment_code(source.patient).code)
    own = {entry.record: entry for entry in wallet.records(HOME)}
    assert set(own) == source.own
    assert {entry.state for entry in own.values()} == {"anchored"}

    granted = wallet.grant(HOME, GrantChoice(grantee=AWAY), actors.away.url)
    actors.shared.confirm_match(granted.patient, granted.id, None)
    access = actors.shared.open_access(granted.patient, granted.id, "TREAT").id
    chart = actors.shared.chart(access).items
    assert {item.entry.record for item in chart if item.entry.kind == "patient"} == set(own)
    assert {item.entry.kind for item in chart} <= {"patient", "directory"}
    assert all(0 < item.block <= granted.block for item in chart)
    single = [item for item in chart if not item.members]
    kept = _together(actors.house_doctor.record_content, [item.entry.record for item in single])
    assert [decode_bytes(item.content, "content", max_length=MAX_BYTES) for item in single] == kept
    for item in chart:
        if item.members:
            _check_series(actors, source, access, item)
    mine = next((place for place, item in enumerate(single) if item.entry.kind == "patient"), None)
    if mine is not None:
        assert open_own(wallet, HOME, single[mine].entry.record) == kept[mine]


def _check_series(actors: Actors, source: Source, access: str, item: wire.SharedRecord) -> None:
    """The instances are the files that came in, and the custodian's own view of them is the same."""
    series = item.entry.record
    members = [member.object_id for member in actors.shared.members(access, series)]
    received = _together(lambda member: _digest(actors.shared.member(access, series, member)), members)
    assert received == _together(lambda member: _digest(actors.house_doctor.record_member(series, member)), members)
    assert sorted(received) == sorted(_digest([path.read_bytes()]) for path in source.files)
    assert item.members == len(source.files)


def _together(read: Callable[[str], Content], names: Sequence[str]) -> list[Content]:
    """Read several at once, as screens do."""
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        return list(pool.map(read, names))


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def test_the_auditor_verifies_the_chain_of_all_this(world: World, tmp_path: Path) -> None:
    network = world.actors.network
    height = export(network.ledger, tmp_path / "export")
    chain = verify_folder(tmp_path / "export", network.ground.genesis)
    assert chain.height == height
    assert chain.replayed > HISTORIES + SCANS
    assert set(chain.codes) == {"VALID"}


def test_the_histories_reassemble_to_the_received_bytes(world: World) -> None:
    """Last: the custodian's process ends, and its node is opened here."""
    home = world.actors.home
    home.stop()
    running = build(Settings.from_environment(home.environment))
    try:
        with running.node.database.reading() as session:
            bundles = session.scalars(select(BundleSkeleton.id)).all()
        reassembled = [reassemble_bundle(running.node, bundle) for bundle in bundles]
    finally:
        running.resources.close()
    assert sorted(reassembled) == sorted(source.files[0].read_bytes() for source in world.sources[:HISTORIES])
