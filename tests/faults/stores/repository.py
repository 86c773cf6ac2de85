"""What lies in the repository of a Kubo daemon, read from its files."""

from __future__ import annotations

from pathlib import Path

from scripts.kubo import Daemon
from tests.files_at_work import content, files_below

LARGE = 2_500_000


def block_files(daemon: Daemon) -> list[Path]:
    return [path for path in files_below(daemon.blocks) if path.suffix == ".data"]


def block_with(daemon: Daemon, part: bytes) -> Path:
    """The block file that holds these bytes."""
    return next(path for path in block_files(daemon) if part in content(path))


def holds(daemon: Daemon, part: bytes) -> bool:
    """Whether these bytes lie anywhere in the repository, deleted blocks of databases too."""
    return any(part in content(path) for path in files_below(daemon.folder))


def alter(path: Path, part: bytes) -> None:
    """Flip one bit within these bytes of a block file, as a bad disk does."""
    data = bytearray(path.read_bytes())
    data[data.index(part) + len(part) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
