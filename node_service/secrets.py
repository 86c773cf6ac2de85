"""The node's own keys outside the key custody: blind tokens, small sealed values, signatures, messages from wallets.

They live in one file of mode 0600 in the data folder, never in the database, so that a stolen database shows neither
identifiers nor names.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain import jcs
from domain.errors import Invalid, Tampered
from domain.identifiers import decode_bytes, encode_bytes

FILE_NAME: Final = "node-keys.json"
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class NodeSecrets:
    """Keys of one node; none shows in ``repr``.

    Attributes:
        index_key: HMAC key of blind tokens.
        local_key: AES-256-GCM key of small sealed values in the database.
        signing_key: Ed25519 seed of the organisation's ``signing`` key.
        seal_key: private part of the organisation's ``seal`` key: ML-KEM-768 seed (64 bytes), X25519 key (32 bytes).
    """

    index_key: bytes = field(repr=False)
    local_key: bytes = field(repr=False)
    signing_key: bytes = field(repr=False)
    seal_key: bytes = field(repr=False)

    def blind(self, kind: str, *parts: str) -> bytes:
        """The blind token of a value: HMAC-SHA-256 over JCS [kind, parts…]."""
        return hmac.digest(self.index_key, jcs.canonical([kind, *parts]), "sha256")

    def blind_content(self, content: bytes) -> bytes:
        """The blind token of a whole content, to see that it is unchanged."""
        return hmac.digest(self.index_key, b"content\x00" + content, "sha256")

    def seal_local(self, context: list[str], value: bytes, random: Callable[[int], bytes]) -> bytes:
        """Seal a small value for one row; ``context`` names table, column and row."""
        nonce = random(_NONCE_BYTES)
        return b"\x01" + nonce + AESGCM(self.local_key).encrypt(nonce, value, jcs.canonical([*context]))

    def open_local(self, context: list[str], sealed: bytes) -> bytes:
        """Open a small value of the row that ``context`` names.

        Raises:
            Tampered: altered, or moved from another row.
        """
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != b"\x01":
                raise Tampered("the sealed value is of an unknown version", reason="sealed-value")
            return AESGCM(self.local_key).decrypt(nonce, body, jcs.canonical([*context]))
        except (InvalidTag, ValueError):
            raise Tampered(f"a sealed value of {context[0]} was altered", reason="sealed-value") from None


def create(directory: Path) -> NodeSecrets:
    """Make fresh keys and write them (mode 0600, durable) into the folder.

    Raises:
        Invalid: the folder has keys already.
    """
    secrets = NodeSecrets(
        os.urandom(32),
        AESGCM.generate_key(256),
        Ed25519PrivateKey.generate().private_bytes_raw(),
        MLKEM768PrivateKey.generate().private_bytes_raw() + X25519PrivateKey.generate().private_bytes_raw(),
    )
    fields = {"v": 1} | {name: encode_bytes(getattr(secrets, name)) for name in _NAMES}
    try:
        handle = os.open(directory / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Invalid(f"there are node keys already in {directory}", reason="keys-exist") from None
    with os.fdopen(handle, "w") as file:
        json.dump(fields, file)
        file.flush()
        os.fsync(file.fileno())
    return secrets


def load(directory: Path) -> NodeSecrets:
    """Read the keys of the folder.

    Raises:
        Invalid: no file, readable by others, or not of the known form.
    """
    path = directory / FILE_NAME
    try:
        if path.stat().st_mode & 0o077:
            raise Invalid(f"{path} is readable by others; chmod 600 it", reason="keys-open")
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read: {type(error).__name__}", reason="keys-missing") from None
    if fields.get("v") != 1:
        raise Invalid(f"{path} is of an unknown version", reason="keys-version")
    return NodeSecrets(*(decode_bytes(fields.get(name), name) for name in _NAMES))


_NAMES: Final = ("index_key", "local_key", "signing_key", "seal_key")
