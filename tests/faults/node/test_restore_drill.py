"""The restore drill: a hospital with many records is lost, and comes back from backup and root key within minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.counts import repetitions
from tests.unit.node_service.backup.conftest import Site
from tests.unit.node_service.records.hospital import start_hospital
from tests.unit.node_service.records.ingesting import RESOURCES

BUNDLES = repetitions(12, 250)
"""Of 40 records each: 480 in every run, 10,000 in ``make soak``."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    opened = Site(tmp_path, start_hospital(tmp_path))
    yield opened
    opened.hospital.close()


def test_every_record_of_a_lost_hospital_opens_after_the_restore(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [record for number in range(BUNDLES) for record in site.store(number)]
    assert len(records) == BUNDLES * RESOURCES
    before = site.contents(records)
    assert len(set(before)) == len(records)
    begun = time.monotonic()
    backup = site.back_up("drill")
    backed_up = time.monotonic()
    site.escrow()
    site.lose()
    lost = time.monotonic()
    report = site.restore(backup)
    restored = time.monotonic()
    assert (report.records, report.without_key, report.missing_objects) == (len(records) + BUNDLES, (), ())
    site.open()
    assert site.contents(records) == before
    with capsys.disabled():
        print(  # noqa: T201 - the drill's result
            f"\n{len(records)} records: backup {backed_up - begun:.1f} s, restore {restored - lost:.1f} s, "
            f"every record read {time.monotonic() - restored:.1f} s"
        )
