"""Durable steps on one file system: nothing is visible before it is whole, nothing is reported before it is on disk."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from domain.errors import Unavailable
from offchain.envelope.chunk_list import Buffer

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WRITEBACK_BYTES: Final = 8 << 20
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Translate what the operating system says; a missing file stays ``FileNotFoundError``.

    Raises:
        Unavailable: ``disk-full`` or ``disk``.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        reason = "disk-full" if error.errno in _FULL else "disk"
        raise Unavailable(f"{doing} failed: {name}", reason=reason) from error


class Disk:
    """What a store asks of its disk; a faulty disk replaces ``write``, ``fsync``, ``syncfs``, ``pread``."""

    __slots__ = ()

    def write(self, descriptor: int, view: memoryview) -> int:
        """write(2): may take fewer bytes."""
        return os.write(descriptor, view)

    def fsync(self, descriptor: int) -> None:
        """fsync(2). After a failure the pages are lost: it is never tried again."""
        os.fsync(descriptor)

    def syncfs(self, descriptor: int) -> None:
        """syncfs(2): the whole file system; it tells of failed writes since Linux 5.8."""
        if _LIBC.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def pread(self, descriptor: int, length: int, offset: int) -> bytes:
        """pread(2): may give fewer bytes."""
        return os.pread(descriptor, length, offset)

    def write_file(self, path: Path, pieces: Iterable[Buffer], *, sync: bool) -> None:
        """Create a file (mode 0600) that must not exist, write all pieces, and wait for the disk if ``sync``."""
        with disk_errors("creating a file"):
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            written = begun = 0
            for piece in pieces:
                written += self._write_all(descriptor, memoryview(piece))
                if written - begun >= _WRITEBACK_BYTES:
                    _begin_writeback(descriptor, begun, written - begun)
                    begun = written
            if sync:
                self.sync(descriptor)
        finally:
            os.close(descriptor)

    def replace_file(self, path: Path, content: Buffer) -> None:
        """Replace a file (mode 0600) durably and whole.

        Raises:
            Unavailable: the disk failed; the old file is untouched.
        """
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            self.write_file(temporary, (content,), sync=True)
            self.replace(temporary, path)
            self.sync_directory(path.parent)
        finally:
            self.remove(temporary)

    def write_at_end(self, descriptor: int, end: int, line: bytes) -> None:
        """Write at ``end``, cutting off what lies behind it, and wait for the disk; a failure leaves nothing behind."""
        with disk_errors("appending to a file"):
            os.ftruncate(descriptor, end)
            os.lseek(descriptor, end, os.SEEK_SET)
        try:
            self._write_all(descriptor, memoryview(line))
            self.sync(descriptor)
        except Unavailable:
            with suppress(OSError):
                os.ftruncate(descriptor, end)
            raise

    def sync_directory(self, path: Path) -> None:
        """Wait until the entries of a directory are on the medium."""
        with self.opened(path) as descriptor:
            self.sync(descriptor)

    @disk_errors("syncing the file system")
    def sync_file_system(self, path: Path) -> None:
        """Wait for everything on the file system of ``path``."""
        with self.opened(path) as descriptor:
            self.syncfs(descriptor)

    @disk_errors("renaming a file")
    def replace(self, source: Path, target: Path) -> None:
        """Move a file into its place."""
        source.replace(target)

    @disk_errors("removing a file")
    def remove(self, path: Path) -> bool:
        """Remove a file; false if there was none."""
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    @disk_errors("wiping a file")
    def wipe(self, path: Path) -> None:
        """Overwrite a file in place, wait for the disk, and remove it; a copy that the medium made is out of reach."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            left = os.fstat(descriptor).st_size
            while left > 0:
                left -= self._write_all(descriptor, memoryview(bytes(min(left, 1 << 20))))
            self.sync(descriptor)
        finally:
            os.close(descriptor)
        path.unlink(missing_ok=True)

    @contextmanager
    def opened(self, path: Path) -> Iterator[int]:
        """A descriptor for reading.

        Raises:
            FileNotFoundError: there is no such file.
        """
        with disk_errors("opening a file"):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @disk_errors("reading a file")
    def read_at(self, descriptor: int, offset: int, length: int) -> bytes:
        """Read ``length`` bytes at ``offset``; fewer only at the end of the file."""
        data = self.pread(descriptor, length, offset)
        while 0 < len(data) < length:
            more = self.pread(descriptor, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def append(self, descriptor: int, view: memoryview) -> None:
        """Write all to a file opened for appending."""
        self._write_all(descriptor, view)

    @disk_errors("writing a file")
    def _write_all(self, descriptor: int, view: memoryview) -> int:
        total = len(view)
        while view:
            view = view[self.write(descriptor, view) :]
        return total

    @disk_errors("syncing a file")
    def sync(self, descriptor: int) -> None:
        """Wait until a file is on the medium."""
        self.fsync(descriptor)


def _begin_writeback(descriptor: int, offset: int, length: int) -> None:
    """Let the disk begin while more is sealed: Linux starts to write pages that are advised as not needed."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)


def can_sync_file_system() -> bool:
    """True where the C library has syncfs(2)."""
    return hasattr(_LIBC, "syncfs")
