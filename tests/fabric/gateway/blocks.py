"""The three kinds of block events as the scenarios see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from network.blocks.block import parse_block
from network.blocks.transaction import parse_envelope
from network.fabric.gateway import (
    Block,
    BlockAndPrivateData,
    BlockEventsRequest,
    Checkpoint,
    EventStream,
    FilteredBlock,
    Gateway,
    Network,
)


@dataclass(frozen=True, slots=True)
class BlockSeen:
    """A block's number and the ids of its transactions."""

    number: int
    transaction_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: how a stream, an unsigned request and a signed one are made, and how an event is read."""

    listen: Callable[[Network, int | None, Checkpoint | None], EventStream[Any]]
    request: Callable[[Network], BlockEventsRequest[Any]]
    signed: Callable[[Gateway, bytes, bytes], BlockEventsRequest[Any]]
    read: Callable[[Any], BlockSeen]


def _read_block(block: Block) -> BlockSeen:
    parsed = parse_block(block.raw)
    return BlockSeen(block.number, frozenset(parse_envelope(raw).tx_id for raw in parsed.envelopes))


def _read_filtered(block: FilteredBlock) -> BlockSeen:
    return BlockSeen(block.number, frozenset(item.transaction_id for item in block.transactions))


def _read_private(event: BlockAndPrivateData) -> BlockSeen:
    return _read_block(event.block)


KINDS = {
    "blocks": Kind(
        lambda network, start, checkpoint: network.block_events(start_block=start, checkpoint=checkpoint),
        lambda network: network.new_block_events_request(start_block=0),
        lambda gateway, raw, signature: gateway.new_signed_block_events_request(raw, signature),
        _read_block,
    ),
    "filtered blocks": Kind(
        lambda network, start, checkpoint: network.filtered_block_events(start_block=start, checkpoint=checkpoint),
        lambda network: network.new_filtered_block_events_request(start_block=0),
        lambda gateway, raw, signature: gateway.new_signed_filtered_block_events_request(raw, signature),
        _read_filtered,
    ),
    "blocks and private data": Kind(
        lambda network, start, checkpoint: network.block_and_private_data_events(
            start_block=start, checkpoint=checkpoint
        ),
        lambda network: network.new_block_and_private_data_events_request(start_block=0),
        lambda gateway, raw, signature: gateway.new_signed_block_and_private_data_events_request(raw, signature),
        _read_private,
    ),
}
