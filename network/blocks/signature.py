"""Signatures as Fabric's software provider makes and accepts them (bccsp/sw/ecdsa.go, bccsp/utils/ecdsa.go)."""

from __future__ import annotations

from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from domain.errors import Tampered

_SHA256 = ec.ECDSA(hashes.SHA256())
_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
    ),
}
_HALF_ORDERS = {name: order >> 1 for name, order in _ORDERS.items()}

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class Signer(Protocol):
    """Somebody who can sign: ``identity`` is the serialized ``msp.SerializedIdentity``."""

    @property
    def identity(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


class EcdsaSigner:
    """Signs SHA-256 digests with an EC key and returns DER with the low S that Fabric demands."""

    __slots__ = ("_key", "identity")

    def __init__(self, identity: bytes, key: ec.EllipticCurvePrivateKey) -> None:
        self.identity = identity
        self._key = key

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(message, _SHA256))
        return encode_low_s(r, s, self._key.curve.name)

    def __repr__(self) -> str:
        return "EcdsaSigner(…)"


def encode_low_s(r: int, s: int, curve: str) -> bytes:
    """DER of the signature (r, s) with the lower of its two S; ``curve`` is ``secp256r1`` or ``secp384r1``."""
    return encode_dss_signature(r, _ORDERS[curve] - s if s > _HALF_ORDERS[curve] else s)


def verify_signature(key: PublicKey, signature: bytes, message: bytes) -> None:
    """Checks one signature over ``message``.

    ECDSA is over SHA-256 whatever the curve, and S must be low: the other S of the same signature would let anyone
    make a second, different transaction out of a committed one. Ed25519 signs the message itself (Fabric 3).

    Raises:
        Tampered: the signature does not fit, or is not canonical.
    """
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
            return
        key.verify(signature, message, _SHA256)
        if _s(signature) > _HALF_ORDERS[key.curve.name]:
            raise Tampered("signature has a high S", reason="high-s")
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, KeyError) as error:
        raise Tampered("signature does not verify", reason="bad-signature") from error


def _s(signature: bytes) -> int:
    """S of a signature that verified: OpenSSL accepts minimal DER only, so its two lengths are single bytes."""
    return int.from_bytes(signature[6 + signature[3] :], "big")
