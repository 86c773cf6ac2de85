"""A service with a contract of the test's own on a port of its own, and a clock that stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest

from chaincode.service.runner import TransactionRunner
from chaincode.service.server import ContractService, Limits
from chaincode.service.stream import Waits
from domain.instants import moment
from network.execution import Contract
from tests.unit.chaincode.service.peer import CONTRACT, PACKAGE_ID
from tests.unit.chaincode.world import NOW

FAST = Limits(threads=4, max_waiting=100, waits=Waits(registration_s=5, answer_s=5))


class StandingClock:
    """Time stands until the test moves it."""

    def __init__(self) -> None:
        self.at = moment(NOW)

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


class Running:
    """A service that runs, and its address."""

    def __init__(self, service: ContractService) -> None:
        self.service = service
        self.address = f"127.0.0.1:{service.start('127.0.0.1:0')}"

    def metric(self, name: str, **labels: str) -> float:
        return self.service.metrics.registry.get_sample_value(name, labels) or 0.0


Serve = Callable[..., Running]


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def serve(clock: StandingClock) -> Iterator[Serve]:
    """Starts a service for a contract; it is stopped after the test."""
    with ExitStack() as stack:

        def start(contract: Contract, limits: Limits = FAST) -> Running:
            service = ContractService(PACKAGE_ID, TransactionRunner(contract, CONTRACT, clock), limits=limits)
            stack.callback(service.stop, 2.0)
            return Running(service)

        yield start
