"""Keys of a backup that nobody has to forget, derived from the custody keys, which the root key holds too."""

from __future__ import annotations

import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain import jcs
from domain.errors import Tampered
from offchain.custody.keyring_file import Keyring

_NONCE_BYTES: Final = 12
_KEY_ID_BYTES: Final = 26


class CustodyBackupKeys:
    """Keys for what is not forgotten, from the custody keys: identity keys, the manifest's authentication."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        first = min(keyring.entries.values(), key=lambda entry: (entry.created_at, entry.key_id))
        self._first = first.key_id

    def __repr__(self) -> str:
        return "CustodyBackupKeys()"

    def seal(self, content: bytes) -> bytes:
        """Id of the custody key 26 ‖ nonce 12 ‖ ciphertext ‖ tag."""
        key_id, nonce = self._first, os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._derived(key_id, "identity")).encrypt(nonce, content, key_id.encode())
        return key_id.encode() + nonce + sealed

    def open(self, sealed: bytes) -> bytes:
        """The inverse of :meth:`seal`.

        Raises:
            Tampered: altered, or of another keyring.
        """
        key_id, rest = sealed[:_KEY_ID_BYTES], sealed[_KEY_ID_BYTES:]
        try:
            cipher = AESGCM(self._derived(key_id.decode("ascii"), "identity"))
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], key_id)
        except (KeyError, UnicodeDecodeError, InvalidTag, ValueError):
            raise Tampered("the backup's identity keys do not open under this root key", reason="backup") from None

    def authenticate(self, manifest: bytes) -> bytes:
        """HMAC-SHA-256 over a manifest, under a key from the first custody key, which no rotation removes."""
        return hmac.digest(self._derived(self._first, "manifest"), manifest, "sha256")

    def _derived(self, key_id: str, use: str) -> bytes:
        info = jcs.canonical(["yilian custody backup 1", use, key_id])
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(
            self._keyring.entries[key_id].key.reveal()
        )
