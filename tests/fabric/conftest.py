"""A real Hyperledger Fabric network of three hospitals, which every test below this folder shares."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from domain.errors import Unavailable
from network.topology.engine import Binaries
from network.topology.native import NativeNetwork
from tests.fabric.networks import running_network


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """Fabric's programs; without them a test is skipped, but never in CI."""
    try:
        return Binaries.find()
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def fabric(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeNetwork]:
    """Three hospitals with Raft, or four with BFT if TESTS_CONSENSUS says so; the product's contract.

    A test leaves every process running that it found running.
    """
    with running_network(tmp_path_factory.mktemp("fabric"), binaries) as network:
        yield network
