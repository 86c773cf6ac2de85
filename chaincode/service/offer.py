"""What a peer offers beyond the first protocol, said in its READY (Fabric 3.1 ``ChaincodeAdditionalParams``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from network.blocks import protos
from network.blocks.protos import parse_into


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be used on this stream.

    Attributes:
        max_batch_writes: writes in one WRITE_BATCH_STATE; 0 where the peer does not take such messages, and would end
            the stream on one.
    """

    max_batch_writes: int = 0


NOTHING: Final = Offer()


def parse_offer(payload: bytes) -> Offer:
    """Read the payload of READY, which is empty before Fabric 3.1.

    Raises:
        Invalid: it is something else.
    """
    told = parse_into(protos.chaincode.ChaincodeAdditionalParams(), payload, "ChaincodeAdditionalParams")
    return Offer(told.max_size_write_batch if told.use_write_batch else 0)
