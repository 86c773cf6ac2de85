"""Block 0 of the channel, made by configtxgen from the description."""

from __future__ import annotations

import json
from typing import Any, Final

from domain.errors import Unavailable
from network.blocks.block import parse_block
from network.blocks.channel_config import parse_config_envelope
from network.blocks.transaction import parse_envelope
from network.topology.description import Topology
from network.topology.engine import Binaries
from network.topology.layout import Layout, disk_errors, write_file
from network.topology.placement import Placement
from network.topology.profile import PROFILE, channel_profile

FIRST_BFT: Final = "3.0.0"


def check_engine(binaries: Binaries, topology: Topology) -> None:
    """Raises:
    Unavailable: the engine cannot order as the description wants.
    """
    if topology.consensus == "bft" and not binaries.version.has_bft:
        raise Unavailable(
            f"BFT ordering needs Hyperledger Fabric {FIRST_BFT} or newer; {binaries.folder} holds {binaries.version}",
            reason="no-bft",
        )


def make_genesis(binaries: Binaries, topology: Topology, layout: Layout, placement: Placement) -> bytes:
    """The block's bytes; each call makes another block, since it is dated.

    Raises:
        Unavailable: configtxgen refused, or knows no BFT ordering.
    """
    check_engine(binaries, topology)
    profile, block = layout.work / "configtx.yaml", layout.work / "genesis.block"
    rendered = channel_profile(topology, layout, placement, binaries.version)
    write_file(profile, (json.dumps(rendered, indent=1) + "\n").encode())
    binaries.run(
        "configtxgen", "-configPath", layout.work, "-profile", PROFILE,
        "-channelID", topology.channel, "-outputBlock", block,
    )  # fmt: skip
    with disk_errors(block):
        return block.read_bytes()


def rendered_group(binaries: Binaries, topology: Topology, layout: Layout, placement: Placement) -> Any:
    """``common.ConfigGroup`` that a new channel of this description would have, to copy parts from.

    Raises:
        Unavailable: configtxgen refused.
    """
    genesis = parse_block(make_genesis(binaries, topology, layout, placement))
    return parse_config_envelope(parse_envelope(genesis.envelopes[0])).config.channel_group


def genesis_hash(layout: Layout) -> str:
    """Header hash of the channel's block 0 in hex: what members compare to know that they are on one channel.

    Raises:
        Unavailable: it cannot be read.
    """
    with disk_errors(layout.genesis):
        return parse_block(layout.genesis.read_bytes()).header.hash().hex()
