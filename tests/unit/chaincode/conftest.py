"""The scene of most tests: three member hospitals and a patient of A."""

from __future__ import annotations

import pytest

from tests.unit.chaincode.world import MemoryChannel, Wallet, three_hospitals


@pytest.fixture
def channel() -> MemoryChannel:
    return three_hospitals()


@pytest.fixture
def wallet(channel: MemoryChannel) -> Wallet:
    """Enrolled at A."""
    enrolled = Wallet("li")
    assert channel.submit(enrolled.enrol())
    return enrolled
