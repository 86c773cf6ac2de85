"""Signatures as Fabric accepts them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from domain.errors import Tampered
from network.blocks.signature import EcdsaSigner, verify_signature

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384_ORDER = int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)


@pytest.mark.parametrize(("curve", "order"), [(ec.SECP256R1(), P256_ORDER), (ec.SECP384R1(), P384_ORDER)])
def test_signatures_have_a_low_s_and_the_high_one_is_refused(curve: ec.EllipticCurve, order: int) -> None:
    key = ec.generate_private_key(curve)
    for number in range(8):
        message = b"message %d" % number
        signature = EcdsaSigner(b"", key).sign(message)
        r, s = decode_dss_signature(signature)
        assert s <= order // 2
        verify_signature(key.public_key(), signature, message)
        with pytest.raises(Tampered) as caught:
            verify_signature(key.public_key(), encode_dss_signature(r, order - s), message)
        assert caught.value.reason == "high-s"


def test_another_message_key_or_signature_is_refused() -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    signature = EcdsaSigner(b"", key).sign(b"message")
    for public, signed, message in (
        (key, signature, b"other"),
        (other, signature, b"message"),
        (key, b"", b"message"),
        (key, signature[:-1], b"message"),
        (key, signature + b"\0", b"message"),
    ):
        with pytest.raises(Tampered):
            verify_signature(public.public_key(), signed, message)


def test_an_unknown_curve_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    with pytest.raises(Tampered):
        verify_signature(key.public_key(), key.sign(b"message", ec.ECDSA(hashes.SHA256())), b"message")


def test_ed25519_signs_the_message_itself() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    verify_signature(key.public_key(), key.sign(b"message"), b"message")
    with pytest.raises(Tampered):
        verify_signature(key.public_key(), key.sign(b"message"), b"other")


def test_a_signer_shows_nothing_of_its_key() -> None:
    assert repr(EcdsaSigner(b"who", ec.generate_private_key(ec.SECP256R1()))) == "EcdsaSigner(…)"
