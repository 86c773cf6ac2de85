"""Fixtures that every test folder shares."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.postgresql import running_server
from tests.postgresql import CHOSEN, drop_below, instead_of_sqlite, place, require

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public data set beside the checkout; CI must have it, elsewhere its tests are skipped with the reason."""
    if SHARED_DATA.is_dir():
        return SHARED_DATA
    reason = "the public data set is not at ../shared/data beside the checkout"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True, scope="session")
def chosen_database() -> Iterator[None]:
    """Where ``TESTS_DATABASE=postgresql``, the nodes' databases of all tests are PostgreSQL's."""
    if CHOSEN == "sqlite":
        yield
        return
    require()
    with place() as folder, running_server(durable=False, folder=folder) as server, instead_of_sqlite(server):
        yield


@pytest.fixture(autouse=True)
def dropped_database(request: pytest.FixtureRequest) -> Iterator[None]:
    """The databases of a test are gone after it, as its files are in the end."""
    own = CHOSEN != "sqlite" and "tmp_path" in request.fixturenames
    folder: Path | None = request.getfixturevalue("tmp_path") if own else None
    yield
    if folder is not None:
        drop_below(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that look into SQLite's file, or say nothing of databases, are none of PostgreSQL's."""
    if CHOSEN != "sqlite":
        items[:] = [item for item in items if item.get_closest_marker("sqlite") is None]


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """A command that a test runs in this process sets logging up for its own terminal, which is closed afterwards."""
    handlers, level = list(logging.root.handlers), logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
