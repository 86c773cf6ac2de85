"""What was received of an upload: one file of encrypted frames, so that no plaintext reaches a disk.

Frame = length of the sealed piece, 4 bytes big-endian ‖ the piece, sealed as small values are (AES-256-GCM, random
nonce) under a key that is this upload's alone, bound to upload and offset. So frames cannot change places, and without
the key, which the database holds sealed and forgets first, the file is noise. An upload has far fewer frames than
random nonces bear (2^32, NIST SP 800-38D section 8.3). The file is its own lock: one writer at a time in all processes
of the node, free again when its process dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from domain.errors import Conflict, Tampered, Unavailable
from node_service.secrets import NodeSecrets

FOLDER: Final = "uploads"
MAX_PIECE_BYTES: Final = 4 << 20
_LENGTH_BYTES: Final = 4
_FRAME_BYTES: Final = 64
"""A frame is longer than its piece by less than this."""


@dataclass(frozen=True, slots=True)
class PartFile:
    """The file of one upload, locked.

    Attributes:
        secrets: seal under the upload's own key.
    """

    upload: str
    handle: int
    secrets: NodeSecrets = field(repr=False)

    def cut(self, file_bytes: int) -> bool:
        """Forget what lies behind, which was never acknowledged; false if what was is not there any more.

        Raises:
            Unavailable: the disk.
        """
        with _translated():
            if os.fstat(self.handle).st_size < file_bytes:
                return False
            os.ftruncate(self.handle, file_bytes)
            os.lseek(self.handle, 0, os.SEEK_END)
            return True

    def append(self, offset: int, piece: bytes, random: Callable[[int], bytes]) -> int:
        """Write the piece that begins at an offset of the content; return how much the file grew.

        Raises:
            Unavailable: the disk is full or broken.
        """
        sealed = self.secrets.seal_local(self._context(offset), piece, random)
        with _translated():
            rest = memoryview(len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed)
            while rest:
                rest = rest[os.write(self.handle, rest) :]
        return len(sealed) + _LENGTH_BYTES

    def sync(self) -> None:
        """Wait until what was written is durable.

        Raises:
            Unavailable: the disk.
        """
        with _translated():
            os.fsync(self.handle)

    def pieces(self, length: int) -> Iterator[bytes]:
        """The content, piece by piece, each verified before it is given away.

        Raises:
            Tampered: a frame was altered, or the content is not ``length`` bytes.
            Unavailable: the disk.
        """
        offset = place = 0
        while offset < length:
            size = int.from_bytes(self._read(_LENGTH_BYTES, place), "big")
            if size > MAX_PIECE_BYTES + _FRAME_BYTES:
                raise Tampered("the file of an upload was altered", reason="upload-file", place=self.upload)
            sealed = self._read(size, place + _LENGTH_BYTES)
            piece = self.secrets.open_local(self._context(offset), sealed)
            offset, place = offset + len(piece), place + _LENGTH_BYTES + size
            yield piece
        if offset != length:
            raise Tampered("the file of an upload is not as long as it was", reason="upload-file", place=self.upload)

    def _read(self, count: int, place: int) -> bytes:
        with _translated():
            found = os.pread(self.handle, count, place)
        if len(found) != count or not count:
            raise Tampered("the file of an upload ends too early", reason="upload-file", place=self.upload)
        return found

    def _context(self, offset: int) -> list[str]:
        return ["upload", self.upload, str(offset)]


@contextmanager
def locked(data_dir: Path, upload: str, secrets: NodeSecrets) -> Iterator[Callable[[bytes], PartFile]]:
    """Make or open the file of an upload, which nobody else writes or removes meanwhile; give its key to read it.

    Raises:
        Conflict: another request is at work on it (``upload-busy``).
        Unavailable: the disk.
    """
    with _translated():
        path = part_path(data_dir, upload)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict("another request is at work on this upload", reason="upload-busy") from None
        yield lambda key: PartFile(upload, handle, replace(secrets, local_key=key))
    finally:
        os.close(handle)


def part_path(data_dir: Path, upload: str) -> Path:
    """Where the file of an upload lies."""
    return data_dir / FOLDER / upload


def remove(data_dir: Path, upload: str) -> None:
    """Remove the file of an upload, if there is one.

    Raises:
        Unavailable: the disk.
    """
    with _translated():
        part_path(data_dir, upload).unlink(missing_ok=True)


def present(data_dir: Path) -> list[str]:
    """The uploads that have a file.

    Raises:
        Unavailable: the disk.
    """
    with _translated():
        folder = data_dir / FOLDER
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        detail = "there is no room for uploads" if full else "the folder of uploads cannot be used"
        raise Unavailable(detail, reason="disk-full" if full else "disk") from error
