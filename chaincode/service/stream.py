"""One peer's stream: it registers the contract, then runs the peer's transactions, many at once.

One thread of gRPC writes, one thread of ours reads, those of the pool run transactions. What a peer sends that fits
nothing ends the stream or is dropped; it never ends the service.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import grpc

from chaincode.service.answers import completed, refusal
from chaincode.service.conversation import Conversation
from chaincode.service.message import Kind, Message, parse_message
from chaincode.service.metrics import Metrics
from chaincode.service.offer import NOTHING, parse_offer
from chaincode.service.outbox import Outbox
from chaincode.service.pool import TransactionPool
from chaincode.service.runner import TransactionRunner
from chaincode.stub import Response
from domain.errors import Invalid, Unavailable
from network.blocks import protos
from network.blocks.protos import serialize

CREATED: Final = "created"
ESTABLISHED: Final = "established"
READY: Final = "ready"
_NEXT: Final[Mapping[tuple[str, int], str]] = MappingProxyType(
    {(CREATED, Kind.REGISTERED): ESTABLISHED, (ESTABLISHED, Kind.READY): READY}
)
"""How a stream becomes ready (Fabric ``shim/handler.go``); before that, nothing else is understood."""

OUTBOX_MESSAGES: Final = 1024
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waits:
    """How long is waited, in seconds.

    Attributes:
        registration_s: for a peer to take the registration.
        answer_s: for a peer's answer to one request, and for a peer to read what is sent.
    """

    registration_s: float = 10.0
    answer_s: float = 30.0


class PeerStream:
    """The contract's side of one stream.

    Args:
        abandon: ends the stream at once; called when the peer does not read what is sent.
    """

    def __init__(
        self,
        package_id: str,
        runner: TransactionRunner,
        pool: TransactionPool,
        metrics: Metrics,
        waits: Waits,
        *,
        abandon: Callable[[], object],
    ) -> None:
        self._package_id = package_id
        self._runner = runner
        self._pool = pool
        self._metrics = metrics
        self._waits = waits
        self._abandon = abandon
        self._state = CREATED
        self._offer = NOTHING
        self._outbox = Outbox(OUTBOX_MESSAGES)
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], Conversation] = {}
        self._handlers: Mapping[int, Callable[[Message], None]] = {
            Kind.TRANSACTION: self._begin,
            Kind.INIT: self._begin,
            Kind.RESPONSE: self._deliver,
            Kind.ERROR: self._deliver,
        }

    def serve(self, requests: Iterator[bytes]) -> Iterator[bytes]:
        """What is to be written to the peer, until the stream ends; reads ``requests`` meanwhile.

        Raises:
            Unavailable: the peer did not take the registration in time.
        """
        self._send(Message(Kind.REGISTER, payload=self._registration()))
        threading.Thread(target=self._read, args=(requests,), name="contract-reader", daemon=True).start()
        try:
            yield from self._outgoing()
        finally:
            self.end()

    def end(self) -> None:
        """The stream is over: wake whoever waits for the peer. What is queued is still written, if it can be."""
        self._outbox.close()
        with self._lock:
            running = list(self._running.values())
        for conversation in running:
            conversation.end()

    def _outgoing(self) -> Iterator[bytes]:
        deadline = time.monotonic() + self._waits.registration_s
        while True:
            left = None if self._state == READY else max(0.0, deadline - time.monotonic())
            try:
                raw = self._outbox.take(left)
            except TimeoutError:
                if self._state == READY:
                    continue
                raise Unavailable("the peer did not take the registration", reason="not-registered") from None
            if raw is None:
                return
            yield raw

    def _registration(self) -> bytes:
        return serialize(protos.chaincode.ChaincodeID(name=self._package_id))

    def _read(self, requests: Iterator[bytes]) -> None:
        try:
            for raw in requests:
                self._handle(parse_message(raw))
        except Invalid as error:
            _LOG.error("a peer's stream is ended: %s", error.reason)
        except grpc.RpcError:
            _LOG.info("a peer ended its stream")
        except Exception as error:  # noqa: BLE001 - one stream ends; its text might hold what a person sent
            _LOG.error("a peer's stream is ended: %s", type(error).__name__)
        finally:
            self.end()

    def _handle(self, message: Message) -> None:
        if message.kind == Kind.KEEPALIVE:
            self._send(Message(Kind.KEEPALIVE))
        elif self._state != READY:
            self._advance(message)
        else:
            self._handlers.get(message.kind, self._drop)(message)

    def _advance(self, message: Message) -> None:
        following = _NEXT.get((self._state, message.kind))
        if following is None:
            raise Invalid("a message that the protocol does not have here", reason="protocol", place=self._state)
        if following == READY:
            self._offer = parse_offer(message.payload)
            _LOG.info("a peer is ready; writes in one message: %d", self._offer.max_batch_writes or 1)
        self._state = following

    def _begin(self, request: Message) -> None:
        conversation = Conversation(request, self._send, self._waits.answer_s)
        begun = time.monotonic()
        with self._lock:
            is_running = request.transaction in self._running
            if not is_running:
                self._running[request.transaction] = conversation
        if is_running:
            self._answer(
                request, refusal(Unavailable("the transaction is running", reason="duplicate-transaction")), begun
            )
            return
        self._metrics.in_flight.inc()
        try:
            self._pool.submit(
                lambda: self._run(request, conversation, begun), len(request.payload) + len(request.proposal)
            )
        except Unavailable as error:
            self._finish(request)
            self._answer(request, refusal(error), begun)

    def _run(self, request: Message, conversation: Conversation, begun: float) -> None:
        try:
            response, answer = self._runner.run(request, conversation, self._offer)
        finally:
            self._finish(request)
        self._metrics.answered(response.status, time.monotonic() - begun)
        self._send(answer)

    def _finish(self, request: Message) -> None:
        with self._lock:
            del self._running[request.transaction]
        self._metrics.in_flight.dec()

    def _answer(self, request: Message, response: Response, begun: float) -> None:
        self._metrics.answered(response.status, time.monotonic() - begun)
        self._send(completed(request, response))

    def _deliver(self, answer: Message) -> None:
        with self._lock:
            conversation = self._running.get(answer.transaction)
        if conversation is None or not conversation.deliver(answer):
            self._drop(answer)

    def _drop(self, _message: Message) -> None:
        self._metrics.dropped.inc()

    def _send(self, message: Message) -> bool:
        try:
            return self._outbox.put(message.encode(), self._waits.answer_s)
        except TimeoutError:
            _LOG.error("a peer does not read its stream, which is ended")
            self._abandon()
            return False
