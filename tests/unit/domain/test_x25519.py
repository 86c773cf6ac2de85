"""X25519 keys of small order."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from domain.errors import Invalid
from domain.identifiers import encode_bytes
from domain.statements import PatientKeys
from domain.x25519 import check_public_key
from tests.unit.chaincode.world import Wallet

PRIME = 2**255 - 19
SMALL_ORDER = [
    bytes(32),
    bytes([1]) + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (PRIME - 1).to_bytes(32, "little"),
    PRIME.to_bytes(32, "little"),
    (PRIME + 1).to_bytes(32, "little"),
]
ENCODINGS = [key for point in SMALL_ORDER for key in (point, point[:31] + bytes([point[31] | 0x80]))]


@pytest.mark.parametrize("key", ENCODINGS, ids=bytes.hex)
def test_a_key_that_leads_to_the_all_zero_result_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="shared key"):
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(key))
    with pytest.raises(Invalid) as caught:
        check_public_key(key, "wrap")
    assert (caught.value.reason, caught.value.place) == ("weak-key", "wrap")


@pytest.mark.parametrize("key", ENCODINGS, ids=bytes.hex)
def test_no_patient_enrols_with_such_a_key(key: bytes) -> None:
    keys = Wallet("li").keys
    with pytest.raises(Invalid):
        PatientKeys(keys.signing_alg, keys.signing, keys.wrap_alg, encode_bytes(key))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(Invalid):
        check_public_key(b"\x09" * length, "wrap")


def test_other_keys_are_taken() -> None:
    for key in (X25519PrivateKey.generate().public_key().public_bytes_raw(), os.urandom(32), b"\x09" + bytes(31)):
        assert check_public_key(key, "wrap") == key
