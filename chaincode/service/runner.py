"""Running one transaction: read what was signed, call the contract, tell the peer the writes, answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from chaincode.service.answers import completed, failure, refusal
from chaincode.service.conversation import Conversation, PeerFailed
from chaincode.service.invocation import Invocation, is_transaction_id, parse_invocation
from chaincode.service.message import MAX_MESSAGE_BYTES, Kind, Message
from chaincode.service.offer import Offer
from chaincode.service.peer_stub import PeerStub
from chaincode.service.writes import send_writes
from chaincode.stub import MAX_EVENT_BYTES, Response
from domain.errors import Denied, Invalid
from domain.ports import Clock
from network.execution import Contract, verify_time

MAX_ANSWER_BYTES: Final = MAX_MESSAGE_BYTES - 2 * MAX_EVENT_BYTES
"""Beside an event and what surrounds both."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TransactionRunner:
    """Executes the contract for a peer.

    Attributes:
        contract: the contract's code.
        name: the contract's name on the channel.
        clock: refuses proposals whose time is over 60 s away, replayed ones and queries among them.
    """

    contract: Contract
    name: str
    clock: Clock

    def run(self, request: Message, conversation: Conversation, offer: Offer) -> tuple[Response, Message]:
        """The answer to a TRANSACTION, and the message that carries it. Never raises."""
        try:
            return self._run(request, conversation, offer)
        except PeerFailed as error:
            return self._failed(request, f"peer-{error.reason}", "the peer failed a transaction: %s", error.reason)
        except Exception as error:  # noqa: BLE001 - whatever it is, one transaction fails and the service goes on
            kind = type(error).__name__
            return self._failed(request, "contract-failed", "the contract failed a transaction: %s", kind)

    def _run(self, request: Message, conversation: Conversation, offer: Offer) -> tuple[Response, Message]:
        try:
            invocation = self._admit(request)
        except (Invalid, Denied) as error:
            return _answered(request, refusal(error))
        stub = PeerStub(invocation, conversation)
        response = self.contract(stub, invocation.name, invocation.arguments)
        if conversation.failed:
            raise PeerFailed(conversation.failed)
        if len(response.payload) + len(response.message) > MAX_ANSWER_BYTES:
            raise ValueError("the answer fits no message")
        stub.close_queries()
        writes, event = stub.effects.of(response)
        send_writes(conversation, writes, offer)
        return response, completed(request, response, event)

    def _admit(self, request: Message) -> Invocation:
        if request.kind == Kind.INIT:
            raise Invalid("the contract is not initialised", reason="no-init")
        invocation = parse_invocation(request, self.name)
        verify_time(invocation.timestamp_ns, self.clock.now())
        return invocation

    def _failed(self, request: Message, reason: str, text: str, told: str) -> tuple[Response, Message]:
        named = request.tx_id if is_transaction_id(request.tx_id) else "of no valid id"
        _LOG.error(text + " (transaction %s)", told, named)
        return _answered(request, failure(reason))


def _answered(request: Message, response: Response) -> tuple[Response, Message]:
    return response, completed(request, response)
