"""Failures on a real network: of the contract, of a policy, of an identity, of processes."""

from __future__ import annotations

from pytest_bdd import parsers, scenarios, then, when

from network.fabric.gateway import GatewayError
from tests.fabric.gateway.conftest import wait_ready
from tests.fabric.gateway.story import Story
from tests.fabric.second_contract import SecondContract

scenarios("../features/errors.feature")


@when("the user asks for the status of an unknown transaction")
def _unknown(story: Story) -> None:
    try:
        story.ledger.get_commit("0" * 64).status(timeout_s=1)
    except GatewayError as error:
        story.error = error


@when("the contract's processes are started again")
def _restart(story: Story, contract_of_two: SecondContract) -> None:
    contract_of_two.start_again()
    wait_ready(story.network, contract_of_two.name)


@then(parsers.parse("the user can evaluate {name} again"))
def _again(story: Story, name: str) -> None:
    story.invoke("evaluates", name, '{"text": "again"}')
    assert story.answer == b"again"
