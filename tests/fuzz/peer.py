"""Targets: what a peer sends to the contract's service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

from chaincode.contract.v1 import invoke
from chaincode.service.conversation import Conversation
from chaincode.service.invocation import parse_invocation
from chaincode.service.message import Message, parse_message
from chaincode.service.offer import parse_offer
from chaincode.service.runner import TransactionRunner
from domain.errors import Denied
from domain.instants import moment
from tests.fuzz.target import SECRET, Target, accepted

CONTRACT: Final = "yilian"
AT: Final = "2026-03-01T12:00:00Z"
"""The time of the proposals in the corpus."""

ANSWERS: Final = {400, 403, 500}
"""Refused, or failed for want of a peer that answers; nothing else is possible."""


class StandingClock:
    """The moment at which the seeds were proposed."""

    def now(self) -> datetime:
        return moment(AT)


def fuzz_peer_message(data: bytes) -> None:
    """A message is read or refused, and a transaction is answered, whatever stands in it."""
    for message in accepted(partial(parse_message, data)):
        accepted(partial(parse_message, message.encode()))
        accepted(partial(parse_offer, message.payload))
        accepted(partial(parse_invocation, message, CONTRACT), Denied)
        check_answer(message)


def check_answer(message: Message) -> None:
    """Claim that the runner answers, and repeats nothing of what came."""
    conversation = Conversation(message, lambda _message: False, 1.0)
    response, answer = TransactionRunner(invoke, CONTRACT, StandingClock()).run(message, conversation, parse_offer(b""))
    assert response.status in ANSWERS
    assert SECRET not in response.message
    assert answer.transaction == message.transaction


def _none() -> Sequence[bytes]:
    """All seeds lie in the corpus: they hold certificates."""
    return ()


TARGETS: Final = (Target("peer-message", fuzz_peer_message, _none, takes_json=False),)
