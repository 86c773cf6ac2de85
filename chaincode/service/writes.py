"""Telling the peer what a transaction writes, at its end: in batches where the peer takes them, else one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from chaincode.service.conversation import Conversation
from chaincode.service.message import Kind
from chaincode.service.offer import Offer
from chaincode.service.protos import shim
from chaincode.stub import Write

MAX_BATCH_BYTES: Final = 32 << 20
"""Far below what a message may have; a batch of the largest values would not be."""


def send_writes(conversation: Conversation, writes: Sequence[Write], offer: Offer) -> None:
    """Tell the peer of all writes.

    Raises:
        PeerFailed: the peer did not take one of them.
    """
    if not offer.max_batch_writes:
        for write in writes:
            _send_one(conversation, write)
        return
    for batch in _batches(writes, offer.max_batch_writes):
        records = [_record(write) for write in batch]
        conversation.ask(Kind.WRITE_BATCH_STATE, shim.WriteBatchState(rec=records))


def _send_one(conversation: Conversation, write: Write) -> None:
    if write.value is None:
        conversation.ask(Kind.DEL_STATE, shim.DelState(key=write.key))
    else:
        conversation.ask(Kind.PUT_STATE, shim.PutState(key=write.key, value=write.value))


def _record(write: Write) -> object:
    if write.value is None:
        return shim.WriteRecord(type=Kind.DEL_STATE, key=write.key)
    return shim.WriteRecord(type=Kind.PUT_STATE, key=write.key, value=write.value)


def _batches(writes: Sequence[Write], max_writes: int) -> Iterator[list[Write]]:
    batch: list[Write] = []
    size = 0
    for write in writes:
        added = len(write.key.encode()) + len(write.value or b"")
        if batch and (len(batch) == max_writes or size + added > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(write)
        size += added
    if batch:
        yield batch
