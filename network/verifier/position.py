"""Where a reader of a channel stands: the last block, and all that the next one is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from network.blocks.channel_config import ChannelConfig


@dataclass(frozen=True, slots=True)
class Tip:
    """A block as the next one refers to it; ``commit_hash`` is empty after the genesis block."""

    number: int
    header_hash: bytes
    commit_hash: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Position:
    """After a block.

    Attributes:
        tip: that block.
        config: the configuration after it.
        last_config: number of the latest configuration block.
        definitions: what namespace ``_lifecycle`` holds after it, key by key.
    """

    tip: Tip
    config: ChannelConfig
    last_config: int = 0
    definitions: Mapping[str, bytes] = field(default_factory=dict)

    def same_rules(self, other: Position) -> bool:
        """Whether the next block is judged alike after both, where one of them came from the other."""
        return self.config is other.config and self.definitions is other.definitions
