"""Sealed objects into the local store beside the same bytes into Kubo: one large, and many small ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from offchain.envelope.content import PlainBytes
from offchain.envelope.seal import seal, seal_stream
from offchain.envelope.sealed import SealedBytes, received
from offchain.stores import SealedStore
from offchain.stores.local import LocalStore
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import DESCRIPTION, MIB, content_file, fresh_header, fresh_key, pieces
from scripts.bench.kubo import Kubo, kubo

BATCH: Final = 500
_CONTENT_BYTES: Final = 2_000


@contextmanager
def large(place: Place) -> Iterator[Comparison]:
    """Both take the sealed bytes from a file, hash them and are durable; every round new bytes."""
    content, sealed = content_file(place), place.folder / "sealed"
    store = LocalStore(place.folder / "store")
    with kubo(place.folder / "kubo") as daemon, ThreadPoolExecutor(2) as hashing:
        yield Comparison(
            operation=f"local store put, one object of {place.mebibytes} MiB",
            unit="MiB",
            ours=Side("LocalStore.put", lambda: put_file(store, sealed, hashing), lambda: seal_anew(content, sealed)),
            peer=Side("Kubo add (RPC)", lambda: add_file(daemon, sealed), lambda: seal_anew(content, sealed)),
            goal=Goal(Figure.SPEED, 2.5),
            note="both get sealed bytes; the CPU of Kubo's daemon is not counted",
        )


@contextmanager
def small(place: Place) -> Iterator[Comparison]:
    """Both get a batch at once, Kubo in one request."""
    store, waiting = LocalStore(place.folder / "store"), list[SealedBytes]()
    with kubo(place.folder / "kubo") as daemon:

        def prepare() -> None:
            waiting[:] = [sealed_small() for _ in range(BATCH)]
            os.sync()

        yield Comparison(
            operation=f"local store put, {BATCH} objects of 2 kB",
            unit="object",
            ours=Side("LocalStore.put_many", lambda: len(store.put_many(waiting)), prepare),
            peer=Side("Kubo add (RPC), one request", lambda: daemon.add((one.data,) for one in waiting), prepare),
            goal=Goal(Figure.SPEED, 10),
            note="the CPU of Kubo's daemon is not counted",
        )


def put_file(store: SealedStore, sealed: Path, hashing: Executor) -> float:
    """Put a sealed file into a store of ours; MiB."""
    stream = received(pieces(sealed), max_bytes=sealed.stat().st_size, executor=hashing)
    return store.put(stream).total_bytes / MIB


def add_file(daemon: Kubo, sealed: Path) -> float:
    """Add a sealed file to Kubo; MiB."""
    return sealed.stat().st_size / MIB if daemon.add([pieces(sealed)]) else 0.0


def seal_anew(content: Path, sealed: Path) -> None:
    stream = seal_stream(pieces(content), DESCRIPTION, fresh_key(), fresh_header(), length=content.stat().st_size)
    with sealed.open("wb") as file:
        for piece in stream:
            file.write(piece)
    os.sync()


def sealed_small() -> SealedBytes:
    return seal(PlainBytes(os.urandom(_CONTENT_BYTES), DESCRIPTION), fresh_key(), fresh_header())
