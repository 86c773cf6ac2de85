"""Export for auditors: a folder of ``NNNN.block`` files, each one serialized ``common.Block``, and ``channel.json``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from domain.errors import Conflict, Invalid, Unavailable
from network.verifier.channel_file import ChannelFile, read_channel_file
from network.verifier.source import RawBlocks

CHANNEL_FILE: Final = "channel.json"


def write_export(
    source: RawBlocks, channel: ChannelFile, destination: Path, progress: Callable[[int, int], None] | None = None
) -> int:
    """Copies every block that exists now; gives their number. Nothing is verified: that is the reader's part.

    May be repeated: blocks that are there already stay, later ones are added. ``channel.json`` is written when all
    blocks are durable, so a folder without it is an export that did not finish and is completed by the next run.

    Args:
        destination: a new or empty folder, or an earlier export of this channel.
        progress: called with (blocks written, blocks in all).

    Raises:
        Conflict: the destination holds an export of another ledger, or anything else.
        Unavailable: a disk or the source refuses.
    """
    try:
        finished = _prepare(destination, channel)
        total = source.height()
        for number, raw in zip(range(total), source.blocks(0), strict=False):
            _write_block(destination, number, raw, finished)
            if progress is not None:
                progress(number + 1, total)
        _make_durable(destination)
        _replace(destination / CHANNEL_FILE, channel.encode())
        _sync(destination)
    except OSError as error:
        raise Unavailable(f"the export cannot be written: {error.strerror}", reason="export-failed") from error
    return total


def block_name(number: int) -> str:
    """``0000.block``, ``0001.block``, …; longer where four digits are not enough."""
    return f"{number:04d}.block"


def _prepare(destination: Path, channel: ChannelFile) -> bool:
    """Whether the folder is a finished export; made if it is not there."""
    destination.mkdir(parents=True, exist_ok=True)
    described = destination / CHANNEL_FILE
    if described.exists():
        try:
            same = read_channel_file(described) == channel
        except Invalid:
            same = False
        if not same:
            raise Conflict("the folder holds another export", reason="other-export", place=destination.name)
        return True
    if any(path.suffix not in {".block", ".part"} for path in destination.iterdir()):
        raise Conflict("the folder holds something else", reason="not-empty", place=destination.name)
    return False


def _write_block(destination: Path, number: int, raw: bytes, finished: bool) -> None:
    path = destination / block_name(number)
    if path.exists():
        if path.read_bytes() == raw:
            return
        if finished:
            raise Conflict("a block of the export differs from the ledger's", reason="other-export", place=path.name)
    _replace(path, raw)


def _replace(path: Path, content: bytes) -> None:
    """Never a half-written file under its final name."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(path)


def _make_durable(destination: Path) -> None:
    for leftover in destination.glob("*.part"):
        leftover.unlink()
    _sync(destination)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
