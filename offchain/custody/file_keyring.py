"""Key custody on a file, for development and pilots: whoever reads the file holds every key."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from domain.errors import Conflict, Invalid, Tampered
from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import check_instant
from domain.ports import CustodyCount, CustodyEntry, NoKey
from offchain.custody.custody_log import CustodyLog
from offchain.custody.keyring_file import Keyring, KeyringEntry, read_keyring, write_keyring
from offchain.disk import Disk, disk_errors
from offchain.envelope.keys import CustodyKey, DataKey
from offchain.envelope.wraps import KeyBinding, Wrap, unwrap_for_custodian, wrap_for_custodian

MAX_WRAPS_PER_CALL: Final = 1_000


class FileKeyring:
    """The port ``KeyCustody``: a keyring in ``keyring.json`` and its log in ``custody.log`` of one directory."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        """Open a keyring.

        Raises:
            Unavailable: there is none, or group or others may read it.
            Tampered: it is no keyring.
        """
        self._directory = directory
        self._path = directory / "keyring.json"
        self._disk = disk or Disk()
        self._log = CustodyLog(directory / "custody.log", self._disk)
        self._threads = Lock()
        self._state: tuple[tuple[int, int], Keyring] | None = None
        self._keyring()

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
            if (directory / "keyring.json").exists():
                raise Conflict("there is a keyring already", reason="keyring-exists")
            entry = _fresh_entry(at)
            write_keyring(directory / "keyring.json", Keyring(entry.key_id, {entry.key_id: entry}), disk or Disk())
        return cls(directory, disk)

    def __repr__(self) -> str:
        return f"FileKeyring({str(self._directory)!r})"

    def wrap(self, keys: Sequence[tuple[KeyBinding, DataKey]]) -> list[Wrap]:
        """Wrap data keys under the current custody key, in order.

        Raises:
            Unavailable: the keyring cannot be read.
        """
        keyring = self._keyring()
        current = keyring.entries[keyring.current].key
        if current is None:
            raise Conflict("the current key was destroyed", reason="current-key")
        return [wrap_for_custodian(key, current, keyring.current, binding) for binding, key in keys]

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
            opened = [_unwrap(keyring, binding, wrap) for binding, wrap in wraps]
        except Tampered:
            self._log.append(entry, 0)
            raise
        self._log.append(entry, sum(isinstance(key, DataKey) for key in opened))
        return opened

    def rotate(self, at: str) -> str:
        """Begin a new current key and return its id; older ones still open their wraps.

        Raises:
            Unavailable: the disk failed; the current key stays.
        """
        with _exclusive(self._directory):
            entry = _fresh_entry(at)
            write_keyring(self._path, self._keyring().with_new(entry), self._disk)
        return entry.key_id

    def destroy(self, key_id: str, at: str) -> None:
        """Forget a key for ever; its wraps open no more.

        Raises:
            NotFound: there is no such key.
            Conflict: it is the current one.
            Unavailable: the disk failed.
        """
        with _exclusive(self._directory):
            write_keyring(self._path, self._keyring().without(key_id, check_instant(at, "at")), self._disk)

    def count(self) -> CustodyCount:
        """The totals of the custody log."""
        return self._log.count()

    def _keyring(self) -> Keyring:
        """The keyring as it is on disk now: another process may have rotated or destroyed a key."""
        with self._threads:
            stamp = _stamp(self._path)
            if self._state is None or self._state[0] != stamp:
                self._state = (stamp, read_keyring(self._path, self._disk))
            return self._state[1]


def _unwrap(keyring: Keyring, binding: KeyBinding, wrap: Wrap) -> DataKey | NoKey:
    entry = keyring.entries.get(wrap.key_id)
    if entry is None:
        return NoKey("unknown-key")
    if entry.key is None:
        return NoKey("destroyed")
    return unwrap_for_custodian(wrap, entry.key, binding)


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
