"""The own peer's blocks, each verified before it is given on, from any block on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from domain.errors import Invalid, Unavailable
from domain.ports import CommittedBlock
from network.fabric.trail import Trail
from network.verifier.block_reader import BlockReader
from network.verifier.position import Position
from network.verifier.source import RawBlocks

MAX_CATCH_UP_S: Final = 10.0
"""How long one call may verify blocks that nobody asked for, after the record of the chain was lost."""


class VerifiedBlocks:
    """Reads a source through a reader along a trail; holds one block at a time. Threads may share it."""

    def __init__(self, source: RawBlocks, reader: BlockReader, trail: Trail) -> None:
        self._source, self._reader, self._trail = source, reader, trail

    def blocks(self, start: int) -> Iterator[CommittedBlock]:
        """The verified blocks from ``start`` that exist now.

        Raises:
            Tampered: a block does not verify, or is another one than was verified before.
            Unavailable: the peer is down, has not yet the blocks before ``start``, or these are still being verified.
        """
        if start < 0:
            raise Invalid("block numbers begin at 0", place="start")
        self._reach(start)
        position = self._trail.before(start)
        for raw in self._source.blocks(start):
            block, position = self._read(raw, position)
            yield block

    def _reach(self, start: int) -> None:
        """Verify what lies between the trail's end and ``start``."""
        reached = self._trail.height()
        if reached >= start:
            return
        deadline = time.monotonic() + MAX_CATCH_UP_S
        position = self._trail.before(reached)
        for raw in self._source.blocks(reached):
            _, position = self._read(raw, position)
            if position.tip.number + 1 == start:
                return
            if time.monotonic() > deadline:
                raise Unavailable("blocks of the past are being verified again", reason="catching-up")
        raise Unavailable("the peer has fewer blocks than it had", reason="peer-behind")

    def _read(self, raw: bytes, before: Position | None) -> tuple[CommittedBlock, Position]:
        block, after = self._reader.read(raw, before)
        self._trail.keep(raw, before, after)
        return block, after
