"""The folder of the store that can forget: ``current`` names the number of the newest base; three files belong to it.

``base-7`` is sealed, ``increments-7`` is sealed under the same key, ``key-7`` is that key. A base becomes current by
one rename of ``current``; whatever has another number is waste of a crash, or not destroyed yet.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.errors import Tampered, Unavailable
from offchain.disk import Disk
from offchain.envelope.keys import SecretKey
from offchain.envelope.suite import DATA_KEY_BYTES

CURRENT: Final = "current"
LOCK: Final = "lock"
_MAX_NUMBER_BYTES: Final = 20
_FILE: Final = re.compile(r"(?:base|increments|key)-([1-9][0-9]*)|\.[a-z]+\.[0-9a-f]{16}")


class BaseKey(SecretKey):
    """The key of one base and its increments; with it everything that they hold is destroyed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class BaseFiles:
    """The three files of one base."""

    folder: Path
    number: int

    @property
    def base(self) -> Path:
        """The sealed base."""
        return self.folder / f"base-{self.number}"

    @property
    def increments(self) -> Path:
        """What came since, sealed."""
        return self.folder / f"increments-{self.number}"

    @property
    def key(self) -> Path:
        """The key of both."""
        return self.folder / f"key-{self.number}"


def current_files(folder: Path, disk: Disk) -> BaseFiles:
    """The files of the newest base.

    Raises:
        Unavailable: there is no store.
        Tampered: its pointer cannot be read.
    """
    try:
        with disk.opened(folder / CURRENT) as descriptor:
            text = disk.read_at(descriptor, 0, _MAX_NUMBER_BYTES + 1)
    except FileNotFoundError:
        raise Unavailable("there is no store of record secrets", reason="no-secrets") from None
    if not re.fullmatch(rb"[1-9][0-9]{0,18}\n", text):
        raise Tampered("the store of record secrets names no base", reason="secrets")
    return BaseFiles(folder, int(text))


def make_current(files: BaseFiles, disk: Disk) -> None:
    """Let the store be this base from now on.

    Raises:
        Unavailable: the disk failed; the former base stays.
    """
    disk.replace_file(files.folder / CURRENT, f"{files.number}\n".encode())


def read_key(path: Path, disk: Disk) -> BaseKey:
    """Read the key of a base.

    Raises:
        FileNotFoundError: there is none.
        Unavailable: group or others may read it.
        Tampered: it is no key.
    """
    with disk.opened(path) as descriptor:
        status = os.fstat(descriptor)
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or status.st_uid not in (os.geteuid(), 0):
            raise Unavailable("the key of the record secrets is open to others: chmod 600 it", reason="key-mode")
        secret = disk.read_at(descriptor, 0, DATA_KEY_BYTES + 1)
    if len(secret) != DATA_KEY_BYTES:
        raise Tampered("the key of the record secrets has not 32 bytes", reason="secrets")
    return BaseKey(secret)


def leftovers(files: BaseFiles) -> list[Path]:
    """Files that are not of the current base, keys first: once they are gone, nothing older can be opened."""
    found = [
        path
        for path in files.folder.iterdir()
        if (match := _FILE.fullmatch(path.name)) and match.group(1) != str(files.number)
    ]
    return sorted(found, key=lambda path: not path.name.startswith("key-"))


def wipe_leftovers(files: BaseFiles, disk: Disk) -> None:
    """Overwrite and remove what is not of the current base.

    Raises:
        Unavailable: the disk failed; to be called again.
    """
    old = leftovers(files)
    for path in old:
        disk.wipe(path)
    if old:
        disk.sync_directory(files.folder)
