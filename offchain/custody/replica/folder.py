"""A replica's folder: laid out as the store's, written by what the store sends, opened as a store at a takeover."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from domain.errors import Conflict, Tampered, Unavailable, YilianError
from offchain.custody.forgetting import layout
from offchain.custody.forgetting.base import MAX_HEADER_BYTES, BaseHeader, SealedBase, parse_header
from offchain.custody.forgetting.increments import check_frame, last_frame_start, whole_frame_end
from offchain.custody.forgetting.layout import BaseFiles, BaseKey
from offchain.custody.forgetting.mirroring import MirrorState
from offchain.disk import Disk, disk_errors

_PIECE_BYTES: Final = 1 << 20


class ReplicaFolder:
    """The port :class:`Mirror` on a folder; one caller at a time."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        """Open a replica, making an empty folder where there is none.

        Raises:
            Unavailable: the disk failed.
        """
        self._folder = folder
        self._disk = disk or Disk()
        with disk_errors("making the replica's folder"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def state(self) -> MirrorState | None:
        """What is here, None if nothing; what a crash tore is not."""
        files = self._files()
        if files is None:
            return None
        data = self._increments(files)
        last = last_frame_start(data)
        end = whole_frame_end(data, last) if last < len(data) else None
        return MirrorState(self._header(files).base_id, *((0, 0) if end is None else (end, last)))

    def append(self, base_id: str, offset: int, frame: bytes) -> None:
        """Write a frame at the end, or take the last one away (see :class:`Mirror`).

        Raises:
            Conflict: it does not continue what is here.
            Invalid: it is not one frame.
            Unavailable: the disk failed.
        """
        if frame:
            check_frame(frame)
        files, state = self._files(), self.state()
        if (
            files is None
            or state is None
            or (state.base_id, state.end if frame else state.last_frame) != (base_id, offset)
        ):
            raise Conflict("the increment does not continue the replica", reason="replica-diverged")
        with disk_errors("opening the replica's increments"):
            descriptor = os.open(files.increments, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._disk.write_at_end(descriptor, offset, frame)
        finally:
            os.close(descriptor)

    def last_frame(self, base_id: str, offset: int) -> bytes:
        """The last increment (see :class:`Mirror`).

        Raises:
            Conflict: the last one does not begin there.
            Unavailable: the disk failed.
        """
        files, state = self._files(), self.state()
        if files is None or state is None or (state.base_id, state.last_frame) != (base_id, offset):
            raise Conflict("the replica's last increment is another", reason="replica-diverged")
        return self._increments(files)[offset : state.end]

    def install(self, files: BaseFiles) -> None:
        """Take over a base from another folder (see :meth:`receive`)."""
        with self._disk.opened(files.base) as descriptor:
            pieces = iter(lambda: os.read(descriptor, _PIECE_BYTES), b"")
            self.receive(files.number, layout.read_key(files.key, self._disk), pieces)

    def receive(self, number: int, key: BaseKey, pieces: Iterable[bytes]) -> None:
        """Replace the base by the next one, which is authenticated first, and destroy the former and its key.

        Raises:
            Conflict: it does not replace all that is here.
            Tampered: it is not whole, or the key is another's.
            Unavailable: the disk failed.
        """
        new = BaseFiles(self._folder, number)
        present = self._files()
        if present is not None and present.number == number:
            raise Conflict("the replica has another base of this number", reason="replica-diverged")
        self._wipe(new)
        try:
            self._write(new, key, pieces)
            self._check_replaces(SealedBase(new.base, key, self._disk).header)
        except YilianError:
            self._wipe(new)
            raise
        layout.make_current(new, self._disk)
        layout.wipe_leftovers(new, self._disk)

    def _write(self, new: BaseFiles, key: BaseKey, pieces: Iterable[bytes]) -> None:
        self._disk.write_file(new.key, (key.reveal(),), sync=True)
        self._disk.write_file(new.base, pieces, sync=True)
        self._disk.write_file(new.increments, (), sync=True)
        self._disk.sync_directory(self._folder)

    def _wipe(self, files: BaseFiles) -> None:
        for path in (files.key, files.base, files.increments):
            self._disk.wipe(path)

    def _check_replaces(self, new: BaseHeader) -> None:
        state = self.state()
        if state is None:
            return
        replaced = new.replaces
        if replaced is None or replaced.base_id != state.base_id or state.end > replaced.increments_bytes:
            raise Conflict("the replica holds what this base does not replace", reason="replica-diverged")

    def _files(self) -> BaseFiles | None:
        try:
            return layout.current_files(self._folder, self._disk)
        except Unavailable as error:
            if error.reason != "no-secrets":
                raise
            return None

    def _header(self, files: BaseFiles) -> BaseHeader:
        try:
            with self._disk.opened(files.base) as descriptor:
                return parse_header(self._disk.read_at(descriptor, 0, 8 + MAX_HEADER_BYTES))[0]
        except FileNotFoundError:
            raise Tampered("the replica lost its base", reason="secrets-base") from None

    def _increments(self, files: BaseFiles) -> bytes:
        with disk_errors("reading the replica's increments"):
            return files.increments.read_bytes()
