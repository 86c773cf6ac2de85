"""Which peers a gateway finds when some are down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_bdd import parsers, scenarios, when

from network.topology.native import NativeNetwork
from tests.fabric.gateway.conftest import TWO, wait_ready
from tests.fabric.gateway.story import Story

scenarios("../features/discovery.feature")


@pytest.fixture(autouse=True)
def _started_again(fabric: NativeNetwork) -> Iterator[None]:
    """Others share the network: what a scenario stopped runs again, and is found, before the next."""
    yield
    stopped = [name for name in fabric.processes if not fabric.running(name)]
    for name in stopped:
        fabric.start(name)
    if stopped:
        fabric.each(fabric.wait_serving)
        wait_ready(fabric, TWO)


@when(parsers.re(r"the peers of (?P<name>\w+) are stopped"))
def _stop(story: Story, name: str) -> None:
    story.network.kill(story.network.topology.organization(f"{name}MSP").process("peer"))


@when(parsers.re(r"the peers of all but (?P<name>\w+) are stopped"))
def _stop_all_but(story: Story, name: str) -> None:
    for organization in story.network.topology.organizations:
        if organization.msp != f"{name}MSP":
            story.network.kill(organization.process("peer"))
