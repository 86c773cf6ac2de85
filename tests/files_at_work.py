"""Files of processes that are at work: what vanishes while somebody looks is not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """Every regular file; links are not followed.

    Raises:
        OSError: a folder cannot be read, or is not there from the beginning.
    """
    folder.stat()
    walked = os.walk(folder, onerror=_unless_gone)
    paths = (Path(directory, name) for directory, _, names in walked for name in names)
    return [path for path in paths if _is_regular(path)]


def content(path: Path) -> bytes:
    """What it holds; nothing if it is gone."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def size(path: Path) -> int:
    """How many bytes it has; none if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
