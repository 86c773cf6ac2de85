"""Strict Ed25519: one verdict for one signature everywhere."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp

from domain.ed25519 import is_strict_public_key, verify_signature
from domain.errors import Tampered

ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
MESSAGE = b"statement"
SIGNATURE = PRIVATE.sign(MESSAGE)
SMALL_ORDER = [
    bytes.fromhex(item)
    for item in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    )
]
NOT_CANONICAL = [
    FIELD.to_bytes(32, "little"),
    (FIELD + 1).to_bytes(32, "little"),
    (FIELD + 3).to_bytes(32, "little"),
    (FIELD | 1 << 255).to_bytes(32, "little"),
    bytes([1, *[0] * 30, 0x80]),
    b"\xff" * 32,
]


def reason(public: bytes, signature: bytes, message: bytes = MESSAGE) -> str:
    with pytest.raises(Tampered) as caught:
        verify_signature(public, signature, message)
    return caught.value.reason


def test_the_vector_of_rfc_8032_verifies() -> None:
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    verify_signature(public, signature, b"\x72")


def test_a_signature_fits_one_message_and_one_key() -> None:
    verify_signature(PUBLIC, SIGNATURE, MESSAGE)
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    assert reason(PUBLIC, SIGNATURE, MESSAGE + b"!") == "signature"
    assert reason(other, SIGNATURE) == "signature"


@pytest.mark.parametrize("public", SMALL_ORDER, ids=lambda item: item.hex()[:8])
def test_a_small_order_key_under_which_one_signature_fits_many_messages_is_refused(public: bytes) -> None:
    scalar = (7).to_bytes(32, "little")
    universal = crypto_scalarmult_ed25519_base_noclamp(scalar) + scalar
    assert not is_strict_public_key(public)
    assert reason(public, universal) == "weak-key"


@pytest.mark.parametrize("torsion", SMALL_ORDER[1:], ids=lambda item: item.hex()[:8])
def test_a_key_with_a_small_order_part_is_refused(torsion: bytes) -> None:
    mixed = crypto_core_ed25519_add(PUBLIC, torsion)
    assert mixed != PUBLIC
    assert reason(mixed, SIGNATURE) == "weak-key"


@pytest.mark.parametrize("public", NOT_CANONICAL, ids=lambda item: item.hex()[:8])
def test_a_key_in_another_encoding_is_refused(public: bytes) -> None:
    assert reason(public, SIGNATURE) == "weak-key"


def test_s_plus_the_group_order_is_refused() -> None:
    scalar = int.from_bytes(SIGNATURE[32:], "little")
    assert scalar < ORDER
    for value in (scalar + ORDER, ORDER, 2**256 - 1):
        assert reason(PUBLIC, SIGNATURE[:32] + value.to_bytes(32, "little")) == "signature-form"


@pytest.mark.parametrize("point", [*SMALL_ORDER, *NOT_CANONICAL], ids=lambda item: item.hex()[:8])
def test_an_r_of_small_order_or_other_encoding_is_refused(point: bytes) -> None:
    assert reason(PUBLIC, point + SIGNATURE[32:]) == "signature-form"


@pytest.mark.parametrize("torsion", SMALL_ORDER[1:], ids=lambda item: item.hex()[:8])
def test_an_r_with_a_small_order_part_is_refused(torsion: bytes) -> None:
    assert reason(PUBLIC, crypto_core_ed25519_add(SIGNATURE[:32], torsion) + SIGNATURE[32:]) == "signature-form"


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    assert reason(PUBLIC, (SIGNATURE * 2)[:length]) == "signature-form"


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    assert reason((PUBLIC * 2)[:length], SIGNATURE) == "weak-key"
