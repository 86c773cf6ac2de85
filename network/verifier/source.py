"""Where blocks come from: one member's peer, as raw bytes; every byte counts as hostile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class RawBlocks(Protocol):
    """The blocks of one channel as one peer has them. Every method raises ``Unavailable`` where the peer is down."""

    def height(self) -> int:
        """The number of blocks, fresh."""

    def blocks(self, start: int) -> Iterator[bytes]:
        """Serialised ``common.Block`` from ``start`` on that exist now, in order; nothing is verified."""

    def wait_for_block(self, height: int, timeout_s: float) -> bool:
        """Block until the channel is higher than ``height`` or the time is over; True if it is."""
