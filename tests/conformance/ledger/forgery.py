"""What a member can have ordered that claims to be somebody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from network.blocks import protos
from network.blocks.proposal import build_channel_header
from network.blocks.protos import serialize
from network.blocks.transaction import HeaderType
from network.embedded.endorser import Endorsed


class Assembler(Protocol):
    """Who signs the envelope."""

    def assemble(self, endorsed: Endorsed) -> bytes: ...


def under_the_id(forger: Assembler, endorsed: Endorsed, tx_id: str) -> bytes:
    """An envelope whose header claims another transaction's id."""
    asked = endorsed.proposal
    extension = protos.proposal.ChaincodeHeaderExtension()
    extension.chaincode_id.name = asked.chaincode
    header = build_channel_header(
        HeaderType.ENDORSER_TRANSACTION, asked.channel, tx_id, asked.timestamp_ns, serialize(extension)
    )
    return forger.assemble(replace(endorsed, proposal=replace(asked, channel_header=header)))
