"""Wraps: one data key for one recipient, outside the object so that it can be destroyed, each with its ``alg``."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain import jcs
from domain.errors import Denied, Invalid, Tampered
from domain.identifiers import check_identifier, decode_bytes, encode_bytes
from offchain.envelope.hpke import (
    HPKE_HYBRID,
    HPKE_X25519,
    RecipientPrivateKey,
    RecipientPublicKey,
    hpke_open,
    hpke_seal,
)
from offchain.envelope.keys import CustodyKey, DataKey, RecordSecret, SecretKey, SessionKey
from offchain.envelope.suite import DATA_KEY_BYTES

A256GCM: Final = "A256GCM"
RECORD_A256GCM: Final = "HKDF-SHA256-A256GCM"
NONCE_BYTES: Final = 12
MAX_WRAPPED_BYTES: Final = 2048
_ALGS: Final = (A256GCM, RECORD_A256GCM, HPKE_X25519, HPKE_HYBRID)


@dataclass(frozen=True, slots=True)
class KeyBinding:
    """What a wrapped data key is for: the object, the record and the version of it."""

    object_id: str
    record_id: str
    version: int

    def __post_init__(self) -> None:
        check_identifier(self.object_id, "objectId")
        check_identifier(self.record_id, "recordId")
        if not 0 < self.version <= jcs.MAX_SAFE_INTEGER:
            raise Invalid("a version is counted from 1", place="version")


@dataclass(frozen=True, slots=True)
class Wrap:
    """A data or session key, encrypted; ``key_id`` names the key that opens it.

    For the AES algorithms the bytes are nonce 12 ‖ ciphertext ‖ tag; for HPKE encapsulated key ‖ ciphertext ‖ tag.
    """

    alg: str
    key_id: str
    wrapped: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.alg not in _ALGS:
            raise Invalid("the wrap names an algorithm that is not accepted here", reason="alg", place="alg")
        if not 0 < len(self.key_id) <= 64 or not 0 < len(self.wrapped) <= MAX_WRAPPED_BYTES:
            raise Invalid("the wrap has no possible form", place="wrap")

    def encode(self) -> bytes:
        """The wrap in JCS, as it lies in the database or travels."""
        return jcs.canonical({"alg": self.alg, "keyId": self.key_id, "wrapped": encode_bytes(self.wrapped)})

    @classmethod
    def parse(cls, encoded: bytes) -> Wrap:
        """Read a wrap.

        Raises:
            Invalid: no wrap, or of an algorithm that is not accepted.
        """
        fields = jcs.parse_object(encoded, max_bytes=4 * MAX_WRAPPED_BYTES)
        alg, key_id = fields.get("alg"), fields.get("keyId")
        if not isinstance(alg, str) or not isinstance(key_id, str):
            raise Invalid("a wrap names its algorithm and key", place="wrap")
        return cls(alg, key_id, decode_bytes(fields.get("wrapped"), "wrap.wrapped", max_length=MAX_WRAPPED_BYTES))


def wrap_for_custodian(
    key: DataKey, custody_key: CustodyKey, secret: RecordSecret, key_id: str, binding: KeyBinding
) -> Wrap:
    """AES-256-GCM under a key from custody key and record secret, both bound to [object, record, version, key id].

    Whoever lacks one of the two has nothing: the custody key may be escrowed, the record's secret can be forgotten.
    """
    bound = _custodian_binding(binding, key_id)
    return Wrap(RECORD_A256GCM, key_id, encrypt_key(key, _wrapping_key(custody_key, secret, bound), bound))


def unwrap_for_custodian(wrap: Wrap, custody_key: CustodyKey, secret: RecordSecret, binding: KeyBinding) -> DataKey:
    """The data key, if the wrap is of this row.

    Raises:
        Tampered: the wrap was altered, or moved here from another object, record or version.
    """
    _expect_alg(wrap, RECORD_A256GCM)
    bound = _custodian_binding(binding, wrap.key_id)
    return DataKey(decrypt_key(wrap.wrapped, _wrapping_key(custody_key, secret, bound), bound))


def _wrapping_key(custody_key: CustodyKey, secret: RecordSecret, bound: list[str | int]) -> CustodyKey:
    """HKDF-SHA-256(custody key ‖ record secret, no salt, info = JCS ["yilian custodian wrap 1", …]) (RFC 5869)."""
    info = jcs.canonical(["yilian custodian wrap 1", *bound])
    derived = HKDF(algorithm=SHA256(), length=DATA_KEY_BYTES, salt=None, info=info)
    return CustodyKey(derived.derive(custody_key.reveal() + secret.reveal()))


def wrap_for_patient(key: DataKey, public: RecipientPublicKey, binding: KeyBinding) -> Wrap:
    """HPKE to the patient's X25519 key, bound to object, record and version.

    Raises:
        Invalid: the key is of another algorithm or of small order.
    """
    _expect_key(public, HPKE_X25519)
    return Wrap(HPKE_X25519, public.digest, hpke_seal(public, _patient_info(binding), key.reveal()))


def unwrap_for_patient(wrap: Wrap, private: RecipientPrivateKey, binding: KeyBinding) -> DataKey:
    """The data key, with the patient's key alone.

    Raises:
        Denied: there is no wrap for this key (``no-wrap``).
        Tampered: the wrap is for this key, but altered or of another object, record or version.
    """
    _expect_alg(wrap, HPKE_X25519)
    _expect_recipient(wrap, private)
    return DataKey(_key_bytes(hpke_open(private, _patient_info(binding), wrap.wrapped)))


def wrap_session(session: SessionKey, one_use: RecipientPublicKey, access_id: str) -> Wrap:
    """HPKE of an access's session key to the reader's one-use key, whose digest the committed access entry names.

    Raises:
        Invalid: the key is not of the hybrid suite.
    """
    _expect_key(one_use, HPKE_HYBRID)
    return Wrap(HPKE_HYBRID, one_use.digest, hpke_seal(one_use, _session_info(access_id), session.reveal()))


def unwrap_session(wrap: Wrap, one_use: RecipientPrivateKey, access_id: str) -> SessionKey:
    """The session key of an access.

    Raises:
        Denied: there is no wrap for this key (``no-wrap``).
        Tampered: the wrap is for this key, but altered or of another access.
    """
    _expect_alg(wrap, HPKE_HYBRID)
    _expect_recipient(wrap, one_use)
    return SessionKey(_key_bytes(hpke_open(one_use, _session_info(access_id), wrap.wrapped)))


def wrap_for_access(key: DataKey, session: SessionKey, access_id: str, binding: KeyBinding) -> Wrap:
    """AES-256-GCM under the access's session key with associated data [access id, record, version, object]."""
    return Wrap(A256GCM, access_id, encrypt_key(key, session, _access_aad(access_id, binding)))


def unwrap_for_access(wrap: Wrap, session: SessionKey, access_id: str, binding: KeyBinding) -> DataKey:
    """The data key of one released record.

    Raises:
        Denied: the wrap belongs to another access (``no-wrap``).
        Tampered: the wrap was altered, or moved here from another record, version or object.
    """
    _expect_alg(wrap, A256GCM)
    if wrap.key_id != access_id:
        raise Denied("there is no wrap for this access", reason="no-wrap")
    return DataKey(decrypt_key(wrap.wrapped, session, _access_aad(access_id, binding)))


def encrypt_key(key: SecretKey, under: SecretKey, aad: list[str | int]) -> bytes:
    """Nonce ‖ AES-256-GCM of a key under another, bound to ``aad`` in JCS."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(under.reveal()).encrypt(nonce, key.reveal(), jcs.canonical(aad))


def decrypt_key(wrapped: bytes, under: SecretKey, aad: list[str | int]) -> bytes:
    """The inverse of :func:`encrypt_key`.

    Raises:
        Tampered: another key, other ``aad``, or altered bytes.
    """
    try:
        return _key_bytes(
            AESGCM(under.reveal()).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], jcs.canonical(aad))
        )
    except (InvalidTag, ValueError):
        raise Tampered("the wrap was altered or is of another row", reason="wrap-altered") from None


def _key_bytes(plaintext: bytes) -> bytes:
    if len(plaintext) != DATA_KEY_BYTES:
        raise Tampered("the wrap holds no key", reason="wrap-altered")
    return plaintext


def _custodian_binding(binding: KeyBinding, key_id: str) -> list[str | int]:
    return [binding.object_id, binding.record_id, binding.version, key_id]


def _patient_info(binding: KeyBinding) -> list[str | int]:
    return ["yilian patient wrap 1", binding.object_id, binding.record_id, binding.version]


def _session_info(access_id: str) -> list[str | int]:
    return ["yilian session wrap 1", access_id]


def _access_aad(access_id: str, binding: KeyBinding) -> list[str | int]:
    return [access_id, binding.record_id, binding.version, binding.object_id]


def _expect_alg(wrap: Wrap, alg: str) -> None:
    if wrap.alg != alg:
        raise Tampered("the wrap names another algorithm than its place allows", reason="wrap-altered")


def _expect_key(public: RecipientPublicKey, alg: str) -> None:
    if public.alg != alg:
        raise Invalid(f"a key for {alg} is expected", reason="public-key")


def _expect_recipient(wrap: Wrap, private: RecipientPrivateKey) -> None:
    if wrap.key_id != private.public.digest:
        raise Denied("there is no wrap for this key", reason="no-wrap")
