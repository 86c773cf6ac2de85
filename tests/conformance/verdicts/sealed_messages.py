"""HPKE messages to X25519 keys: RFC 9180 base mode written out once more, and what a reader says to each message."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain import jcs

ALG: Final = "HPKE-X25519"
_KEM: Final = b"KEM\x00\x20"
_SUITE: Final = b"HPKE\x00\x20\x00\x01\x00\x02"
INFOS: Final[tuple[list[str | int], ...]] = ([], ["reader", "id", 1], ["请求", "é", 2**53 - 1])
PLAINTEXTS: Final = (b"", b"x", "姓名".encode(), bytes(range(256)) * 20)
SMALL_ORDER: Final = (
    bytes(32), b"\x01" + bytes(31), bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes(31) + b"\x80",
)  # fmt: skip


def labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    """RFC 9180 section 4."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")


def labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """RFC 9180 section 4."""
    labeled, found, block = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + labeled + bytes([number]), "sha256")
        found += block
    return found[:length]


def shared_secret(agreed: bytes, encapsulated: bytes, public: bytes) -> bytes:
    """DHKEM(X25519, HKDF-SHA256), RFC 9180 section 4.1."""
    prk = labeled_extract(_KEM, b"", b"eae_prk", agreed)
    return labeled_expand(_KEM, prk, b"shared_secret", encapsulated + public, 32)


def schedule(secret: bytes, info: bytes, suite: bytes = _SUITE) -> tuple[bytes, bytes]:
    """Key and base nonce, RFC 9180 section 5.1, base mode."""
    context = (
        b"\x00" + labeled_extract(suite, b"", b"psk_id_hash", b"") + labeled_extract(suite, b"", b"info_hash", info)
    )
    root = labeled_extract(suite, secret, b"secret", b"")
    return labeled_expand(suite, root, b"key", context, 32), labeled_expand(suite, root, b"base_nonce", context, 12)


def seal(ephemeral: bytes, public: bytes, info: list[str | int], plaintext: bytes) -> bytes:
    """One message with a given ephemeral key."""
    own = X25519PrivateKey.from_private_bytes(ephemeral)
    encapsulated = own.public_key().public_bytes_raw()
    agreed = own.exchange(X25519PublicKey.from_public_bytes(public))
    key, nonce = schedule(shared_secret(agreed, encapsulated, public), jcs.canonical([ALG, *info]))
    return encapsulated + AESGCM(key).encrypt(nonce, plaintext, None)


def cases() -> list[dict[str, object]]:
    """The corpus: genuine messages, and altered, cut and moved ones, which all have no plaintext."""
    found = []
    for number, (info, plaintext) in enumerate((info, plaintext) for info in INFOS for plaintext in PLAINTEXTS):
        private, ephemeral = _key(f"private {number}"), _key(f"ephemeral {number}")
        sealed = seal(ephemeral, _public(private), info, plaintext)
        found.append(_case(private, info, sealed, plaintext) | {"ephemeral": ephemeral.hex()})
        if plaintext == b"x":
            found += _refused(private, info, sealed)
    return found


def _refused(private: bytes, info: list[str | int], sealed: bytes) -> list[dict[str, object]]:
    altered = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in (0, 15, 30, 32, len(sealed) - 1)]
    # The top bit of an encapsulated key does not count in X25519, but it does in the key schedule.
    altered.append(sealed[:31] + bytes([sealed[31] ^ 0x80]) + sealed[32:])
    altered += [sealed[:length] for length in (0, 31, 32, 47, len(sealed) - 1)] + [sealed + b"\x00"]
    altered += [point + sealed[32:] for point in SMALL_ORDER]
    return [
        *(_case(private, info, one, None) for one in altered),
        _case(private, [*info, "more"], sealed, None),
        _case(_key("stranger"), info, sealed, None),
    ]


def _case(private: bytes, info: list[str | int], sealed: bytes, plaintext: bytes | None) -> dict[str, object]:
    opened = None if plaintext is None else plaintext.hex()
    return {"private": private.hex(), "info": info, "sealed": sealed.hex(), "plaintext": opened}


def _key(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


def _public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
