"""A server of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.postgresql import Server, running_server
from tests.postgresql import require


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running one; where it is not installed the tests are skipped with the reason, in CI they fail."""
    require()
    with running_server(durable=False) as running:
        yield running
