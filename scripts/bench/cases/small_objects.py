"""Many small objects into the local store: in one batch beside one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from offchain.envelope.content import PlainBytes
from offchain.envelope.seal import seal
from offchain.envelope.sealed import SealedBytes
from offchain.stores.local import LocalStore
from scripts.bench.comparison import Comparison, Place, Side
from scripts.bench.inputs import DESCRIPTION, fresh_header, fresh_key

_BATCH: Final = 500
_SINGLE: Final = 50
_CONTENT_BYTES: Final = 2_000


@contextmanager
def case(place: Place) -> Iterator[Comparison]:
    """Both are durable when they return."""
    store = LocalStore(place.folder / "store")
    waiting: list[SealedBytes] = []

    def prepare(count: int) -> None:
        waiting[:] = [_sealed() for _ in range(count)]
        os.sync()

    def batch() -> float:
        return len(store.put_many(waiting))

    def one_by_one() -> float:
        return len([store.put(one) for one in waiting])

    yield Comparison(
        operation="local store put, objects of 2 kB",
        unit="object",
        ours=Side(f"put_many, {_BATCH} at once", batch, lambda: prepare(_BATCH)),
        peer=Side("put, one by one", one_by_one, lambda: prepare(_SINGLE)),
    )


def _sealed() -> SealedBytes:
    return seal(PlainBytes(os.urandom(_CONTENT_BYTES), DESCRIPTION), fresh_key(), fresh_header())
