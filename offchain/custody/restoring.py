"""A custody from its root key and a snapshot of its record secrets, or from a replica's folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from domain.errors import Conflict, Unavailable
from domain.identifiers import IDENTIFIER_BYTES, identifier
from offchain.custody.backup_keys import CustodyBackupKeys
from offchain.custody.file_keyring import KEYRING_FILE, LOG_FILE, SECRETS_FOLDER, FileKeyring
from offchain.custody.forgetting import layout
from offchain.custody.forgetting.base import MAX_HEADER_BYTES, parse_header
from offchain.custody.forgetting.layout import BaseFiles, BaseKey
from offchain.custody.forgetting.store import ForgettingStore
from offchain.custody.forgetting.view import View
from offchain.custody.keyring_file import write_keyring
from offchain.custody.root_key import RootKey
from offchain.disk import Disk, disk_errors


class CustodyFromSnapshot:
    """A root key and the folder that it opens: a snapshot, or a replica, which brings its own base key."""

    def __init__(self, root: RootKey, snapshot: Path, disk: Disk | None = None) -> None:
        self._root = root
        self._snapshot = snapshot
        self._disk = disk or Disk()

    @property
    def keys(self) -> CustodyBackupKeys:
        """Keys for the rest of the backup."""
        return CustodyBackupKeys(self._root.keyring)

    def restore(self, folder: Path, log: Path, at: str) -> FileKeyring:
        """Make the custody in ``folder`` (see :class:`node_service.backup.ports.CustodyToRestore`).

        The secrets are re-keyed at once: the copy that they came from opens with the old root key only, and a replica
        that knows more than the snapshot refuses the new base instead of being overwritten.

        Raises:
            Conflict: the snapshot is of another base than the root key.
            Tampered: the snapshot was altered.
            Unavailable: there is no snapshot, or the disk failed.
        """
        with disk_errors("making the custody's folder"):
            folder.mkdir(mode=0o700, parents=True)
            shutil.copyfile(log, folder / LOG_FILE)
            (folder / LOG_FILE).chmod(0o600)
        adopt_secrets(self._snapshot, self._root, folder / SECRETS_FOLDER, at, self._disk)
        write_keyring(folder / KEYRING_FILE, self._root.keyring, self._disk)
        keyring = FileKeyring(folder, self._disk)
        keyring.continue_count(identifier(os.urandom(IDENTIFIER_BYTES)), 0, at)  # what the snapshot lacks was lost here
        return keyring


def adopt_secrets(source: Path, root: RootKey | None, target: Path, at: str, disk: Disk) -> None:
    """Make a store of record secrets from a snapshot or a replica, and re-key it.

    Raises:
        Conflict: there is a store already, or no key for this base.
        Tampered: something was altered.
        Unavailable: there is nothing at ``source``, or the disk failed.
    """
    if (target / layout.CURRENT).exists():
        raise Conflict("there is a store of record secrets already", reason="secrets-exist")
    files = layout.current_files(source, disk)
    key = _key_of(files, root, disk)
    View.load(files, key, disk)  # authenticated as a whole before anything is made of it
    with disk_errors("copying the record secrets"):
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = BaseFiles(target, files.number)
    for origin, path in ((files.base, copy.base), (files.increments, copy.increments)):
        with disk_errors("copying the record secrets"):
            content = origin.read_bytes()
        disk.replace_file(path, content)
    disk.replace_file(copy.key, key.reveal())
    layout.make_current(copy, disk)
    ForgettingStore(target, disk=disk).rekey(at, is_only_copy=False)  # the source still opens, with its key


def _key_of(files: BaseFiles, root: RootKey | None, disk: Disk) -> BaseKey:
    if files.key.exists():
        return layout.read_key(files.key, disk)
    try:
        with disk.opened(files.base) as descriptor:
            header, _ = parse_header(disk.read_at(descriptor, 0, 8 + MAX_HEADER_BYTES))
    except FileNotFoundError:
        raise Unavailable("the snapshot of the record secrets is not whole", reason="no-secrets") from None
    if root is None or root.base_id != header.base_id:
        raise Conflict(
            "the root key opens another base of record secrets: take the newest root key and the newest snapshot",
            reason="other-base",
            place=f"base {header.number} of {header.made_at}",
        )
    return root.base_key
