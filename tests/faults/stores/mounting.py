"""Small file systems for daemons that run out of disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_file_system(folder: Path, mebibytes: int) -> Iterator[None]:
    """A file system of so many MiB in an empty folder; without the right to mount the test is skipped, never in CI."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size={mebibytes}m,mode=700,uid={os.geteuid()},gid={os.getegid()}"
    command = [*as_root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True)
    if mounted.returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("mounting is not allowed here: " + mounted.stderr.decode())
        pytest.skip("a small file system needs to be mounted: run as root")
    try:
        yield
    finally:
        subprocess.run([*as_root, "umount", str(folder)], check=True)
