"""A node with a real database and keys; staff use cases touch neither ledger nor store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio import CapacityLimiter

from node_service import secrets
from node_service.context import Limits, Node
from node_service.database.engine import Database
from node_service.database.migrations import upgrade
from node_service.settings import Settings


@dataclass
class SettableClock:
    """A clock that tests move."""

    at: datetime = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


class Absent:
    """A port that must not be touched."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"staff use cases must not call {name}")


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def node(tmp_path: Path, clock: SettableClock) -> Iterator[Node]:
    settings = Settings.from_environment(
        {}, msp_id="AMSP", name="Hospital A", data_dir=tmp_path, ledger_dir=tmp_path / "ledger"
    )
    upgrade(settings.sqlalchemy_url)
    database = Database(settings.sqlalchemy_url)
    absent: Any = Absent()
    limits = Limits(CapacityLimiter(1), CapacityLimiter(1), CapacityLimiter(1))
    keys = secrets.create(tmp_path)
    yield Node(settings, database, absent, absent, absent, keys, clock, os.urandom, absent, absent, limits)
    database.close()
