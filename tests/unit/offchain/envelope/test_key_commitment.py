"""One AES-GCM ciphertext that opens under two keys, really made, and what the key commitment says to it.

Construction: with two keys the tag is two polynomials over the same ciphertext blocks; one free block makes them equal
(Dodis, Grubbs, Ristenpart, Woodage, "Fast Message Franking", 2018, section 3). GHASH: NIST SP 800-38D section 6.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from domain.errors import Tampered
from offchain.envelope.keys import DataKey, ObjectKeys, derive_object_keys
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.unseal import unseal
from tests.unit.offchain.sealing import OBJECT_ID, TEST_SUITES, header

FIRST, SECOND = DataKey(b"\x01" * 32), DataKey(b"\x02" * 32)
HEAD = header().encode()
BLOCKS = [bytes([number]) * 16 for number in range(3)]


def block(encoded: bytes) -> int:
    return int.from_bytes(encoded, "big")


def times(left: int, right: int) -> int:
    """Multiplication in GF(2^128), SP 800-38D algorithm 1."""
    product = 0
    for bit in range(128):
        if left >> (127 - bit) & 1:
            product ^= right
        right = right >> 1 ^ (0xE1 << 120 if right & 1 else 0)
    return product


def inverse(value: int) -> int:
    """value^(2^128 - 2)."""
    result, square = 1 << 127, value
    for _ in range(127):
        square = times(square, square)
        result = times(result, square)
    return result


class Tagging:
    """GCM's tag under one key and nonce, as the polynomial that it is."""

    def __init__(self, keys: ObjectKeys) -> None:
        cipher = Cipher(AES(keys.file_key), ECB()).encryptor()  # noqa: S305 - one block of GCM's own definition
        self.point = block(cipher.update(bytes(16)))
        self.mask = block(cipher.update(keys.nonce(0, last=True) + b"\x00\x00\x00\x01"))

    def tag(self, associated: bytes, ciphertext: list[bytes]) -> int:
        padded = associated + bytes(-len(associated) % 16)
        lengths = (len(associated) * 8).to_bytes(8, "big") + (len(ciphertext) * 128).to_bytes(8, "big")
        value = 0
        for piece in (*(padded[at : at + 16] for at in range(0, len(padded), 16)), *ciphertext, lengths):
            value = times(value ^ block(piece), self.point)
        return value ^ self.mask


def two_key_body(first: ObjectKeys, second: ObjectKeys, associated: bytes) -> bytes:
    """Ciphertext and tag that both keys accept: the last block is solved for."""
    one, two = Tagging(first), Tagging(second)
    open_end = [*BLOCKS, bytes(16)]
    difference = one.tag(associated, open_end) ^ two.tag(associated, open_end)
    factor = times(one.point, one.point) ^ times(two.point, two.point)
    blocks = [*BLOCKS, times(difference, inverse(factor)).to_bytes(16, "big")]
    return b"".join(blocks) + one.tag(associated, blocks).to_bytes(16, "big")


def opened(keys: ObjectKeys, head: bytes, body: bytes) -> bytes:
    return AESGCM(keys.file_key).decrypt(keys.nonce(0, last=True), body, head)


@pytest.mark.parametrize(("committed", "other"), [(FIRST, SECOND), (SECOND, FIRST)], ids=["first", "second"])
def test_a_ciphertext_that_both_keys_open_is_refused_under_the_key_that_it_does_not_commit_to(
    committed: DataKey, other: DataKey
) -> None:
    keys, others = derive_object_keys(committed, bytes(32), HEAD), derive_object_keys(other, bytes(32), HEAD)
    head = HEAD + keys.commitment
    body = two_key_body(keys, others, head)
    assert opened(keys, head, body) != opened(others, head, body)
    sealed = SealedBytes.of(head + body, TEST_SUITES)
    with pytest.raises(Tampered) as caught:
        unseal(sealed.verified(sealed.digest, TEST_SUITES), other, object_id=OBJECT_ID)
    assert caught.value.reason == "wrong-key"


def test_no_head_commits_to_both_keys() -> None:
    first, second = (derive_object_keys(key, bytes(32), HEAD) for key in (FIRST, SECOND))
    for commitment in (first.commitment, second.commitment, bytes(32)):
        body = two_key_body(first, second, HEAD + commitment)
        sealed = SealedBytes.of(HEAD + commitment + body, TEST_SUITES)
        refused = []
        for key in (FIRST, SECOND):
            try:
                unseal(sealed.verified(sealed.digest, TEST_SUITES), key, object_id=OBJECT_ID)
            except Tampered as error:
                refused.append(error.reason)
        assert "wrong-key" in refused
