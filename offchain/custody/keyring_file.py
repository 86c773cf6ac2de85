"""The file of a keyring: custody keys by id, mode 0600, replaced whole and crash-safe.

The whole file is written anew beside the old one, synced and renamed over it. Old keys stay: they open old wraps, but
only together with the secret of the wrap's record, which can be forgotten.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain import jcs
from domain.errors import Conflict, Invalid, Tampered, Unavailable
from domain.identifiers import check_identifier, decode_bytes, encode_bytes
from domain.instants import check_instant
from offchain.disk import Disk
from offchain.envelope.keys import CustodyKey
from offchain.envelope.suite import DATA_KEY_BYTES
from offchain.envelope.wraps import RECORD_A256GCM

VERSION: Final = 1
MAX_KEYS: Final = 2048
MAX_KEYRING_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class KeyringEntry:
    """One custody key."""

    key_id: str
    created_at: str
    key: CustodyKey


@dataclass(frozen=True, slots=True)
class Keyring:
    """All custody keys and which of them wraps."""

    current: str
    entries: dict[str, KeyringEntry]

    def with_new(self, entry: KeyringEntry) -> Keyring:
        """A further key, current from now on.

        Raises:
            Conflict: the keyring is full.
        """
        if len(self.entries) >= MAX_KEYS:
            raise Conflict(f"a keyring has at most {MAX_KEYS} keys", reason="keyring-full")
        return Keyring(entry.key_id, {**self.entries, entry.key_id: entry})


def write_keyring(path: Path, keyring: Keyring, disk: Disk) -> None:
    """Replace the file durably.

    Raises:
        Unavailable: the disk failed; the old file is untouched.
    """
    disk.replace_file(path, encode_keyring(keyring))


def read_keyring(path: Path, disk: Disk) -> Keyring:
    """Read the file.

    Raises:
        Unavailable: there is no keyring, or group or others may read it.
        Tampered: it is no keyring.
    """
    try:
        with disk.opened(path) as descriptor:
            _refuse_readable_by_others(os.fstat(descriptor))
            encoded = disk.read_at(descriptor, 0, MAX_KEYRING_BYTES + 1)
    except FileNotFoundError:
        raise Unavailable("there is no keyring", reason="no-keyring") from None
    try:
        return decode_keyring(encoded)
    except Invalid as error:
        raise Tampered("the keyring cannot be read", reason="keyring") from error


def _refuse_readable_by_others(status: os.stat_result) -> None:
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or status.st_uid not in (os.geteuid(), 0):
        raise Unavailable("the keyring is open to others: chmod 600 it", reason="keyring-mode")


def encode_keyring(keyring: Keyring) -> bytes:
    """The keyring in JCS, secrets and all."""
    keys = [
        {
            "alg": RECORD_A256GCM,
            "createdAt": entry.created_at,
            "keyId": entry.key_id,
            "secret": encode_bytes(entry.key.reveal()),
        }
        for entry in keyring.entries.values()
    ]
    return jcs.canonical({"current": keyring.current, "keys": keys, "version": VERSION})


def decode_keyring(encoded: bytes) -> Keyring:
    """Read a keyring.

    Raises:
        Invalid: it is none.
    """
    fields = jcs.parse_object(encoded, max_bytes=MAX_KEYRING_BYTES)
    current, keys = fields.get("current"), fields.get("keys")
    if fields.get("version") != VERSION or not isinstance(keys, list) or not isinstance(current, str):
        raise Invalid("this is no keyring of version 1", place="version")
    entries = [_decode_entry(value) for value in keys]
    keyring = Keyring(current, {entry.key_id: entry for entry in entries})
    if current not in keyring.entries or len(entries) != len(keyring.entries):
        raise Invalid("the current key is not in the keyring, or a key is there twice", place="current")
    return keyring


def _decode_entry(value: object) -> KeyringEntry:
    fields = value if isinstance(value, dict) else {}
    if fields.get("alg") != RECORD_A256GCM:
        raise Invalid("a key of the keyring names another algorithm", place="keys.alg")
    return KeyringEntry(
        key_id=check_identifier(fields.get("keyId"), "keys.keyId"),
        created_at=check_instant(fields.get("createdAt"), "keys.createdAt"),
        key=CustodyKey(decode_bytes(fields.get("secret"), "keys.secret", length=DATA_KEY_BYTES)),
    )
