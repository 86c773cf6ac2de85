"""Seal, hash and store beside a copy of the same bytes that is as durable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from offchain.envelope.seal import seal_stream
from offchain.stores.local import LocalStore
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import DESCRIPTION, MIB, content_file, fresh_header, fresh_key, pieces


@contextmanager
def one_thread(place: Place) -> Iterator[Comparison]:
    """Hashing in the thread that encrypts and writes."""
    yield _comparison(place, None)


@contextmanager
def hashing_beside(place: Place) -> Iterator[Comparison]:
    """Hashing in threads beside it."""
    with ThreadPoolExecutor(2) as executor:
        yield _comparison(place, executor)


def _comparison(place: Place, executor: Executor | None) -> Comparison:
    content = content_file(place)
    store = LocalStore(place.folder / "store")
    copy = place.folder / "copy"

    def seal_and_store() -> float:
        stream = seal_stream(
            pieces(content), DESCRIPTION, fresh_key(), fresh_header(), length=content.stat().st_size, executor=executor
        )
        return store.put(stream).total_bytes / MIB

    def empty_store() -> None:
        for digest in list(store.digests()):
            store.delete(digest)
        os.sync()

    def remove_copy() -> None:
        copy.unlink(missing_ok=True)
        os.sync()

    threads = " (hashing in threads)" if executor else ""
    return Comparison(
        operation=f"seal + hash + store, {place.mebibytes} MiB{threads}",
        unit="MiB",
        ours=Side("seal_stream → LocalStore.put", seal_and_store, empty_store),
        peer=Side("copy + fsync", lambda: _copy(content, copy), remove_copy),
        goal=Goal(Figure.SPEED, 0.8),
    )


def _copy(source: Path, target: Path) -> float:
    with target.open("wb", buffering=0) as file:
        for piece in pieces(source):
            file.write(piece)
        os.fsync(file.fileno())
    descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return target.stat().st_size / MIB
