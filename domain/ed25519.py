"""Ed25519 signatures, verified strictly, in this one place.

Sources: RFC 8032; "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020). Libraries differ on small-order and
mixed-order points and on encodings that are not canonical; under a small-order key one signature can fit all messages.
So: canonical encodings only, S below the group order, and A and R in the prime-order subgroup, then the equation.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl.bindings import crypto_core_ed25519_is_valid_point

from domain.errors import Tampered
from domain.identifiers import decode_bytes

ALG = "Ed25519"
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


def is_strict_public_key(public_key: bytes) -> bool:
    """True if the bytes are the canonical encoding of a point of the prime-order subgroup, not its identity."""
    return len(public_key) == PUBLIC_KEY_BYTES and bool(crypto_core_ed25519_is_valid_point(public_key))


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Verify a signature.

    Raises:
        Tampered: the key, the signature's encoding, or the equation does not hold.
    """
    if not is_strict_public_key(public_key):
        raise Tampered("the public key is not a point of the prime-order subgroup", reason="weak-key")
    if len(signature) != SIGNATURE_BYTES or int.from_bytes(signature[32:], "little") >= _GROUP_ORDER:
        raise Tampered("the signature is not in its canonical form", reason="signature-form")
    if not crypto_core_ed25519_is_valid_point(signature[:32]):
        raise Tampered("the signature's R is not a point of the prime-order subgroup", reason="signature-form")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        raise Tampered("the signature does not fit the message and key", reason="signature") from None


def verify_text(text: str, signature: str, public_key: str) -> None:
    """Verify the signature over a text's UTF-8 bytes; signature and key in base64url.

    Raises:
        Invalid: an encoding breaks a rule.
        Tampered: the signature does not fit.
    """
    verify_signature(
        decode_bytes(public_key, "signing_key", length=PUBLIC_KEY_BYTES),
        decode_bytes(signature, "signature", length=SIGNATURE_BYTES),
        text.encode(),
    )
