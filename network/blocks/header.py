"""Block headers: how Fabric hashes and chains them (protoutil/blockutils.go)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from domain.errors import Invalid

MAX_BLOCK_NUMBER = 2**64 - 1
HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """``common.BlockHeader``; ``previous_hash`` is empty in the genesis block only."""

    number: int
    previous_hash: bytes
    data_hash: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.number <= MAX_BLOCK_NUMBER:
            raise Invalid("block number does not fit 64 bits", reason="bad-header", place="header.number")

    def der(self) -> bytes:
        """ASN.1 DER SEQUENCE { INTEGER number, OCTET STRING previous_hash, OCTET STRING data_hash }."""
        number = self.number.to_bytes(self.number.bit_length() // 8 + 1, "big")
        body = _tlv(0x02, number) + _tlv(0x04, self.previous_hash) + _tlv(0x04, self.data_hash)
        return _tlv(0x30, body)

    def hash(self) -> bytes:
        """SHA-256 of the DER encoding; the next block's ``previous_hash``."""
        return hashlib.sha256(self.der()).digest()


def data_hash(envelopes: Iterable[bytes]) -> bytes:
    """SHA-256 over the concatenated envelopes: flat, so it gives no short inclusion proof."""
    digest = hashlib.sha256()
    for envelope in envelopes:
        digest.update(envelope)
    return digest.digest()


def _tlv(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        return bytes((tag, size)) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + value
