"""Exports on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import Invalid, NotFound
from network.blocks.block import MAX_BLOCK_BYTES
from network.verifier.folder import read_blocks


def test_blocks_are_read_by_number_and_other_files_are_left_alone(tmp_path: Path) -> None:
    for name, content in (("0010.block", b"ten"), ("0002.block", b"two"), ("10000.block", b"many")):
        (tmp_path / name).write_bytes(content)
    for name in ("leaves", "expected.json", "1.block", "0003.block.part", "000x.block"):
        (tmp_path / name).write_bytes(b"other")
    assert list(read_blocks(tmp_path)) == [b"two", b"ten", b"many"]


def test_two_files_of_one_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0001.block").write_bytes(b"one")
    (tmp_path / "00001.block").write_bytes(b"another")
    with pytest.raises(Invalid) as caught:
        list(read_blocks(tmp_path))
    assert caught.value.reason == "duplicate-block"


def test_a_folder_without_blocks_and_no_folder_are_told_apart(tmp_path: Path) -> None:
    for folder, reason in ((tmp_path, "no-blocks"), (tmp_path / "missing", "no-folder")):
        with pytest.raises(NotFound) as caught:
            list(read_blocks(folder))
        assert caught.value.reason == reason


def test_a_file_larger_than_any_block_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "0000.block").open("wb") as file:
        file.truncate(MAX_BLOCK_BYTES + 1)
    with pytest.raises(Invalid) as caught:
        list(read_blocks(tmp_path))
    assert caught.value.reason == "too-large"
