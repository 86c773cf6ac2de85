"""What backup and restore ask of the key custody and of a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol

Standing = Literal["kept", "forgotten", "unknown"]


class BackupKeys(Protocol):
    """Keys that outlive every backup: the custody keys, which the root key holds too."""

    def seal(self, content: bytes) -> bytes:
        """Seal identity keys for a backup."""

    def open(self, sealed: bytes) -> bytes:
        """Open them.

        Raises:
            Tampered: altered, or of another keyring.
        """

    def authenticate(self, manifest: bytes) -> bytes:
        """32 bytes over a manifest that only a holder of these keys can make."""


class CustodyToBackUp(Protocol):
    """The running custody."""

    def snapshot(self, folder: Path) -> None:
        """The record secrets, sealed, without their key."""

    def copy_log(self, path: Path) -> None:
        """The custody log as it is now."""

    def backup_keys(self) -> BackupKeys:
        """Keys for the rest of the backup."""


class RestoredCustody(Protocol):
    """A custody that was just restored."""

    @property
    def key_ids(self) -> frozenset[str]:
        """Ids of all its keys."""

    def standing(self, records: Sequence[str]) -> list[Standing]:
        """What is known of the records' secrets, in order."""

    def note_lost(self, until: str) -> None:
        """Let the log tell that the restore may have lost secrets and erasures up to then."""


class CustodyToRestore(Protocol):
    """A root key with the snapshot that it opens."""

    @property
    def keys(self) -> BackupKeys:
        """Keys for the rest of the backup."""

    def restore(self, folder: Path, log: Path, at: str) -> RestoredCustody:
        """Make the custody of a new node in ``folder``, with the log of the old one.

        Raises:
            Conflict: the snapshot is of another base than the root key.
            Tampered: the snapshot was altered.
        """


CopyObjects = Callable[[Iterable[str]], tuple[str, ...]]
"""Copies sealed objects by digest, each verified and durable; returns those that the source has not."""
