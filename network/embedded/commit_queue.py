"""Group commit within a process: whichever thread holds the commit lock commits for everybody who waits."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.errors import Denied, Invalid, OutcomeUnknown, Unavailable, YilianError

MAX_BLOCK_TRANSACTIONS = 500
MAX_BLOCK_BYTES = 32 * 1024 * 1024


@dataclass(slots=True, eq=False)
class _Ticket:
    tx_id: str
    envelope: bytes
    done: bool = False
    error: YilianError | None = None


class CommitQueue:
    """Envelopes on their way into a block.

    Args:
        commit: writes one block of these envelopes durably, in this order, or raises without an effect
            (:class:`OutcomeUnknown` where it cannot tell).
    """

    def __init__(self, commit: Callable[[Sequence[bytes]], None]) -> None:
        self._commit = commit
        self._waiting: deque[_Ticket] = deque()
        self._waiting_lock = threading.Lock()
        self._commit_lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many envelopes wait for the next block."""
        return len(self._waiting)

    def broadcast(self, tx_id: str, envelope: bytes, timeout_s: float) -> None:
        """Returns when the envelope stands in a durable block.

        Raises:
            Unavailable: it is in no block and will be in none.
            OutcomeUnknown: it may be in one.
        """
        ticket = _Ticket(tx_id, envelope)
        with self._waiting_lock:
            self._waiting.append(ticket)
        deadline = time.monotonic() + timeout_s
        while not ticket.done:
            if not self._commit_lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                self._give_up(ticket)
                break
            try:
                if not ticket.done:
                    self._lead()
            finally:
                self._commit_lock.release()
        if ticket.error is not None:
            raise _for_one(ticket.error, tx_id) from ticket.error

    def _lead(self) -> None:
        batch = self._take()
        try:
            self._commit_block(batch)
        finally:
            for ticket in batch:
                if not ticket.done:
                    ticket.error = OutcomeUnknown("the commit was interrupted", tx_id=ticket.tx_id)
                    ticket.done = True

    def _commit_block(self, batch: Sequence[_Ticket]) -> None:
        error: YilianError | None = None
        try:
            self._commit([ticket.envelope for ticket in batch])
        except (Invalid, Denied) as refused:
            if len(batch) > 1:  # one that no channel takes must not keep the others out
                for ticket in batch:
                    self._commit_block([ticket])
                return
            error = refused
        except YilianError as failed:
            error = failed
        for ticket in batch:
            ticket.error = error
            ticket.done = True

    def _take(self) -> list[_Ticket]:
        batch: list[_Ticket] = []
        size = 0
        with self._waiting_lock:
            while self._waiting and len(batch) < MAX_BLOCK_TRANSACTIONS:
                size += len(self._waiting[0].envelope)
                if batch and size > MAX_BLOCK_BYTES:
                    break
                batch.append(self._waiting.popleft())
        return batch

    def _give_up(self, ticket: _Ticket) -> None:
        with self._waiting_lock:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                raise Unavailable("the ledger is too busy", reason="ledger-busy")
        if not ticket.done:
            raise OutcomeUnknown("the block is still being written", tx_id=ticket.tx_id)


def _for_one(error: YilianError, tx_id: str) -> YilianError:
    """The error of a block as the error of one of its transactions; each thread raises an object of its own."""
    if isinstance(error, OutcomeUnknown):
        return OutcomeUnknown(error.detail, tx_id=tx_id, reason=error.reason)
    return type(error)(error.detail, reason=error.reason, place=error.place)
