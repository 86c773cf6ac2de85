"""``yilian demo --ledger fabric-native``: the story of the embedded ledger, told to its end on a real network."""

from __future__ import annotations

from pathlib import Path

import pytest

from network.topology.engine import Binaries
from tests.scenario.test_demo import check_whole, demo


@pytest.mark.slow
@pytest.mark.fabric
def test_the_whole_story_is_told_on_fabric_and_leaves_nothing_behind(tmp_path: Path, binaries: Binaries) -> None:
    report = check_whole(demo(tmp_path, "--ledger", "fabric-native"))
    assert report["skipped"] == report["refused"] == []
    assert report["dicom_instances"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_the_thefts_are_told_on_the_embedded_ledger_only(tmp_path: Path) -> None:
    ran = demo(tmp_path, "--evil", "--ledger", "fabric")
    assert ran.code == 2
    assert "embedded" in ran.output
    assert ran.report is None
