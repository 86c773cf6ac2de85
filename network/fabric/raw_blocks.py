"""One peer's blocks as raw bytes over its Deliver service, known here the moment the peer has them.

One thread follows the peer from the first wait on and ends with ``close``. The newest blocks are held, bounded in
number and bytes, so that whoever was woken by a block need not fetch it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from domain.errors import Unavailable, YilianError
from network.fabric.connection import Connection
from network.fabric.deliver import Deliver, block_number
from network.fabric.gateway import GatewayError
from network.fabric.peers import identity_of, open_channel

MAX_HELD_BLOCKS: Final = 256
MAX_HELD_BYTES: Final = 32 * 1024 * 1024
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
STOP_TIMEOUT_S: Final = 5.0
_LOG: Final = logging.getLogger(__name__)


class HeldBlocks:
    """The newest blocks in a row; the oldest go first."""

    def __init__(self, max_blocks: int = MAX_HELD_BLOCKS, max_bytes: int = MAX_HELD_BYTES) -> None:
        self._max_blocks, self._max_bytes = max_blocks, max_bytes
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._bytes = 0

    def add(self, number: int, raw: bytes) -> None:
        """Hold one more; a gap begins a new row."""
        if self._blocks and number != next(reversed(self._blocks)) + 1:
            self._blocks.clear()
            self._bytes = 0
        self._blocks[number] = raw
        self._bytes += len(raw)
        while self._blocks and (len(self._blocks) > self._max_blocks or self._bytes > self._max_bytes):
            self._bytes -= len(self._blocks.popitem(last=False)[1])

    def get(self, number: int) -> bytes | None:
        """A block that is held."""
        return self._blocks.get(number)


class PeerBlocks:
    """A :class:`network.verifier.source.RawBlocks` over one peer; threads share it. ``ended`` is called at the end."""

    def __init__(self, deliver: Deliver, ended: Callable[[], None] = lambda: None) -> None:
        self._deliver, self._ended = deliver, ended
        self._changed = threading.Condition()
        self._held = HeldBlocks()
        self._known = 0
        self._told = 0  # how often the peer was heard to have more
        self._following: threading.Thread | None = None
        self._is_live = False
        self._closed = threading.Event()

    def close(self) -> None:
        """End the thread and every call; waiters are woken."""
        self._closed.set()
        self._deliver.close()
        with self._changed:
            self._changed.notify_all()
            following = self._following
        if following is not None:
            following.join(STOP_TIMEOUT_S)
        self._ended()

    def height(self) -> int:
        """The number of blocks, asked now; fewer than before, where the peer lost some or had claimed too many.

        Raises:
            Unavailable: the peer is down.
        """
        with self._changed:
            told = self._told
        height = self._deliver.height()
        with self._changed:
            self._known = height if told == self._told else max(self._known, height)
            self._changed.notify_all()
        return height

    def note(self, height: int) -> None:
        """The peer is known to have so many blocks: later calls show no fewer, unless it says so itself."""
        with self._changed:
            self._known = max(self._known, height)
            self._told += 1
            self._changed.notify_all()

    def blocks(self, start: int) -> Iterator[bytes]:
        """The blocks from ``start`` that exist now.

        Raises:
            Unavailable: the peer is down, or has fewer blocks than ``start``.
        """
        number = start
        while (raw := self._from_held(number)) is not None:
            yield raw
            number += 1
        end = self._known if number > start else self.height()
        if start > end:
            raise Unavailable("the peer has fewer blocks than it had", reason="peer-behind")
        yield from self._deliver.range(number, end)

    def range(self, start: int, end: int) -> Iterator[bytes]:
        """The blocks from ``start`` up to, not including, ``end``, which the peer has.

        Raises:
            Unavailable: the peer is down, or has them not.
        """
        return self._deliver.range(start, end)

    def wait_for_block(self, height: int, timeout_s: float) -> bool:
        """Wait until the peer has more than ``height`` blocks or the time is over; True if it has."""
        deadline = time.monotonic() + timeout_s
        self._follow()
        if not self._is_live and not self._known > height:
            with suppress(Unavailable):  # the caller learns of it from the calls that need an answer
                self.height()
        with self._changed:
            self._changed.wait_for(
                lambda: self._known > height or self._closed.is_set(), max(0.0, deadline - time.monotonic())
            )
            return self._known > height

    def _from_held(self, number: int) -> bytes | None:
        with self._changed:
            return self._held.get(number)

    def _follow(self) -> None:
        with self._changed:
            if self._following is None and not self._closed.is_set():
                self._following = threading.Thread(target=self._run, name="yilian-deliver", daemon=True)
                self._following.start()

    def _run(self) -> None:
        """Ends with ``close``; after a failure it goes on where it was, a moment later."""
        expected: int | None = None
        pause = FIRST_PAUSE_S
        while not self._closed.is_set():
            try:
                start = self.height() if expected is None or expected > self._known else expected
                for number in self._arriving(start):
                    expected, pause = number + 1, FIRST_PAUSE_S
            except (YilianError, GatewayError) as error:
                _LOG.debug("following the peer was interrupted: %s", type(error).__name__)
            self._is_live = False
            self._closed.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _arriving(self, start: int) -> Iterator[int]:
        """Take in the blocks from ``start`` on as they come, and say which."""
        self._is_live = True
        for expected, raw in enumerate(self._deliver.follow(start), start):
            number = block_number(raw)
            if number != expected:
                raise Unavailable("the peer shows another block than the next", reason="peer-down")
            with self._changed:
                self._held.add(number, raw)
            self.note(number + 1)
            yield number


def open_blocks(connection: Connection) -> PeerBlocks:
    """The own peer's blocks, on a connection that ends with them: for a witness or an export.

    Raises:
        Invalid, Unavailable: as :class:`network.fabric.peers.Peers`.
    """
    identity, signer = identity_of(connection)
    channel = open_channel(connection.own_peer)
    return PeerBlocks(Deliver(channel, connection.channel, identity, signer), channel.close)
