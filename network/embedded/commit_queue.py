"""Group commit within a process: one thread at a time leads and commits for everybody who waits.

A leader that is done wakes those whose transactions are in its block and makes the first who still waits the next
leader, so nobody is woken in vain and nobody is overtaken.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from domain.errors import Denied, Invalid, OutcomeUnknown, Unavailable, YilianError

MAX_BLOCK_TRANSACTIONS = 500
MAX_BLOCK_BYTES = 32 * 1024 * 1024


@dataclass(slots=True, eq=False)
class _Ticket:
    """An envelope on its way; ``woken`` is set when it is done, or when its thread is to lead."""

    tx_id: str
    envelope: bytes
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
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
        self._lock = threading.Lock()
        self._has_leader = False

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
        with self._lock:
            self._waiting.append(ticket)
            ticket.leads = not self._has_leader
            self._has_leader = True
        if not ticket.leads and not ticket.woken.wait(timeout_s):
            self._give_up(ticket)
        if ticket.leads and not ticket.done:
            self._lead()
        if ticket.error is not None:
            raise _for_one(ticket.error, tx_id) from ticket.error

    def _lead(self) -> None:
        """Commits one block; it holds the leader's own envelope, which waits first in the queue."""
        batch = self._take()
        try:
            self._commit_block(batch)
        finally:
            for ticket in batch:
                if not ticket.done:
                    ticket.error = OutcomeUnknown("the commit was interrupted", tx_id=ticket.tx_id)
                    ticket.done = True
            self._hand_over()
            for ticket in batch:
                ticket.woken.set()

    def _hand_over(self) -> None:
        with self._lock:
            self._has_leader = bool(self._waiting)
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].woken.set()

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
        with self._lock:
            while self._waiting and len(batch) < MAX_BLOCK_TRANSACTIONS:
                size += len(self._waiting[0].envelope)
                if batch and size > MAX_BLOCK_BYTES:
                    break
                batch.append(self._waiting.popleft())
        return batch

    def _give_up(self, ticket: _Ticket) -> None:
        """Leaves the queue after the deadline, unless it is this thread's turn to lead just now."""
        with self._lock:
            if ticket.leads or ticket.done:
                return
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                raise Unavailable("the ledger is too busy", reason="ledger-busy")
        raise OutcomeUnknown("the block is still being written", tx_id=ticket.tx_id)


def _for_one(error: YilianError, tx_id: str) -> YilianError:
    """The error of a block as the error of one of its transactions; each thread raises an object of its own."""
    if isinstance(error, OutcomeUnknown):
        return OutcomeUnknown(error.detail, tx_id=tx_id, reason=error.reason)
    return type(error)(error.detail, reason=error.reason, place=error.place)
