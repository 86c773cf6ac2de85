"""Signatures over digests, and the digests: what is signed is ``sign(hash(message))``.

Fabric verifies ECDSA over SHA-256 whatever the curve, and takes low S only. Ed25519 (Fabric 3) signs the message
itself, so its hash is ``none``. A signer is any callable from digest to signature; those made here carry their hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from network.blocks.signature import encode_low_s
from network.fabric.gateway.errors import MalformedError

Hash = Callable[[bytes], bytes]
Sign = Callable[[bytes], bytes]

_CURVES = ("secp256r1", "secp384r1")
_BY_SIZE: dict[int, hashes.HashAlgorithm] = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}


def none(message: bytes) -> bytes:
    """The message itself, for signers that hash on their own."""
    return message


def sha256(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()


def sha384(message: bytes) -> bytes:
    return hashlib.sha384(message).digest()


def sha3_256(message: bytes) -> bytes:
    return hashlib.sha3_256(message).digest()


def sha3_384(message: bytes) -> bytes:
    return hashlib.sha3_384(message).digest()


@dataclass(frozen=True, slots=True)
class Signer:
    """A signing function and the hash that belongs before it."""

    sign: Sign = field(repr=False)
    hash: Hash = sha256

    def __call__(self, digest: bytes) -> bytes:
        return self.sign(digest)


def private_key_signer(pem: bytes, password: bytes | None = None) -> Signer:
    """Signs with the private key of a PEM file: P-256, P-384 or Ed25519.

    Raises:
        MalformedError: no such key, or the password does not open it.
    """
    try:
        key = serialization.load_pem_private_key(pem, password)
    except (ValueError, TypeError) as error:
        raise MalformedError("this is no private key in PEM, or the password does not open it") from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return Signer(key.sign, none)
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return Signer(_EcdsaSign(key))
    raise MalformedError("the key is neither P-256, P-384 nor Ed25519")


class _EcdsaSign:
    __slots__ = ("_key",)

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def __call__(self, digest: bytes) -> bytes:
        algorithm = _BY_SIZE.get(len(digest))
        if algorithm is None:
            raise MalformedError("a digest for ECDSA has 32, 48 or 64 bytes")
        r, s = decode_dss_signature(self._key.sign(digest, ec.ECDSA(Prehashed(algorithm))))
        return encode_low_s(r, s, self._key.curve.name)

    def __repr__(self) -> str:
        return "_EcdsaSign(…)"
