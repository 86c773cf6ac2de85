"""What a process knows of the store: the newest base and what came since, as they were when it last looked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from domain.errors import Tampered
from domain.identifiers import IDENTIFIER_BYTES
from offchain.custody.forgetting.base import SealedBase
from offchain.custody.forgetting.entries import ENTRY_BYTES, Tombstone, decode_secret, decode_tombstone
from offchain.custody.forgetting.increments import SECRETS, TOMBSTONES, Frame, IncrementCipher
from offchain.custody.forgetting.layout import CURRENT, BaseFiles, BaseKey
from offchain.disk import Disk, disk_errors
from offchain.envelope.keys import RecordSecret

Answer = RecordSecret | Tombstone | None
"""A record's secret; that it was forgotten; or that the store never heard of it."""


@dataclass(slots=True)
class View:
    """One base and its increments up to ``end``; readers use it while one writer adds to it.

    Attributes:
        fresh: entries of secrets in increments.
        gone: tombstones in increments.
        awaited: tombstones in the base that are not final yet: a former base may still open somewhere.
    """

    files: BaseFiles
    key: BaseKey
    base: SealedBase
    cipher: IncrementCipher
    stamp: tuple[int, int]
    end: int = 0
    fresh: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    gone: dict[bytes, Tombstone] = field(default_factory=dict, repr=False)
    awaited: dict[bytes, Tombstone] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, files: BaseFiles, key: BaseKey, disk: Disk) -> Self:
        """Open the base and read its increments.

        Raises:
            FileNotFoundError: a file is missing.
            Tampered: something was altered, or the key is another base's.
            Unavailable: the disk failed.
        """
        stamp = pointer_stamp(files.folder)
        base = SealedBase(files.base, key, disk)
        view = cls(files, key, base, IncrementCipher(key, base.header.base_id), stamp)
        view.awaited.update(_awaited(base))
        view.read_on(disk)
        return view

    def is_current(self) -> bool:
        """True if neither base nor increments changed on disk."""
        return pointer_stamp(self.files.folder) == self.stamp and _size(self.files.increments) == self.end

    def read_on(self, disk: Disk) -> None:
        """Take in the increments that came since."""
        with disk.opened(self.files.increments) as descriptor:
            size = os.fstat(descriptor).st_size
            data = disk.read_at(descriptor, self.end, size - self.end)
        for frame in self.cipher.open_all(data, self.end):
            self.add(frame)

    def add(self, frame: Frame) -> None:
        """Take in one increment.

        Raises:
            Tampered: it is of no known kind.
        """
        if frame.kind == SECRETS:
            self.fresh.update((entry[:IDENTIFIER_BYTES], entry) for entry in frame.entries)
        elif frame.kind == TOMBSTONES:
            self.gone.update((entry[:IDENTIFIER_BYTES], decode_tombstone(entry)) for entry in frame.entries)
            for entry in frame.entries:
                self.fresh.pop(entry[:IDENTIFIER_BYTES], None)
                if self.gone[entry[:IDENTIFIER_BYTES]].final_at:
                    self.awaited.pop(entry[:IDENTIFIER_BYTES], None)
        else:
            raise Tampered("an increment of the record secrets is of an unknown kind", reason="secrets-increment")
        self.end = frame.end

    def answers(self, records: list[bytes], disk: Disk) -> list[Answer]:
        """What the store says about records, in order.

        Raises:
            FileNotFoundError, Tampered: the base is not this one any more, or was altered.
        """
        with disk.opened(self.files.base) as descriptor:
            return [self._answer(record, descriptor) for record in records]

    def _answer(self, record: bytes, descriptor: int) -> Answer:
        gone = self.gone.get(record)
        if gone is not None:
            return gone
        entry = self.fresh.get(record)
        if entry is not None:
            return decode_secret(entry)
        tombstone = self.base.tombstone(descriptor, record)
        if tombstone is not None:
            return decode_tombstone(tombstone)
        entry = self.base.secret(descriptor, record)
        return None if entry is None else decode_secret(entry)


def _awaited(base: SealedBase) -> Iterator[tuple[bytes, Tombstone]]:
    for block in base.tombstones():
        for start in range(0, len(block), ENTRY_BYTES):
            tombstone = decode_tombstone(block[start : start + ENTRY_BYTES])
            if not tombstone.final_at:
                yield block[start : start + IDENTIFIER_BYTES], tombstone


def pointer_stamp(folder: Path) -> tuple[int, int]:
    """Inode and time of change of ``current``: every replacement is another file."""
    with disk_errors("looking at the record secrets"):
        try:
            status = (folder / CURRENT).stat()
        except FileNotFoundError:
            return (0, 0)
    return (status.st_ino, status.st_ctime_ns)


def _size(path: Path) -> int:
    with disk_errors("looking at the record secrets"):
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return -1
