"""A server of PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.postgresql import Server, running_server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running one; where it is not installed the tests are skipped with the reason, in CI they fail."""
    try:
        with running_server(durable=False) as running:
            yield running
    except FileNotFoundError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
