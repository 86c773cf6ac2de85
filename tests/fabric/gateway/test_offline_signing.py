"""Keys that are elsewhere, and transactions kept and given to another gateway."""

from __future__ import annotations

from pytest_bdd import given, parsers, scenarios, then, when

from network.blocks.codes import ValidationCode
from network.fabric.gateway import SubmitError
from tests.fabric.gateway.blocks import KINDS, BlockSeen
from tests.fabric.gateway.identities import user_of
from tests.fabric.gateway.story import Story

scenarios("../features/offline_signing.feature")


@given("the messages are signed elsewhere")
def _elsewhere(story: Story) -> None:
    _, story.elsewhere = user_of(story.network, "RenheMSP")


@when(parsers.parse("the user asks offline for {kind}"), target_fixture="seen")
def _ask_offline(story: Story, kind: str) -> BlockSeen:
    _, signer = user_of(story.network, "RenheMSP")
    unsigned = KINDS[kind].request(story.ledger)
    request = KINDS[kind].signed(story.here, unsigned.serialize(), signer(unsigned.digest))
    with request.events(idle_s=30) as stream:
        return KINDS[kind].read(next(stream))


@then("the first block is received")
def _first_block(seen: BlockSeen) -> None:
    assert seen.number == 0


@when(
    parsers.re(r"the user endorses (?P<name>\w+) with (?P<arguments>\{.*\}) and keeps the transaction"),
)
def _keep(story: Story, name: str, arguments: str) -> None:
    transaction = story.propose(name, arguments).endorse()
    transaction.sign()
    story.kept = transaction.serialize()


@when(parsers.re(r"the kept transaction is submitted through the gateway of (?P<at>\w+)"))
def _submit_kept(story: Story, at: str) -> None:
    assert story.identity is not None
    story.gateway_at(f"{at}MSP", story.identity, story.signer).new_transaction(story.kept).submit()


@when(parsers.re(r"the kept transaction is submitted again through the gateway of (?P<at>\w+)"))
def _submit_kept_again(story: Story, at: str) -> None:
    """Raft orders it twice and the second is no change; BFT ordering says that it has it already."""
    try:
        _submit_kept(story, at)
    except SubmitError as error:
        assert "already" in str(error)  # noqa: PT017 - under Raft there is no error


@then(parsers.re(r"its status at the gateway of (?P<at>\w+) is VALID"))
def _status_there(story: Story, at: str) -> None:
    assert story.identity is not None
    gateway = story.gateway_at(f"{at}MSP", story.identity, story.signer)
    status = gateway.new_transaction(story.kept).commit.status()
    assert status.code == ValidationCode.VALID
