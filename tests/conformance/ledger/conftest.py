"""Each test of this folder runs on every adapter of the port; those on Fabric share one network of real processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import Unavailable
from network.topology.engine import Binaries
from network.topology.native import NativeNetwork
from tests.conformance.ledger.adapters import HOSPITALS, Cabinet, Network, StagedLedger, embedded
from tests.conformance.ledger.fabric_adapter import CONTRACT, fabric
from tests.fabric.networks import running_network

ADAPTERS = ("embedded", pytest.param("fabric", marks=pytest.mark.fabric))


@pytest.fixture(scope="session")
def drawers_on_fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeNetwork]:
    """Three hospitals on Fabric with the contract of drawers; without the engine, skipped, but never in CI."""
    try:
        binaries = Binaries.find()
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("drawers")
    others = ("EastMSP",) if os.environ.get("TESTS_CONSENSUS") == "bft" else ()  # which takes four
    with running_network(folder, binaries, (*HOSPITALS, *others), contract=CONTRACT) as network:
        yield network


@pytest.fixture(params=ADAPTERS)
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Network]:
    """A network of three hospitals, two of whose peers must endorse."""
    if request.param == "embedded":
        with embedded(tmp_path / "network") as running:
            yield running
    else:
        with fabric(request.getfixturevalue("drawers_on_fabric"), tmp_path) as shared:
            yield shared


@pytest.fixture
def north(network: Network) -> StagedLedger:
    """The channel as the first hospital sees it."""
    return network.ledger(HOSPITALS[0])


@pytest.fixture
def south(network: Network) -> StagedLedger:
    """The channel as the second hospital sees it."""
    return network.ledger(HOSPITALS[1])


@pytest.fixture
def cabinet(north: StagedLedger) -> Cabinet:
    """The test's own drawers."""
    return Cabinet(north)
