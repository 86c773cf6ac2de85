"""Signatures as Fabric accepts them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from domain.errors import Tampered
from network.blocks.signature import EcdsaSigner, verify_signature

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384_ORDER = int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)


P224_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D
P521_ORDER = 2**521 - 657877501894328237357444332315020117536923257219387276263472201219398408051703
CURVES = [
    (ec.SECP224R1(), P224_ORDER),
    (ec.SECP256R1(), P256_ORDER),
    (ec.SECP384R1(), P384_ORDER),
    (ec.SECP521R1(), P521_ORDER),
]


@pytest.mark.parametrize(("curve", "order"), CURVES, ids=[curve.name for curve, _ in CURVES])
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
    ):
        with pytest.raises(Tampered):
            verify_signature(public.public_key(), signed, message)


def test_what_follows_the_two_integers_is_passed_over_as_in_fabric() -> None:
    """A peer calls such a transaction valid; whoever does not would take the block for altered."""
    key = ec.generate_private_key(ec.SECP256R1())
    signature = EcdsaSigner(b"", key).sign(b"message")
    verify_signature(key.public_key(), signature + b"\0", b"message")
    verify_signature(key.public_key(), bytes([0x30, signature[1] + 2]) + signature[2:] + b"\x05\0", b"message")


@pytest.mark.parametrize(
    "change",
    [
        lambda der: b"\x31" + der[1:],
        lambda der: b"\x30\x81" + der[1:],
        lambda der: b"\x30\x80" + der[2:],
        lambda der: bytes([0x30, der[1] + 1]) + der[2:],
        lambda der: bytes([0x30, der[1] + 1, 2, der[3] + 1, 0]) + der[4:] if der[4] < 0x80 and der[4] else b"\x30",
        lambda der: b"\x30\x02\x02\x00",
        lambda der: b"\x30\x06\x02\x01\xff\x02\x01\x01",
        lambda der: b"\x30\x06\x02\x01\x00\x02\x01\x00",
    ],
)
def test_what_gos_decoder_refuses_is_refused(change: Callable[[bytes], bytes]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(Tampered):
        verify_signature(key.public_key(), change(EcdsaSigner(b"", key).sign(b"message")), b"message")


def test_an_unknown_curve_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(Tampered):
        verify_signature(key.public_key(), key.sign(b"message", ec.ECDSA(hashes.SHA256())), b"message")


def test_ed25519_signs_the_message_itself() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    verify_signature(key.public_key(), key.sign(b"message"), b"message")
    with pytest.raises(Tampered):
        verify_signature(key.public_key(), key.sign(b"message"), b"other")


def test_a_signer_shows_nothing_of_its_key() -> None:
    assert repr(EcdsaSigner(b"who", ec.generate_private_key(ec.SECP256R1()))) == "EcdsaSigner(…)"
