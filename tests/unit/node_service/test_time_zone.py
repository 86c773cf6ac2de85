"""The time zone of dates without one: known where the machine has none, a wrong name told at the start."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import Invalid
from node_service.settings import Settings
from node_service.sharing.consent_content import time_zone


def settings(tmp_path: Path, **changes: object) -> Settings:
    return Settings.from_environment(
        {}, msp_id="RenheMSP", name="Renhe", data_dir=tmp_path, ledger_dir=tmp_path, public_url="http://127.0.0.1:1",
        **changes,
    )  # fmt: skip


@pytest.fixture
def without_system_zones() -> Iterator[None]:
    """As in a container or on a small machine."""
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.usefixtures("without_system_zones")
def test_a_machine_without_time_zones_of_its_own_knows_them(tmp_path: Path) -> None:
    zone = time_zone(settings(tmp_path))
    assert datetime(2026, 1, 1, tzinfo=UTC).astimezone(zone).utcoffset() == timedelta(hours=8)


@pytest.mark.parametrize("name", ["Asia/Shangri-La", "", "../etc/passwd", "/etc/localtime"])
def test_a_zone_that_there_is_not_is_named_at_the_start(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="time zone") as refused:
        settings(tmp_path, time_zone=name)
    assert refused.value.place == "YILIAN_TIME_ZONE"
