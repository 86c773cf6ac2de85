"""Block events of a real network, of all three kinds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from network.fabric.gateway import Checkpoint, FileCheckpointer
from tests.fabric.gateway.blocks import KINDS, BlockSeen
from tests.fabric.gateway.listener import Listener
from tests.fabric.gateway.story import Story

scenarios("../features/block_events.feature")

MARK = '{"text": "marker"}'


@dataclass
class Listening:
    """Attributes:
    kind: what is listened for.
    seen: the last block that a step looked at.
    """

    kind: str = ""
    listeners: dict[str, Listener[Any]] = field(default_factory=dict)
    checkpointer: FileCheckpointer | None = None
    seen: BlockSeen | None = None

    def take(self, name: str, story: Story) -> BlockSeen:
        """The block that holds the last transaction, as this listener received it."""
        wanted, read = story.statuses[-1], KINDS[self.kind].read
        event = self.listeners[name].wait_for(lambda event: wanted.transaction_id in read(event).transaction_ids)
        seen = read(event)
        assert seen.number == wanted.block_number
        return seen


@pytest.fixture
def listening() -> Listening:
    return Listening()


def listen(
    story: Story,
    listening: Listening,
    kind: str,
    *,
    name: str = "user",
    start_block: int | None = None,
    checkpoint: Checkpoint | None = None,
) -> Listener[Any]:
    listener = Listener(KINDS[kind].listen(story.ledger, start_block, checkpoint))
    story.closing.callback(listener.close)
    listening.kind, listening.listeners[name] = kind, listener
    return listener


@given("a checkpoint in a file")
def _file(listening: Listening, tmp_path: Path) -> None:
    listening.checkpointer = FileCheckpointer(tmp_path / "checkpoint")


@when(parsers.re(r"the user listens for (?P<kind>(filtered )?blocks( and private data)?)"))
def _listen(story: Story, listening: Listening, kind: str) -> None:
    listen(story, listening, kind).begin(lambda: story.commit("Echo", MARK))


@when(parsers.re(r"another listener listens for (?P<kind>(filtered )?blocks( and private data)?)"))
def _listen_too(story: Story, listening: Listening, kind: str) -> None:
    listen(story, listening, kind, name="other").begin(lambda: story.commit("Echo", MARK))


@when(parsers.parse("the user listens for {kind} from the last block"))
def _replay(story: Story, listening: Listening, kind: str) -> None:
    listen(story, listening, kind, start_block=story.statuses[-1].block_number if story.statuses else 0)


@when(parsers.parse("the user listens for {kind} from the checkpoint"))
def _go_on(story: Story, listening: Listening, kind: str, tmp_path: Path) -> None:
    listen(story, listening, kind, checkpoint=FileCheckpointer(tmp_path / "checkpoint"))


@when("the block is recorded in the checkpoint")
def _record(listening: Listening) -> None:
    assert listening.checkpointer is not None
    assert listening.seen is not None
    listening.checkpointer.checkpoint_block(listening.seen.number)


@when("the user stops listening")
def _stop(listening: Listening) -> None:
    listening.listeners["user"].close()
    assert listening.listeners["user"].error is None


@then("the transaction is received")
def _received(story: Story, listening: Listening) -> None:
    listening.seen = listening.take("user", story)


@then("the other listener receives the transaction")
def _received_too(story: Story, listening: Listening) -> None:
    listening.take("other", story)


@then("the blocks received begin after the recorded one and lead to the transaction")
def _goes_on(story: Story, listening: Listening) -> None:
    assert listening.seen is not None
    read, expected = KINDS[listening.kind].read, listening.seen.number
    while True:
        block, expected = read(listening.listeners["user"].next()), expected + 1
        assert block.number == expected
        if story.statuses[-1].transaction_id in block.transaction_ids:
            return


@then(parsers.parse("listening ends with {code}"))
def _ends(listening: Listening, code: str) -> None:
    listener = listening.listeners["user"]
    listener.wait_for_end()
    assert listener.error is not None
    assert listener.error.code is not None
    assert listener.error.code.name == code
