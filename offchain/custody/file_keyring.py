"""Key custody on files, for development and pilots: whoever reads the folder holds every key that is not forgotten."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final, Literal

from domain.errors import Conflict, Invalid, Tampered
from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import check_instant
from domain.ports import CustodyCount, CustodyEntry, CustodyRecord, Forgotten, NoKey
from offchain.custody.backup_keys import CustodyBackupKeys
from offchain.custody.custody_log import CustodyLog
from offchain.custody.forgetting.entries import Tombstone
from offchain.custody.forgetting.layout import CURRENT, BaseKey
from offchain.custody.forgetting.mirroring import Mirror
from offchain.custody.forgetting.store import ForgettingStore
from offchain.custody.forgetting.view import Answer
from offchain.custody.keyring_file import Keyring, KeyringEntry, read_keyring, write_keyring
from offchain.custody.root_key import RootKey, write_root_key
from offchain.disk import Disk, disk_errors
from offchain.envelope.keys import CustodyKey, DataKey
from offchain.envelope.wraps import KeyBinding, Wrap, unwrap_for_custodian, wrap_for_custodian

MAX_WRAPS_PER_CALL: Final = 1_000
SECRETS_FOLDER: Final = "secrets"
KEYRING_FILE: Final = "keyring.json"
LOG_FILE: Final = "custody.log"
Standing = Literal["kept", "forgotten", "unknown"]


class FileKeyring:
    """The port ``KeyCustody``: ``keyring.json``, its log ``custody.log`` and the record secrets in one directory.

    Args:
        directory: what :meth:`create` made.
        mirror: the synchronous replica of the record secrets, if there is one.
        escrow: a file elsewhere that always holds the newest root key.
    """

    def __init__(
        self, directory: Path, disk: Disk | None = None, *, mirror: Mirror | None = None, escrow: Path | None = None
    ) -> None:
        """Open a keyring.

        Raises:
            Unavailable: there is none, or group or others may read it.
            Tampered: it is no keyring, or the store of record secrets was altered.
        """
        self._directory = directory
        self._path = directory / KEYRING_FILE
        self._disk = disk or Disk()
        self._log = CustodyLog(directory / LOG_FILE, self._disk)
        self._threads = Lock()
        self._state: tuple[tuple[int, int], Keyring] | None = None
        self._keyring()
        self._escrow = escrow
        self._secrets = ForgettingStore(
            directory / SECRETS_FOLDER, disk=self._disk, mirror=mirror, escrow=self._put_in_escrow if escrow else None
        )

    @classmethod
    def create(cls, directory: Path, at: str, disk: Disk | None = None) -> FileKeyring:
        """Make a keyring with a first key.

        Raises:
            Conflict: there is one already.
            Unavailable: the disk failed.
        """
        with disk_errors("making the keyring's directory"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _exclusive(directory):
            if (directory / KEYRING_FILE).exists():
                raise Conflict("there is a keyring already", reason="keyring-exists")
            if not (directory / SECRETS_FOLDER / CURRENT).exists():  # a creation that was interrupted goes on
                ForgettingStore.create(directory / SECRETS_FOLDER, at, disk=disk)
            entry = _fresh_entry(at)
            write_keyring(directory / KEYRING_FILE, Keyring(entry.key_id, {entry.key_id: entry}), disk or Disk())
        return cls(directory, disk)

    def __repr__(self) -> str:
        return f"FileKeyring({str(self._directory)!r})"

    def prepare(self, records: Sequence[str]) -> None:
        """Make the secrets of these records, so that a later :meth:`wrap` waits for no medium.

        Raises:
            Conflict: a record among them was forgotten; nothing is made.
            Unavailable: disk or replica failed.
        """
        self._secrets.obtain(records)

    def wrap(self, keys: Sequence[tuple[KeyBinding, DataKey]]) -> list[Wrap]:
        """Wrap data keys under the current custody key and the secrets of their records, in order.

        Raises:
            Conflict: a record among them was forgotten; nothing is wrapped.
            Unavailable: keyring, disk or replica cannot be used.
        """
        keyring = self._keyring()
        current = keyring.entries[keyring.current].key
        secrets = self._secrets.obtain([binding.record_id for binding, _ in keys])
        return [
            wrap_for_custodian(key, current, secret, keyring.current, binding)
            for (binding, key), secret in zip(keys, secrets, strict=True)
        ]

    def unwrap_many(self, entry: CustodyEntry, wraps: Sequence[tuple[KeyBinding, Wrap]]) -> list[DataKey | NoKey]:
        """Open at most 1,000 wraps, in order; one log entry is durable before any key is returned.

        Raises:
            Invalid: too many wraps, or more than the entry says were evaluated.
            Tampered: a wrap was altered or moved here from another row; no key is returned.
            Unavailable: keyring or log cannot be used; no key is returned.
        """
        if len(wraps) > MAX_WRAPS_PER_CALL or len(wraps) > entry.evaluated:
            raise Invalid(f"at most {MAX_WRAPS_PER_CALL} wraps, and no more than evaluated", reason="too-many")
        keyring = self._keyring()
        try:
            found = self._secrets.find([binding.record_id for binding, _ in wraps])
            opened = [_unwrap(keyring, answer, *wrap) for answer, wrap in zip(found, wraps, strict=True)]
        except Tampered:
            self._log.append(entry, 0)
            raise
        self._log.append(entry, sum(isinstance(key, DataKey) for key in opened))
        return opened

    @property
    def key_ids(self) -> frozenset[str]:
        """Ids of all custody keys, older ones too.

        Raises:
            Unavailable, Tampered: the keyring cannot be used.
        """
        return frozenset(self._keyring().entries)

    def rotate(self, at: str) -> str:
        """Begin a new current key and return its id; older ones still open their wraps.

        Raises:
            Unavailable: the disk failed; the current key stays.
        """
        with _exclusive(self._directory):
            entry = _fresh_entry(at)
            write_keyring(self._path, self._keyring().with_new(entry), self._disk)
        return entry.key_id

    def forget(self, records: Sequence[str], at: str) -> Forgotten:
        """Forget the secrets of records (see :meth:`domain.ports.KeyCustody.forget`).

        Raises:
            Invalid: none, or more than 1,000.
            Unavailable: disk or replica failed; all or none may be forgotten: call again.
        """
        return self._secrets.forget(records, check_instant(at, "at"))

    def forgotten(self, record: str) -> Forgotten | None:
        """What a certificate says about a record; None if it was not forgotten."""
        return self._secrets.forgotten(record)

    def rekey(self, at: str) -> None:
        """Begin a new base of record secrets and destroy the old one, here, in replica and escrow.

        Raises:
            Unavailable: disk, replica or escrow failed; nothing is final; call again.
        """
        self._secrets.rekey(at)

    def rekey_due(self) -> str:
        """When the next base is due."""
        return self._secrets.due

    def snapshot(self, folder: Path) -> None:
        """Bring a folder of backups to the present state, without any key.

        Raises:
            Unavailable: the disk failed; the folder still holds the former state.
        """
        self._secrets.snapshot(folder)

    def copy_log(self, path: Path) -> None:
        """Copy the custody log as it is now, whole lines only.

        Raises:
            Unavailable: the disk failed.
        """
        with disk_errors("copying the custody log"):
            log = self._directory / LOG_FILE
            content = log.read_bytes() if log.exists() else b""
        self._disk.replace_file(path, content[: content.rfind(b"\n") + 1])

    def standing(self, records: Sequence[str]) -> list[Standing]:
        """Whether the secrets of records are kept, forgotten, or were never here, in order.

        Raises:
            Tampered: the store was altered.
            Unavailable: the disk failed.
        """
        return [_standing(answer) for answer in self._secrets.find(records)]

    def continue_count(self, entry_id: str, released: int, at: str) -> int:
        """After a restore, let the totals go on from what the ledger last saw; return how many were missing.

        The log gets an entry of purpose ``restored``, also where none were missing: nobody takes the gap for releases,
        and rows of the access log that went with the database are told apart.

        Raises:
            Unavailable: the disk failed.
        """
        missing = max(0, released - self._log.count().released)
        self._log.append(CustodyEntry(entry_id, "restored", missing, at), missing)
        return missing

    def note_lost(self, until: str) -> None:
        """Let the log tell that a restore may have lost secrets and erasures up to then, by another clock than its own.

        Raises:
            Unavailable: the disk failed.
        """
        self._log.append(CustodyEntry(identifier(os.urandom(IDENTIFIER_BYTES)), "lost", 0, until), 0)

    def backup_keys(self) -> CustodyBackupKeys:
        """Keys for the rest of a backup: identity keys, the manifest."""
        return CustodyBackupKeys(self._keyring())

    def root_key(self) -> RootKey:
        """What opens the present snapshot: to be kept away from it."""
        return RootKey(*self._secrets.root, self._keyring())

    def count(self) -> CustodyCount:
        """The totals of the custody log."""
        return self._log.count()

    def history(self) -> Iterator[CustodyRecord]:
        """All entries of the custody log, oldest first.

        Raises:
            Tampered: an entry cannot be read, or its totals do not follow from the one before.
        """
        return self._log.history()

    def _put_in_escrow(self, base_id: str, base_key: BaseKey) -> None:
        if self._escrow is not None:
            write_root_key(self._escrow, RootKey(base_id, base_key, self._keyring()), self._disk)

    def _keyring(self) -> Keyring:
        """The keyring as it is on disk now: another process may have rotated or destroyed a key."""
        with self._threads:
            stamp = _stamp(self._path)
            if self._state is None or self._state[0] != stamp:
                self._state = (stamp, read_keyring(self._path, self._disk))
            return self._state[1]


def _standing(answer: Answer) -> Standing:
    if answer is None:
        return "unknown"
    return "forgotten" if isinstance(answer, Tombstone) else "kept"


def _unwrap(keyring: Keyring, answer: Answer, binding: KeyBinding, wrap: Wrap) -> DataKey | NoKey:
    if isinstance(answer, Tombstone):
        return NoKey("destroyed")
    entry = keyring.entries.get(wrap.key_id)
    if entry is None or answer is None:
        return NoKey("unknown-key")
    return unwrap_for_custodian(wrap, entry.key, answer, binding)


def _fresh_entry(at: str) -> KeyringEntry:
    return KeyringEntry(identifier(os.urandom(IDENTIFIER_BYTES)), check_instant(at, "at"), CustodyKey.generate())


def _stamp(path: Path) -> tuple[int, int]:
    """Inode and time of change: every replacement is another file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (status.st_ino, status.st_ctime_ns)


@contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    """One writer of the keyring at a time, over all processes."""
    with disk_errors("locking the keyring"):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
