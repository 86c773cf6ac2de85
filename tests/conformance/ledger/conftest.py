"""Each test of this folder runs on every adapter of the port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.conformance.ledger.adapters import HOSPITALS, Network, StagedLedger, embedded

ADAPTERS: dict[str, Callable[[Path], AbstractContextManager[Network]]] = {"embedded": embedded}


@pytest.fixture(params=sorted(ADAPTERS))
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Network]:
    """A network of three hospitals, two of whose peers must endorse."""
    with ADAPTERS[request.param](tmp_path / "network") as running:
        yield running


@pytest.fixture
def north(network: Network) -> StagedLedger:
    """The channel as the first hospital sees it."""
    return network.ledger(HOSPITALS[0])


@pytest.fixture
def south(network: Network) -> StagedLedger:
    """The channel as the second hospital sees it."""
    return network.ledger(HOSPITALS[1])
