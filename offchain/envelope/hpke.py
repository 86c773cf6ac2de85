"""HPKE (RFC 9180, base mode) to one recipient, and the public keys that are published for it.

Suites: DHKEM(X25519) and the hybrid MLKEM768-X25519 (draft-ietf-hpke-pq), both with HKDF-SHA-256 and AES-256-GCM.
The single-shot interface takes no associated data, so whatever a ciphertext is bound to goes into ``info`` as JCS.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite

from domain import jcs
from domain.errors import Invalid, Tampered
from domain.identifiers import decode_bytes, encode_bytes

HPKE_X25519: Final = "HPKE-X25519"
HPKE_HYBRID: Final = "HPKE-MLKEM768-X25519"
_X25519_BYTES: Final = 32
_MLKEM768_BYTES: Final = 1184
_MLKEM768_SEED_BYTES: Final = 64
_PUBLIC_BYTES: Final = {HPKE_X25519: _X25519_BYTES, HPKE_HYBRID: _MLKEM768_BYTES + _X25519_BYTES}
_SUITES: Final = {
    HPKE_X25519: Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    HPKE_HYBRID: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}
_SOME_SCALAR: Final = X25519PrivateKey.from_private_bytes(bytes(_X25519_BYTES))
"""Any scalar leads from a point of small order to the all-zero result, which the exchange refuses."""


@dataclass(frozen=True, slots=True)
class RecipientPublicKey:
    """A published key: ``alg`` and its raw bytes; for the hybrid ML-KEM-768 (1184 bytes) ‖ X25519 (32 bytes).

    Points of small order are refused here already (RFC 7748 section 6.1, all-zero result).
    """

    alg: str
    raw: bytes

    def __post_init__(self) -> None:
        if self.alg not in _SUITES or len(self.raw) != _PUBLIC_BYTES[self.alg]:
            raise Invalid("a public key of an HPKE suite is expected", reason="public-key", place="alg")
        try:
            _native_public(self)
            _SOME_SCALAR.exchange(X25519PublicKey.from_public_bytes(self.raw[-_X25519_BYTES:]))
        except ValueError:
            raise Invalid("these bytes are no public key of the suite, or weak", reason="public-key") from None

    @classmethod
    def parse(cls, alg: object, text: object, place: str = "publicKey") -> RecipientPublicKey:
        """Read a key as it is published, base64url of its raw bytes.

        Raises:
            Invalid: unknown ``alg``, another length, or no key of the suite.
        """
        if not isinstance(alg, str) or alg not in _SUITES:
            raise Invalid("a public key of an HPKE suite is expected", reason="public-key", place=place)
        return cls(alg, decode_bytes(text, place, length=_PUBLIC_BYTES[alg]))

    @property
    def text(self) -> str:
        """Base64url of the raw bytes."""
        return encode_bytes(self.raw)

    @property
    def digest(self) -> str:
        """SHA-256 of the raw bytes, as the access entry on the ledger names a one-use key."""
        return encode_bytes(hashlib.sha256(self.raw).digest())


@dataclass(frozen=True, slots=True, eq=False)
class RecipientPrivateKey:
    """A private key: X25519 scalar, or ML-KEM seed (64 bytes) ‖ X25519 scalar. Never printed or pickled."""

    alg: str
    _raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        expected = _X25519_BYTES + (_MLKEM768_SEED_BYTES if self.alg == HPKE_HYBRID else 0)
        if self.alg not in _SUITES or len(self._raw) != expected:
            raise ValueError("not a private key of an HPKE suite")

    @classmethod
    def generate(cls, alg: str) -> RecipientPrivateKey:
        """A fresh key from the operating system's generator."""
        seed = MLKEM768PrivateKey.generate().private_bytes_raw() if alg == HPKE_HYBRID else b""
        return cls(alg, seed + X25519PrivateKey.generate().private_bytes_raw())

    def reveal(self) -> bytes:
        """The secret bytes, for a keyring that seals them; never for anything that is shown."""
        return self._raw

    @property
    def public(self) -> RecipientPublicKey:
        """The public half."""
        x25519 = X25519PrivateKey.from_private_bytes(self._raw[-_X25519_BYTES:]).public_key().public_bytes_raw()
        if self.alg == HPKE_X25519:
            return RecipientPublicKey(self.alg, x25519)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(self._raw[:_MLKEM768_SEED_BYTES]).public_key().public_bytes_raw()
        return RecipientPublicKey(self.alg, mlkem + x25519)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled or copied")


def _native_public(key: RecipientPublicKey) -> X25519PublicKey | MLKEM768X25519PublicKey:
    x25519 = X25519PublicKey.from_public_bytes(key.raw[-_X25519_BYTES:])
    if key.alg == HPKE_X25519:
        return x25519
    return MLKEM768X25519PublicKey(MLKEM768PublicKey.from_public_bytes(key.raw[:_MLKEM768_BYTES]), x25519)


def _native_private(key: RecipientPrivateKey) -> X25519PrivateKey | MLKEM768X25519PrivateKey:
    raw = key.reveal()
    x25519 = X25519PrivateKey.from_private_bytes(raw[-_X25519_BYTES:])
    if key.alg == HPKE_X25519:
        return x25519
    return MLKEM768X25519PrivateKey(MLKEM768PrivateKey.from_seed_bytes(raw[:_MLKEM768_SEED_BYTES]), x25519)


def hpke_seal(public: RecipientPublicKey, info: list[str | int], plaintext: bytes) -> bytes:
    """Encapsulated key ‖ ciphertext, bound to ``info``.

    Raises:
        Invalid: the key leads to the all-zero X25519 result (small-order point).
    """
    try:
        return _SUITES[public.alg].encrypt(plaintext, _native_public(public), info=jcs.canonical([public.alg, *info]))
    except ValueError:
        raise Invalid("the public key is of small order", reason="public-key") from None


def hpke_open(private: RecipientPrivateKey, info: list[str | int], sealed: bytes) -> bytes:
    """The plaintext, if it was sealed to this key under the same ``info``.

    Raises:
        Tampered: to another key, with other ``info``, or altered.
    """
    try:
        return _SUITES[private.alg].decrypt(sealed, _native_private(private), info=jcs.canonical([private.alg, *info]))
    except (InvalidTag, ValueError):
        raise Tampered("this was not sealed to this key for this purpose", reason="wrap-altered") from None
