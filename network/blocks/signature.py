"""Signatures as Fabric's software provider makes and accepts them (bccsp/sw/ecdsa.go, bccsp/utils/ecdsa.go)."""

from __future__ import annotations

from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from domain.errors import Tampered

SCHEMES = {"SHA2": ec.ECDSA(hashes.SHA256()), "SHA3": ec.ECDSA(hashes.SHA3_256())}
"""By ``FabricCryptoConfig.signature_hash_family``; members of one MSP sign over the same hash whatever the curve."""
_SHA256 = SCHEMES["SHA2"]
_ORDERS = {
    "secp224r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
    ),
    "secp521r1": int(
        "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "A51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        16,
    ),
}
"""Fabric's four curves: a member chooses its certificates, and what peers call valid must be so here."""
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
    """DER of the signature (r, s) with the lower of its two S; ``curve`` is one of Fabric's four."""
    return encode_dss_signature(r, _ORDERS[curve] - s if s > _HALF_ORDERS[curve] else s)


def verify_signature(key: PublicKey, signature: bytes, message: bytes, scheme: ec.ECDSA = _SHA256) -> None:
    """Checks one signature over ``message``.

    ECDSA is over the hash of ``scheme``, and S must be low: the other S of the same signature would let anyone
    make a second, different transaction out of a committed one. Ed25519 signs the message itself (Fabric 3).

    What follows the two integers is passed over, as Fabric's decoder does (Go, ``encoding/asn1``): a member that
    appends a byte to its signature has a valid transaction.

    Raises:
        Tampered: the signature does not fit, or its S is high.
    """
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
            return
        r, s = read_integers(signature)
        key.verify(encode_dss_signature(r, s), message, scheme)
        if s > _HALF_ORDERS[key.curve.name]:
            raise Tampered("signature has a high S", reason="high-s")
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, KeyError, IndexError) as error:
        raise Tampered("signature does not verify", reason="bad-signature") from error


def read_integers(signature: bytes) -> tuple[int, int]:
    """R and S of DER SEQUENCE { INTEGER, INTEGER, … }; ValueError or IndexError where Go finds none."""
    begin, end = _element(signature, 0, len(signature), 0x30)
    r_begin, r_end = _element(signature, begin, end, 0x02)
    s_begin, s_end = _element(signature, r_end, end, 0x02)
    return _positive(signature[r_begin:r_end]), _positive(signature[s_begin:s_end])


def _element(raw: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Where the content of a DER element begins and ends; its length is minimally encoded and within ``end``."""
    size, begin = raw[at + 1], at + 2
    if size >= 0x80:
        count = size & 0x7F
        begin += count
        size = int.from_bytes(raw[at + 2 : begin], "big")
        if not 1 <= count <= 4 or size < 0x80 or raw[at + 2] == 0:
            raise ValueError("length is not minimal")
    if raw[at] != tag or begin + size > end:
        raise ValueError("another element is expected")
    return begin, begin + size


def _positive(content: bytes) -> int:
    """A positive INTEGER, minimally encoded."""
    if content[0] >= 0x80 or (len(content) > 1 and content[0] == 0 and content[1] < 0x80):
        raise ValueError("integer is negative or not minimal")
    return int.from_bytes(content, "big")
