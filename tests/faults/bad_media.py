"""File systems on a medium whose writes fail for a while: write, fsync and SQLite meet the kernel's own EIO.

A compressed memory disk (zram) with ext4. While its memory is limited to less than it uses, the kernel refuses every
block. What the page cache holds of refused blocks is shown until the file system is mounted anew, and was never on the
medium: that is what a failed fsync(2) leaves behind.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.faults.small_disks import MEBIBYTE

_CONTROL: Final = Path("/sys/class/zram-control")


@dataclass(frozen=True, slots=True)
class Medium:
    """A mounted file system and the number of the device below it."""

    folder: Path
    number: str

    @property
    def device(self) -> str:
        """Its path."""
        return f"/dev/zram{self.number}"

    def fail(self) -> None:
        """From here on no block is written."""
        self._set("mem_limit", 4096)

    def heal(self) -> None:
        """Blocks are written again; what was refused is not there."""
        self._set("mem_limit", 0)

    def writable(self) -> bool:
        """False where the file system gave itself up after an error, as one with a journal does."""
        try:
            (self.folder / "probe").write_bytes(b"")
            (self.folder / "probe").unlink()
        except OSError:
            return False
        return True

    def mount(self) -> None:
        """Check and mount it: what is seen is what is on the medium."""
        checked = subprocess.run(["e2fsck", "-f", "-y", self.device], check=False, capture_output=True)
        assert checked.returncode < 4, checked.stdout.decode()
        subprocess.run(["mount", "-o", "errors=continue", self.device, str(self.folder)], check=True)

    def unmount(self) -> None:
        """Nobody may have a file open."""
        subprocess.run(["umount", str(self.folder)], check=True)

    def make(self, mebibytes: int, *, journal: bool) -> None:
        """An empty file system."""
        self._set("disksize", mebibytes * MEBIBYTE)
        kind = [] if journal else ["-O", "^has_journal"]
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", *kind, self.device], check=True)

    def _set(self, name: str, value: int) -> None:
        Path(f"/sys/block/zram{self.number}/{name}").write_text(str(value))


@contextmanager
def medium(folder: Path, mebibytes: int, *, journal: bool) -> Iterator[Medium]:
    """An empty file system in an empty folder; where the kernel has no such medium or no rights the test is skipped."""
    if os.geteuid() != 0 or not _CONTROL.is_dir():
        pytest.skip("a medium that fails needs root and a kernel with zram (modprobe zram)")
    made = Medium(folder, (_CONTROL / "hot_add").read_text().strip())
    try:
        made.make(mebibytes, journal=journal)
        made.mount()
        (folder / "lost+found").rmdir()
        try:
            yield made
        finally:
            made.heal()
            subprocess.run(["umount", str(folder)], check=False, capture_output=True)
    finally:
        (_CONTROL / "hot_remove").write_text(made.number)
