"""An auditor's receipts: many of them under few checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import merkle
from domain.checkpoints import Checkpoint, merge, origin_of, sign_checkpoint
from domain.entries import AccessEntry, encode
from domain.identifiers import encode_bytes
from domain.receipt_form import Inclusion, Member, Members, Proven, Receipt, ReceiptReader, WritePlace
from domain.receipts import ReceiptVerifier
from domain.witness_log import LogEntry, Write, entry_of, write_leaves, write_tree
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import fresh_identifier

CHANNEL: Final = "yilian"
MEMBERS: Final = ("EastMSP", "NorthMSP", "SouthMSP", "WestMSP")
_CHECKPOINTS: Final = 10
_WRITES: Final = 100
_BLOCKS: Final = 10_000
_SECONDS_EACH: Final = 5 / 100_000


@contextmanager
def case(place: Place) -> Iterator[Comparison]:
    """One receipt for each write of a few blocks; each block's receipts share a checkpoint."""
    keys = {msp: Ed25519PrivateKey.generate() for msp in MEMBERS}
    members = Members(
        CHANNEL,
        "fabric",
        tuple(Member(msp, (encode_bytes(key.public_key().public_bytes_raw()),)) for msp, key in keys.items()),
    )
    encoded = [receipt.encode() for receipt in _receipts(keys)]

    def verify() -> float:
        reader, verifier = ReceiptReader(), ReceiptVerifier(members)
        for one in encoded:
            verifier.verify(reader.parse(one), ("NorthMSP",))
        return len(encoded)

    yield Comparison(
        operation=f"{len(encoded):,} receipts sharing {_CHECKPOINTS} checkpoints, {_BLOCKS:,} blocks in the log",
        unit="receipt",
        ours=Side("ReceiptReader.parse → ReceiptVerifier.verify", verify),
        goal=Goal(Figure.SECONDS, _SECONDS_EACH),
        note="100,000 in 5 s are 50 µs each",
    )


def _receipts(keys: dict[str, Ed25519PrivateKey]) -> Iterator[Receipt]:
    blocks = {number: _block(number) for number in range(0, _BLOCKS, _BLOCKS // _CHECKPOINTS)}
    empty = entry_of(0, bytes(32), [], b"")
    log = merkle.MemoryTree()
    for number in range(_BLOCKS):
        log.append(blocks[number][1].leaf_hash() if number in blocks else empty.leaf_hash())
    for shrink, (number, (writes, entry)) in enumerate(blocks.items()):
        size = _BLOCKS - shrink
        note = _note(Checkpoint(origin_of(CHANNEL), size, log.root(size)), keys)
        path = _texts(merkle.inclusion_proof(number, size, log.read))
        tree = write_tree(write_leaves(writes))
        for index, write in enumerate(writes):
            yield Receipt(
                CHANNEL,
                "fabric",
                Proven("write", write.key, (write.value or b"").decode()),
                WritePlace(
                    write.transaction,
                    write.tx_id,
                    index,
                    tree.size,
                    _texts(merkle.inclusion_proof(index, tree.size, tree.read)),
                ),
                entry.encode().decode(),
                Inclusion(size, path),
                note,
            )


def _block(number: int) -> tuple[list[Write], LogEntry]:
    writes = [_write(index) for index in range(_WRITES)]
    return writes, entry_of(number, hashlib.sha256(str(number).encode()).digest(), write_leaves(writes), bytes(_WRITES))


def _write(index: int) -> Write:
    digest = encode_bytes(bytes(32))
    at, until = "2026-11-22T08:00:00Z", "2026-11-22T08:15:00Z"
    names = (fresh_identifier(), fresh_identifier(), "SouthMSP", fresh_identifier(), "TREAT")
    value = encode(AccessEntry(*names, at, until, digest, digest))
    return Write(index, f"{index:064x}", f"\0access\0{fresh_identifier()}\0", value)


def _note(checkpoint: Checkpoint, keys: dict[str, Ed25519PrivateKey]) -> str:
    notes = (
        sign_checkpoint(checkpoint, msp, key.public_key().public_bytes_raw(), key.sign) for msp, key in keys.items()
    )
    return merge(notes).text()


def _texts(path: list[bytes]) -> tuple[str, ...]:
    return tuple(encode_bytes(item) for item in path)
