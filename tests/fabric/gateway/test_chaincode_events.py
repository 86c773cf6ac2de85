"""Chaincode events of a real network: replay, checkpoints, resuming inside a block, closing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from domain import jcs
from network.fabric.gateway import ChaincodeEvent, Checkpoint, FileCheckpointer, InMemoryCheckpointer
from tests.fabric.gateway.listener import Listener
from tests.fabric.gateway.story import Story

scenarios("../features/chaincode_events.feature")

ATTEMPTS = 20
MARK = '{"name": "marker", "text": ""}'
THREE = ("first", "second", "third")


@dataclass
class Listening:
    """Attributes:
    event: the last one that a step looked at.
    three: those that stand in one block.
    """

    checkpointer: InMemoryCheckpointer | FileCheckpointer = field(default_factory=InMemoryCheckpointer)
    listeners: dict[str, Listener[ChaincodeEvent]] = field(default_factory=dict)
    event: ChaincodeEvent | None = None
    three: list[ChaincodeEvent] = field(default_factory=list)


@pytest.fixture
def listening() -> Listening:
    return Listening()


def listen(
    story: Story,
    listening: Listening,
    name: str,
    *,
    start_block: int | None = None,
    checkpoint: Checkpoint | None = None,
    begin: bool = False,
) -> None:
    stream = story.ledger.chaincode_events(story.chaincode, start_block=start_block, checkpoint=checkpoint)
    listener = Listener(stream)
    story.closing.callback(listener.close)
    listening.listeners[name] = listener
    if begin:
        listener.begin(lambda: story.commit("Announce", MARK))


def is_event(name: str, text: str) -> Callable[[ChaincodeEvent], bool]:
    return lambda event: (event.name, event.payload) == (name, text.encode())


@given("a checkpoint in memory")
def _memory(listening: Listening) -> None:
    listening.checkpointer = InMemoryCheckpointer()


@given("a checkpoint in a file")
def _file(listening: Listening, tmp_path: Path) -> None:
    listening.checkpointer = FileCheckpointer(tmp_path / "checkpoint")


@when("the user listens for events")
@when("the user listens for events with the checkpoint")
def _listen(story: Story, listening: Listening) -> None:
    listen(story, listening, "user", checkpoint=listening.checkpointer, begin=True)


@when("another listener listens for events")
def _listen_too(story: Story, listening: Listening) -> None:
    listen(story, listening, "other", begin=True)


@when("the user listens for events from the last block")
def _replay(story: Story, listening: Listening) -> None:
    listen(story, listening, "user", start_block=story.statuses[-1].block_number)


@when("the user listens for events from that block")
def _replay_three(story: Story, listening: Listening) -> None:
    listen(story, listening, "user", start_block=listening.three[0].block_number)


@when("the user listens for events from the checkpoint")
def _go_on(story: Story, listening: Listening, tmp_path: Path) -> None:
    """From the position that is kept, as another process would read it."""
    if isinstance(listening.checkpointer, FileCheckpointer):
        listening.checkpointer = FileCheckpointer(tmp_path / "checkpoint")
    assert listening.checkpointer.block_number is not None
    listen(story, listening, "user", checkpoint=listening.checkpointer)


@when(parsers.parse('the user announces "{name}" with "{text}"'))
def _announce(story: Story, name: str, text: str) -> None:
    story.commit("Announce", jcs.canonical({"name": name, "text": text}).decode())


@when("three events are announced in one block")
def _announce_three(story: Story, listening: Listening) -> None:
    """Which transactions share a block is the orderers' choice, so it is tried until they do."""
    for _ in range(ATTEMPTS):
        endorsed = [story.propose("Announce", f'{{"name": "three", "text": "{text}"}}').endorse() for text in THREE]
        statuses = [commit.status() for commit in [transaction.submit() for transaction in endorsed]]
        blocks = {status.block_number for status in statuses}
        if len(blocks) == 1:
            ids = {transaction.transaction_id for transaction in endorsed}
            with story.ledger.chaincode_events(story.chaincode, start_block=blocks.pop()) as stream:
                listening.three = [next(stream) for _ in THREE]
            assert {event.transaction_id for event in listening.three} == ids
            return
    raise AssertionError("the three never came into one block")


@when("the second of the three is recorded in the checkpoint")
def _record_second(listening: Listening) -> None:
    listener = listening.listeners["user"]
    assert [listener.next() for _ in THREE] == listening.three
    listening.checkpointer.checkpoint_chaincode_event(listening.three[1])


@when("the event is recorded in the checkpoint")
def _record(listening: Listening) -> None:
    assert listening.event is not None
    listening.checkpointer.checkpoint_chaincode_event(listening.event)


@when("the user stops listening")
def _stop(listening: Listening) -> None:
    listening.listeners["user"].close()
    assert listening.listeners["user"].error is None


@when("the gateway is closed")
def _close(story: Story) -> None:
    story.here.close()


@then(parsers.parse('the event "{name}" with "{text}" is received'))
def _received(listening: Listening, name: str, text: str) -> None:
    listening.event = listening.listeners["user"].wait_for(is_event(name, text))


@then(parsers.parse('the other listener receives the event "{name}" with "{text}"'))
def _received_too(listening: Listening, name: str, text: str) -> None:
    listening.listeners["other"].wait_for(is_event(name, text))


@then(parsers.parse('the first event received is "{name}" with "{text}"'))
def _received_first(listening: Listening, name: str, text: str) -> None:
    assert is_event(name, text)(listening.listeners["user"].next())


@then("the first event received is the third of the three")
def _received_third(listening: Listening) -> None:
    assert listening.listeners["user"].next() == listening.three[2]


@then("listening has ended without an error")
def _ended(listening: Listening) -> None:
    listening.listeners["user"].wait_for_end()
    assert listening.listeners["user"].error is None
