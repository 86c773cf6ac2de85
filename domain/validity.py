"""Which transactions of a channel are valid, as one running hash (docs/formats/witness.md, "Answers").

Orderers sign a block's transactions and not its validation codes, so two peers that show the same headers can still
show two ledgers. Fabric's commit hash would tell them apart, but it also covers *why* a transaction is invalid, which
honest peers may see differently: any member could order a transaction whose refusal sets them at odds for ever. Valid
or not is what all of them must agree on, and together with the headers it fixes every write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

BEFORE_GENESIS: Final = bytes(32)


def validity_after(before: bytes, header_hash: bytes, valid: Iterable[bool]) -> bytes:
    """SHA-256(before ‖ header hash ‖ one byte for each transaction of the block: 1 valid, 0 not).

    Args:
        before: the value after the block before, ``BEFORE_GENESIS`` for block 0.
    """
    return hashlib.sha256(before + header_hash + bytes(map(int, valid))).digest()
