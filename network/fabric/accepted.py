"""What the ordering service said it has, until a block shows it.

A leader that dies loses what it had accepted and not yet replicated. Whatever is in no block of the own peer after two
seconds is therefore sent again, the same bytes: the channel takes them at most once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from domain.errors import Unavailable

RESEND_AFTER_S: Final = 2.0
KEPT_S: Final = 10.0
"""Afterwards the outcome is the caller's to find out, who submits the logical write again."""
MAX_KEPT_BYTES: Final = 32 * 1024 * 1024
"""The oldest go first: under such a load nothing is gained by sending more."""
MAX_RESENT_AT_ONCE: Final = 50
SHORTEST_PAUSE_S: Final = 0.05
STOP_TIMEOUT_S: Final = 5.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Accepted:
    envelope: bytes
    since_s: float
    due_s: float


class AcceptedTransactions:
    """Threads share it; somebody takes the turns.

    Args:
        is_in_block: whether the own peer has a transaction in a block; Unavailable where it cannot be asked.
        send: hands an envelope to the ordering service once more; whether that worked shows in the blocks.
        now_s: seconds that never go back.
    """

    def __init__(
        self,
        is_in_block: Callable[[str], bool],
        send: Callable[[bytes], object],
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_in_block, self._send, self._now_s = is_in_block, send, now_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Accepted] = OrderedDict()  # the one that is due first is first
        self._bytes = 0

    def add(self, tx_id: str, envelope: bytes) -> None:
        """The ordering service says that it has this transaction."""
        now = self._now_s()
        with self._lock:
            self._put(tx_id, _Accepted(envelope, now, now + RESEND_AFTER_S))

    def settle(self, tx_ids: Iterable[str]) -> None:
        """These are in a block."""
        with self._lock:
            for tx_id in tx_ids:
                self._pop(tx_id)

    def turn(self) -> float:
        """Ask for what is due, send again what is in no block; seconds until the next one is due."""
        for tx_id, accepted in self._due():
            try:
                if self._is_in_block(tx_id):
                    self.settle([tx_id])
                    continue
                self._send(accepted.envelope)
                _LOG.warning("an accepted transaction is in no block: sent again, %s", tx_id)
            except Unavailable:
                _LOG.debug("the own peer cannot be asked for a transaction: %s", tx_id)
        with self._lock:
            first = next(iter(self._kept.values()), None)
            return RESEND_AFTER_S if first is None else max(0.0, first.due_s - self._now_s())

    def _due(self) -> list[tuple[str, _Accepted]]:
        """What to ask for now; it is due again later, unless it is too old."""
        now = self._now_s()
        with self._lock:
            due = [(tx_id, one) for tx_id, one in self._kept.items() if one.due_s <= now][:MAX_RESENT_AT_ONCE]
            for tx_id, one in due:
                self._pop(tx_id)
                if now - one.since_s < KEPT_S:
                    self._put(tx_id, _Accepted(one.envelope, one.since_s, now + RESEND_AFTER_S))
            return due

    def _put(self, tx_id: str, accepted: _Accepted) -> None:
        self._pop(tx_id)
        self._kept[tx_id] = accepted
        self._bytes += len(accepted.envelope)
        while self._bytes > MAX_KEPT_BYTES:
            self._pop(next(iter(self._kept)))

    def _pop(self, tx_id: str) -> None:
        gone = self._kept.pop(tx_id, None)
        self._bytes -= 0 if gone is None else len(gone.envelope)


class Resending:
    """A thread that takes the turns, from :meth:`start` on until :meth:`close`."""

    def __init__(self, transactions: AcceptedTransactions) -> None:
        self._transactions = transactions
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, if that has not happened yet, or the thread has died of something unforeseen."""
        with self._lock:
            if not (self._closed.is_set() or (self._thread is not None and self._thread.is_alive())):
                self._thread = threading.Thread(target=self._run, name="accepted-transactions", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Send nothing more."""
        self._closed.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while not self._closed.wait(max(self._transactions.turn(), SHORTEST_PAUSE_S)):
            pass
