"""How the networks of these tests order: Raft, or BFT where ``TESTS_CONSENSUS`` says so (docs/fabric-network.md)."""

from __future__ import annotations

import os

from network.topology.description import Consensus

CONSENSUS = "TESTS_CONSENSUS"
FOURTH = "TongjiMSP"
"""BFT needs four ordering nodes."""


def consensus() -> Consensus:
    """The ordering that was chosen."""
    return "bft" if os.environ.get(CONSENSUS) == "bft" else "raft"
