"""Where a stream of events starts."""

from __future__ import annotations

from typing import Any

from network.fabric.gateway.checkpointer import Checkpoint
from network.fabric.gateway.protos import orderer

LAST_BLOCK = 2**64 - 1


def start_position(start_block: int | None, checkpoint: Checkpoint | None) -> Any:
    """``orderer.SeekPosition``: a checkpoint that is set wins over ``start_block``; neither means the next commit.

    Raises:
        ValueError: no block number.
    """
    at = start_block if checkpoint is None or checkpoint.block_number is None else checkpoint.block_number
    if at is None:
        return orderer.SeekPosition(next_commit=orderer.SeekNextCommit())
    return block_position(at)


def block_position(number: int) -> Any:
    if not 0 <= number <= LAST_BLOCK:
        raise ValueError("a block number has 64 bits")
    return orderer.SeekPosition(specified=orderer.SeekSpecified(number=number))
