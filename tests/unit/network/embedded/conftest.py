"""An embedded ledger of two hospitals with a contract that stores what it is given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from network.embedded.founding import Founding, init
from network.embedded.ledger import EmbeddedLedger
from tests.conformance.ledger.drawers import drawers

Open = Callable[[str], EmbeddedLedger]


class StandingClock:
    """Time stands until the test moves it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def founding(tmp_path: Path, clock: StandingClock) -> Founding:
    """A ledger where both hospitals must endorse."""
    return init(
        tmp_path / "ledger", "care", ["NorthMSP", "SouthMSP"], clock=clock, random=os.urandom, endorsements_required=2
    )


@pytest.fixture
def opened(founding: Founding, clock: StandingClock) -> Iterator[Open]:
    """Opens the ledger as one hospital."""
    with ExitStack() as stack:
        yield lambda msp_id: stack.enter_context(
            EmbeddedLedger(founding.directory, msp_id, clock, os.urandom, contract=drawers)
        )


@pytest.fixture
def ledger(opened: Open) -> EmbeddedLedger:
    return opened("NorthMSP")
