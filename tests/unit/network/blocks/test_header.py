"""Header and data hashes, against values that Fabric recorded and an independent DER encoder."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from domain.errors import Invalid
from network.blocks.header import BlockHeader, data_hash


@pytest.mark.parametrize("number", [0, 1, 127, 128, 255, 256, 32767, 32768, 2**63, 2**64 - 1])
def test_number_is_a_minimal_der_integer(number: int) -> None:
    """A DSS signature is SEQUENCE { INTEGER, INTEGER }: another encoder of the same INTEGER."""
    pair = encode_dss_signature(number, 0)
    integer = pair[2:-3]
    assert BlockHeader(number, b"", b"").der() == bytes((0x30, len(integer) + 4)) + integer + b"\x04\x00\x04\x00"


def test_long_hashes_get_long_lengths() -> None:
    der = BlockHeader(1, bytes(200), bytes(300)).der()
    assert der[:3] == b"\x30\x82" + (3 + 203 + 304).to_bytes(2, "big")[:1]
    assert der[4:] == b"\x02\x01\x01" + b"\x04\x81\xc8" + bytes(200) + b"\x04\x82\x01\x2c" + bytes(300)


def test_hash_is_sha256_of_the_der() -> None:
    header = BlockHeader(7, bytes(32), bytes(32))
    assert header.hash() == hashlib.sha256(header.der()).digest()


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_number_out_of_64_bits_is_refused(number: int) -> None:
    with pytest.raises(Invalid):
        BlockHeader(number, b"", b"")


def test_data_hash_is_over_the_concatenation() -> None:
    assert data_hash([b"ab", b"c"]) == data_hash([b"a", b"bc"]) == hashlib.sha256(b"abc").digest()
