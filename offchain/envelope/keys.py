"""Secret keys as types of their own, and what is derived from a data key (RFC 5869)."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final, NoReturn, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain import jcs
from domain.errors import Tampered
from offchain.envelope.suite import COMMITMENT_BYTES, DATA_KEY_BYTES, NONCE_PREFIX_BYTES

OWNER_SALT_BYTES: Final = 32


class SecretKey:
    """256 secret bits that print, log and pickle as nothing."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != DATA_KEY_BYTES:
            raise ValueError(f"{type(self).__name__} is {DATA_KEY_BYTES} bytes")
        self._secret = bytes(secret)

    @classmethod
    def generate(cls) -> Self:
        """A fresh key from the operating system's generator."""
        return cls(secrets.token_bytes(DATA_KEY_BYTES))

    def reveal(self) -> bytes:
        """The secret bytes, for a cipher or a wrap; never for anything that is stored or shown."""
        return self._secret

    def __repr__(self) -> str:
        return f"{type(self).__name__}(secret)"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        raise TypeError("a secret key is no dictionary key: its hash would tell about it")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret key is not pickled or copied")


class DataKey(SecretKey):
    """The key of one sealed object."""

    __slots__ = ()


class CustodyKey(SecretKey):
    """A key of the custodian that wraps data keys."""

    __slots__ = ()


class RecordSecret(SecretKey):
    """The random secret of one record, in the store that can forget; without it no wrap of the record opens."""

    __slots__ = ()


class SessionKey(SecretKey):
    """The key of one access, under which the data keys of its records travel."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ObjectKeys:
    """What one data key gives for one header: file key, nonce prefix, commitment."""

    file_key: bytes = field(repr=False)
    nonce_prefix: bytes = field(repr=False)
    commitment: bytes

    def nonce(self, index: int, *, last: bool) -> bytes:
        """STREAM: prefix of 7 bytes ‖ chunk counter of 4 bytes, big-endian ‖ 1 for the last chunk, else 0."""
        return self.nonce_prefix + index.to_bytes(4, "big") + (b"\x01" if last else b"\x00")


def derive_object_keys(key: DataKey, salt: bytes, head: bytes) -> ObjectKeys:
    """HKDF-SHA-256(data key, salt, info = header bytes) → file key 32 ‖ nonce prefix 7 ‖ commitment 32."""
    length = DATA_KEY_BYTES + NONCE_PREFIX_BYTES + COMMITMENT_BYTES
    okm = HKDF(algorithm=SHA256(), length=length, salt=salt, info=head).derive(key.reveal())
    split = DATA_KEY_BYTES + NONCE_PREFIX_BYTES
    return ObjectKeys(file_key=okm[:DATA_KEY_BYTES], nonce_prefix=okm[DATA_KEY_BYTES:split], commitment=okm[split:])


def derive_owner_salt(key: DataKey, object_id: str) -> bytes:
    """The owner salt of a record's leaf, known to the holders of its data key and to nobody else.

    HKDF-SHA-256(data key, no salt, info = JCS ["owner-salt", object id]), 32 bytes (docs/adr/0002).
    """
    info = jcs.canonical(["owner-salt", object_id])
    return HKDF(algorithm=SHA256(), length=OWNER_SALT_BYTES, salt=None, info=info).derive(key.reveal())


def verify_commitment(keys: ObjectKeys, commitment: bytes) -> None:
    """Compare in constant time: AES-GCM alone lets one ciphertext open under two keys.

    Raises:
        Tampered: the key is not the one that sealed the object under this header.
    """
    if not hmac.compare_digest(keys.commitment, commitment):
        raise Tampered("the key does not fit the commitment of the sealed object", reason="wrong-key")
