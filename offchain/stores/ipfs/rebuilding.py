"""Makes a lost or older index whole: files that it does not know are read and their objects are hashed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from domain.errors import Invalid, NotFound, Tampered
from offchain.envelope.sealed import SealedBytes, received
from offchain.envelope.suite import Suite
from offchain.stores.ipfs.index import Entry, Index
from offchain.stores.ipfs.rpc import KuboRpc
from offchain.stores.ipfs.segment import MAGIC, MAX_SEGMENT_BYTES, MAX_TABLE_BYTES, parse_table

MAX_SEGMENT_FILE_BYTES: Final = MAX_SEGMENT_BYTES + MAX_TABLE_BYTES
_LOG: Final = logging.getLogger(__name__)


def adopt(rpc: KuboRpc, index: Index, cids: Iterable[str], *, max_bytes: int, allowed: Sequence[Suite]) -> None:
    """Enter files that the index does not know; may be broken off and repeated.

    An object counts as put now, so that nothing is collected before a day is over. What is altered has another digest,
    to which nobody refers; what cannot be read is left out and stays pinned.

    Raises:
        Unavailable: Kubo or the disk; call again.
    """
    for cid in cids:
        try:
            entries = list(_entries(rpc, cid, max_bytes, allowed))
        except (Invalid, NotFound, Tampered) as error:
            _LOG.error("a file of the IPFS store cannot be read again: %s", error.reason)
            continue
        index.adopt(cid, entries[-1].offset + entries[-1].length, list({one.digest: one for one in entries}.values()))


def _entries(rpc: KuboRpc, cid: str, max_bytes: int, allowed: Sequence[Suite]) -> Iterator[Entry]:
    now = datetime.now(UTC).timestamp()
    if rpc.cat(cid, 0, len(MAGIC)) != MAGIC:
        stream = received(rpc.stream(cid), max_bytes=max_bytes, allowed=allowed)
        for _ in stream:
            pass
        listed = stream.chunk_list
        yield Entry(stream.digest, 0, listed.total_bytes, listed.encode() if len(listed.hashes) > 1 else None, now)
        return
    data = rpc.cat(cid, 0, MAX_SEGMENT_FILE_BYTES)
    for span in parse_table(data[:MAX_TABLE_BYTES], len(data)):
        sealed = SealedBytes.of(data[span.offset : span.offset + span.length], allowed)
        several = len(sealed.chunk_list.hashes) > 1
        yield Entry(sealed.digest, span.offset, span.length, sealed.chunk_list.encode() if several else None, now)
