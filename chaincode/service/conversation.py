"""One transaction's questions to the peer: one at a time, each with a deadline, answered, refused or given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, NoReturn

from google.protobuf.message import Message as Protobuf

from chaincode.service.message import Kind, Message
from network.blocks.protos import serialize


class PeerFailed(Exception):
    """The peer refused a request, answered nonsense, kept silent or is gone.

    Not of the product's taxonomy on purpose: the contract answers those errors as its own refusals, and a peer's
    failure is no answer of the contract. It says nothing of what was asked.

    Attributes:
        reason: ``refused``, ``garbled``, ``silent`` or ``gone``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REFUSED: Final = "refused"
GARBLED: Final = "garbled"
SILENT: Final = "silent"
GONE: Final = "gone"


class Conversation:
    """What a running transaction asks its peer.

    The peer drops a second question of one transaction, so each waits for its answer. After a failure nothing more is
    asked: a late answer must never be taken for the answer to another question.

    Args:
        send: puts a message on the stream; False if the stream has ended.
        timeout_s: how long an answer may take.
    """

    def __init__(self, request: Message, send: Callable[[Message], bool], timeout_s: float) -> None:
        self._channel, self._tx_id = request.transaction
        self._send = send
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._answers: SimpleQueue[Message | None] = SimpleQueue()
        self._is_waiting = False
        self.failed: str = ""

    def ask(self, kind: Kind, request: Protobuf) -> bytes:
        """The peer's answer to a request.

        Raises:
            PeerFailed: there is none, now or before.
        """
        with self._lock:
            if self.failed:
                raise PeerFailed(self.failed)
            self._is_waiting = True
        if not self._send(Message(kind, self._channel, self._tx_id, serialize(request))):
            self.fail(GONE)
        return self._answer()

    def fail(self, reason: str) -> NoReturn:
        """Give the transaction up.

        Raises:
            PeerFailed: always.
        """
        with self._lock:
            self._is_waiting = False
            self.failed = self.failed or reason
        raise PeerFailed(self.failed)

    def deliver(self, answer: Message) -> bool:
        """Hand over what the peer sent for this transaction; False if nothing was asked, and it is dropped."""
        with self._lock:
            if not self._is_waiting:
                return False
            self._is_waiting = False
        self._answers.put(answer)
        return True

    def end(self) -> None:
        """The stream is gone: whoever waits, or asks later, learns it."""
        with self._lock:
            self._is_waiting = False
            self.failed = self.failed or GONE
        self._answers.put(None)

    def _answer(self) -> bytes:
        try:
            answer = self._answers.get(timeout=self._timeout_s)
        except Empty:
            self.fail(SILENT)
        if answer is None:
            self.fail(GONE)
        if answer.kind != Kind.RESPONSE:
            self.fail(REFUSED)
        return answer.payload
