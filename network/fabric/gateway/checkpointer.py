"""How far events were processed, so that a later stream goes on there: nothing lost, nothing twice.

Record an event *after* it was processed. A stream given the checkpoint starts in ``block_number``; one of chaincode
events leaves out everything up to and including ``transaction_id``.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from network.fabric.gateway.errors import CheckpointError

if TYPE_CHECKING:
    from network.fabric.gateway.chaincode_events import ChaincodeEvent

MAX_FILE_BYTES = 4096


class Checkpoint(Protocol):
    """A position: the block in which the next event is expected, and the last processed transaction in it."""

    @property
    def block_number(self) -> int | None: ...

    @property
    def transaction_id(self) -> str: ...


class _Checkpointer(ABC):
    def __init__(self, block_number: int | None, transaction_id: str) -> None:
        self._block_number = block_number
        self._transaction_id = transaction_id

    @property
    def block_number(self) -> int | None:
        """The block in which the next event is expected; None until something was recorded."""
        return self._block_number

    @property
    def transaction_id(self) -> str:
        """The last transaction processed in that block; empty: none."""
        return self._transaction_id

    def checkpoint_block(self, block_number: int) -> None:
        """The whole block was processed."""
        self.checkpoint_transaction(block_number + 1, "")

    def checkpoint_transaction(self, block_number: int, transaction_id: str) -> None:
        """The transaction of that block was processed, and so was everything before it."""
        self._save(block_number, transaction_id)
        self._block_number = block_number
        self._transaction_id = transaction_id

    def checkpoint_chaincode_event(self, event: ChaincodeEvent) -> None:
        """The event was processed, and so was everything before it."""
        self.checkpoint_transaction(event.block_number, event.transaction_id)

    @abstractmethod
    def _save(self, block_number: int, transaction_id: str) -> None: ...


class InMemoryCheckpointer(_Checkpointer):
    """A position as long as the process lives."""

    def __init__(self) -> None:
        super().__init__(None, "")

    def _save(self, block_number: int, transaction_id: str) -> None:
        pass


class FileCheckpointer(_Checkpointer):
    """A position in a file, in the official clients' form {"blockNumber": …, "transactionId": …}.

    Each record is a whole new file, on disk before the call returns: after a crash the file holds the position before
    or the one after. One process writes it.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file; where there is none, nothing was processed.

        Raises:
            CheckpointError: it cannot be read, or is no checkpoint: never taken for an empty one.
        """
        self._path = path
        super().__init__(*_read(path))

    def _save(self, block_number: int, transaction_id: str) -> None:
        """Raises:
        CheckpointError: the position could not be put on disk; the former one stands.
        """
        text = json.dumps({"blockNumber": block_number, "transactionId": transaction_id})
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            with fresh.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise CheckpointError(f"the checkpoint cannot be written: {error.strerror}") from error


def _read(path: Path) -> tuple[int | None, str]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        raise CheckpointError(f"the checkpoint cannot be read: {error.strerror}") from error
    return _parse(raw)


def _parse(raw: bytes) -> tuple[int, str]:
    try:
        fields: Any = json.loads(raw) if len(raw) <= MAX_FILE_BYTES else None
    except (ValueError, RecursionError) as error:
        raise CheckpointError("the checkpoint file is damaged: no JSON") from error
    match fields:
        case {"blockNumber": int(number), "transactionId": str(transaction_id)} if _is_block_number(number):
            return number, transaction_id
    raise CheckpointError("the checkpoint file is damaged: no blockNumber and transactionId")


def _is_block_number(number: int) -> bool:
    return not isinstance(number, bool) and 0 <= number < 2**64


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
