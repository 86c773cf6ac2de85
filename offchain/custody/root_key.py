"""The root key: what opens a custody snapshot. It belongs into another safe than the backups.

JCS {"baseId", "baseKey", "keyring", "version"}: the key of the newest base, which each re-keying replaces, and the
custody keys. A root key of before a re-keying opens nothing that was made since, and the present one nothing older.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from domain import jcs
from domain.errors import Invalid, NotFound
from domain.identifiers import check_identifier, decode_bytes, encode_bytes
from offchain.custody.forgetting.layout import BaseKey
from offchain.custody.keyring_file import MAX_KEYRING_BYTES, Keyring, decode_keyring, encode_keyring
from offchain.disk import Disk
from offchain.envelope.suite import DATA_KEY_BYTES

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class RootKey:
    """The key of one base, and the keyring."""

    base_id: str
    base_key: BaseKey
    keyring: Keyring = field(repr=False)


def write_root_key(path: Path, root: RootKey, disk: Disk) -> None:
    """Put the root key in place of the one that was there; that one is overwritten.

    Raises:
        Unavailable: the disk failed; to be called again.
    """
    fields: jcs.JsonObject = {
        "baseId": root.base_id,
        "baseKey": encode_bytes(root.base_key.reveal()),
        "keyring": jcs.parse_object(encode_keyring(root.keyring), max_bytes=MAX_KEYRING_BYTES),
        "version": VERSION,
    }
    former = path.with_name(f".{path.name}.former")
    disk.wipe(former)
    if path.exists():
        disk.replace(path, former)
    disk.replace_file(path, jcs.canonical(fields))
    disk.wipe(former)


def read_root_key(path: Path, disk: Disk) -> RootKey:
    """Read a root key.

    Raises:
        NotFound: there is no such file.
        Invalid: it is no root key.
        Unavailable: the disk failed.
    """
    try:
        with disk.opened(path) as descriptor:
            encoded = disk.read_at(descriptor, 0, 2 * MAX_KEYRING_BYTES + 1)
    except FileNotFoundError:
        raise NotFound("there is no root key in this place", reason="no-root-key") from None
    fields = jcs.parse_object(encoded, max_bytes=2 * MAX_KEYRING_BYTES)
    keyring = fields.get("keyring")
    if fields.get("version") != VERSION or not isinstance(keyring, dict):
        raise Invalid("this is no root key of version 1", place="version")
    return RootKey(
        check_identifier(fields.get("baseId"), "baseId"),
        BaseKey(decode_bytes(fields.get("baseKey"), "baseKey", length=DATA_KEY_BYTES)),
        decode_keyring(jcs.canonical(keyring)),
    )
