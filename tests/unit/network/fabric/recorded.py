"""Recorded channels of real Fabric networks as a peer would show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from domain.errors import Unavailable
from network.blocks.block import parse_block
from network.blocks.channel_config import parse_config_envelope
from network.blocks.transaction import parse_envelope
from network.verifier.block_reader import BlockReader
from network.verifier.folder import read_blocks

NETWORKS = ("raft-2.5", "raft-3.1.5", "bft-3.1.5")


class ShownBlocks:
    """A peer that shows these blocks; a test adds to them, takes some away, or turns the peer off."""

    def __init__(self, blocks: Sequence[bytes]) -> None:
        self.shown = list(blocks)
        self.down = False
        self.asked: list[int] = []

    def height(self) -> int:
        if self.down:
            raise Unavailable("the peer is down", reason="peer-down")
        return len(self.shown)

    def blocks(self, start: int) -> Iterator[bytes]:
        self.asked.append(start)
        if start > self.height():
            raise Unavailable("the peer has fewer blocks than it had", reason="peer-behind")
        yield from self.shown[start:]

    def wait_for_block(self, height: int, timeout_s: float) -> bool:
        return self.height() > height


def recorded(shared_data: Path, network: str) -> list[bytes]:
    """The blocks of a recorded channel, peer 1's copy."""
    return list(read_blocks(shared_data / "fabric" / network))


def reader_of(blocks: Sequence[bytes], contract: str = "yilian") -> BlockReader:
    """A reader that knows the channel's genesis digest."""
    genesis = parse_block(blocks[0])
    envelope = parse_envelope(genesis.envelopes[0])
    assert parse_config_envelope(envelope).config.sequence == 0
    return BlockReader(envelope.channel, contract, genesis.header.hash())
