"""Checkpoints: kept over a restart, never half written, never guessed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from network.fabric.gateway import ChaincodeEvent, CheckpointError, FileCheckpointer, InMemoryCheckpointer

Checkpointer = InMemoryCheckpointer | FileCheckpointer


@pytest.fixture(params=["memory", "file"])
def checkpointer(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpointer:
    return InMemoryCheckpointer() if request.param == "memory" else FileCheckpointer(tmp_path / "position")


def position(checkpointer: Checkpointer) -> tuple[int | None, str]:
    return checkpointer.block_number, checkpointer.transaction_id


def test_a_new_checkpointer_has_no_position(checkpointer: Checkpointer) -> None:
    assert position(checkpointer) == (None, "")


def test_a_processed_block_moves_to_the_next(checkpointer: Checkpointer) -> None:
    checkpointer.checkpoint_transaction(4, "tx")
    checkpointer.checkpoint_block(4)
    assert position(checkpointer) == (5, "")


def test_a_processed_event_stays_in_its_block(checkpointer: Checkpointer) -> None:
    checkpointer.checkpoint_chaincode_event(ChaincodeEvent(4, "tx", "chaincode", "name", b""))
    assert position(checkpointer) == (4, "tx")


def test_a_file_keeps_the_position_in_the_official_form(tmp_path: Path) -> None:
    path = tmp_path / "position"
    FileCheckpointer(path).checkpoint_transaction(2**63, "tx")
    assert json.loads(path.read_text()) == {"blockNumber": 2**63, "transactionId": "tx"}
    assert position(FileCheckpointer(path)) == (2**63, "tx")
    assert [item.name for item in tmp_path.iterdir()] == ["position"]


def test_block_zero_is_a_position_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "position"
    FileCheckpointer(path).checkpoint_transaction(0, "")
    assert position(FileCheckpointer(path)) == (0, "")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[" * 2000,
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"blockNumber": "4", "transactionId": ""}',
        b'{"blockNumber": true, "transactionId": ""}',
        b'{"blockNumber": 4.0, "transactionId": ""}',
        b'{"blockNumber": -1, "transactionId": ""}',
        b'{"blockNumber": 18446744073709551616, "transactionId": ""}',
        b'{"blockNumber": 4}',
        b'{"blockNumber": 4, "transactionId": null}',
        b'{"blockNumber": 4, "transactionId": ""' + b" " * 5000 + b"}",
    ],
)
def test_a_damaged_file_is_an_error_and_no_beginning(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "position"
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match="damaged"):
        FileCheckpointer(path)
    assert path.read_bytes() == raw


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        FileCheckpointer(tmp_path)


def test_a_position_that_cannot_be_written_leaves_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "position"
    checkpointer = FileCheckpointer(path)
    checkpointer.checkpoint_block(4)

    def fail(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match="Input/output error"):
        checkpointer.checkpoint_block(5)
    assert position(checkpointer) == (5, "")
    assert position(FileCheckpointer(path)) == (5, "")


def test_a_position_and_its_name_are_on_disk_when_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, sync = [], os.fsync

    def record(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").resolve())
        sync(handle)

    monkeypatch.setattr(os, "fsync", record)
    FileCheckpointer(tmp_path / "position").checkpoint_block(4)
    assert synced == [tmp_path / "position.new", tmp_path]


def test_a_half_written_file_of_a_crash_is_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "position"
    FileCheckpointer(path).checkpoint_block(4)
    (tmp_path / "position.new").write_text('{"blockNum')
    checkpointer = FileCheckpointer(path)
    assert position(checkpointer) == (5, "")
    checkpointer.checkpoint_block(5)
    assert position(FileCheckpointer(path)) == (6, "")
