"""File systems of a few MiB, which fill up and get room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEBIBYTE = 1 << 20


class Full:
    """A folder on a file system of its own, which can be filled and emptied."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave not a block."""
        with self._ballast.open("ab") as file:
            for size in (MEBIBYTE, 65536, 4096, 1):
                while True:
                    try:
                        os.write(file.fileno(), b"\0" * size)
                    except OSError:
                        break

    def empty(self) -> None:
        """Room again."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def mounted(folder: Path, mebibytes: int) -> Iterator[None]:
    """A small file system in a folder; where that is not allowed the test is skipped, in CI it fails."""
    options = f"size={mebibytes}m,mode=700,uid={os.geteuid()},gid={os.getegid()}"
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*as_root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    tried = subprocess.run(command, check=False, capture_output=True)
    if tried.returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("mounting is not allowed here: " + tried.stderr.decode())
        pytest.skip("a small file system needs to be mounted: run as root")
    try:
        yield
    finally:
        subprocess.run([*as_root, "umount", "--lazy", str(folder)], check=True)
