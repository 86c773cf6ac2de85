"""The IPFS store beside Kubo's own add of the same bytes, and a mirrored store beside its slower half alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Final

from node_service.composition import SystemClock
from offchain.envelope.sealed import SealedBytes
from offchain.stores import SealedStore
from offchain.stores.ipfs.rpc import KuboRpc
from offchain.stores.ipfs.store import IpfsStore
from offchain.stores.local import LocalStore
from offchain.stores.mirrored import MirroredStore
from scripts.bench.cases.kubo import BATCH, add_file, put_file, seal_anew, sealed_small
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import content_file
from scripts.bench.kubo import Kubo, kubo

_AT_MOST_15_PERCENT_LONGER: Final = 0.87


@contextmanager
def large(place: Place) -> Iterator[Comparison]:
    """Both take the sealed bytes from a file and are durable; ours also hashes them and has them whole before."""
    content, sealed = content_file(place), place.folder / "sealed"
    with _ipfs(place) as (daemon, store), ThreadPoolExecutor(2) as hashing:
        yield Comparison(
            operation=f"IPFS store put, one object of {place.mebibytes} MiB",
            unit="MiB",
            ours=Side("IpfsStore.put", lambda: put_file(store, sealed, hashing), lambda: seal_anew(content, sealed)),
            peer=Side("Kubo add (RPC)", lambda: add_file(daemon, sealed), lambda: seal_anew(content, sealed)),
            goal=Goal(Figure.SPEED, _AT_MOST_15_PERCENT_LONGER),
            note="the CPU of Kubo's daemon is not counted",
        )


@contextmanager
def small(place: Place) -> Iterator[Comparison]:
    """Both get a batch at once, Kubo in one request."""
    waiting = list[SealedBytes]()
    with _ipfs(place) as (daemon, store):

        def prepare() -> None:
            waiting[:] = [sealed_small() for _ in range(BATCH)]
            os.sync()

        yield Comparison(
            operation=f"IPFS store put, {BATCH} objects of 2 kB",
            unit="object",
            ours=Side("IpfsStore.put_many", lambda: len(store.put_many(waiting)), prepare),
            peer=Side("Kubo add (RPC), one request", lambda: daemon.add((one.data,) for one in waiting), prepare),
            goal=Goal(Figure.SPEED, _AT_MOST_15_PERCENT_LONGER),
            note="ours packs them into segments; the CPU of Kubo's daemon is not counted",
        )


@contextmanager
def mirrored(place: Place) -> Iterator[Comparison]:
    """The same large object into disk and IPFS, one after the other, and into IPFS alone."""
    content, sealed = content_file(place), place.folder / "sealed"
    with _ipfs(place) as (_, store), ThreadPoolExecutor(2) as hashing:
        named: list[tuple[str, SealedStore]] = [("local", LocalStore(place.folder / "store")), ("ipfs", store)]
        with closing(MirroredStore(named, place.folder / "mirrors", SystemClock(), quorum=2)) as both:
            yield Comparison(
                operation=f"mirrored store put, one object of {place.mebibytes} MiB",
                unit="MiB",
                ours=Side(
                    "MirroredStore.put (disk and IPFS)",
                    lambda: put_file(both, sealed, hashing),
                    lambda: seal_anew(content, sealed),
                ),
                peer=Side(
                    "IpfsStore.put", lambda: put_file(store, sealed, hashing), lambda: seal_anew(content, sealed)
                ),
                note="the CPU of Kubo's daemon is not counted",
            )


@contextmanager
def _ipfs(place: Place) -> Iterator[tuple[Kubo, IpfsStore]]:
    with kubo(place.folder / "kubo") as daemon, closing(IpfsStore(KuboRpc(daemon.url), place.folder / "ipfs")) as store:
        yield daemon, store
