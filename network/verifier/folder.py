"""An export on disk: a folder of ``NNNN.block`` files, each one serialized ``common.Block``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from domain.errors import Invalid, NotFound
from network.blocks.block import MAX_BLOCK_BYTES

_NAME = re.compile(r"([0-9]{4,20})\.block\Z")


def block_files(folder: Path) -> list[Path]:
    """The block files of an export in the order of their numbers.

    Raises:
        NotFound: no such folder, or no block in it.
        Invalid: two files of one number.
    """
    if not folder.is_dir():
        raise NotFound("there is no such folder", reason="no-folder")
    numbered: dict[int, Path] = {}
    for path in folder.iterdir():
        match = _NAME.match(path.name)
        if match is None:
            continue
        if int(match[1]) in numbered:
            raise Invalid("two files have one block number", reason="duplicate-block", place=path.name)
        numbered[int(match[1])] = path
    if not numbered:
        raise NotFound("the folder holds no NNNN.block file", reason="no-blocks")
    return [numbered[number] for number in sorted(numbered)]


def read_blocks(folder: Path) -> Iterator[bytes]:
    """Reads the blocks of an export one at a time; a gap shows up in verification, by the numbers in the headers.

    Raises:
        NotFound, Invalid: see ``block_files``; a file larger than any block is refused unread.
    """
    for path in block_files(folder):
        if path.stat().st_size > MAX_BLOCK_BYTES:
            raise Invalid(f"block is larger than {MAX_BLOCK_BYTES} bytes", reason="too-large", place=path.name)
        yield path.read_bytes()
