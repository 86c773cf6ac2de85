"""A process that stores and erases on disk and IPFS until it is killed: ``… worker FOLDER URL NUMBER``.

Each line that it prints was acknowledged: ``stored DIGEST``, ``erased DIGEST``; ``erasing DIGEST`` was asked for.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from offchain.stores import SealedStore
from offchain.stores.local import LocalStore
from offchain.stores.mirrored import MirroredStore
from tests.kubo import ipfs_store
from tests.unit.offchain.sealing import sealed_of
from tests.unit.offchain.stores.test_mirrored import Noon

LARGE = 1_500_000


def open_stores(folder: Path, url: str) -> tuple[MirroredStore, dict[str, SealedStore]]:
    """The mirrored store of the folder, and its halves."""
    halves: dict[str, SealedStore] = {"local": LocalStore(folder / "local"), "ipfs": ipfs_store(url, folder / "ipfs")}
    return MirroredStore(list(halves.items()), folder / "mirrors", Noon(), quorum=2), halves


def main(folder: Path, url: str) -> None:
    store, _ = open_stores(folder, url)
    for turn in itertools.count(1):
        objects = [sealed_of() for _ in range(4)]
        store.put_many(objects)
        large = sealed_of(LARGE)
        store.put(large)
        for one in (*objects, large):
            print("stored", one.digest, flush=True)  # noqa: T201
        erased = [objects[0].digest, *([large.digest] if turn % 2 else [])]
        for digest in erased:
            print("erasing", digest, flush=True)  # noqa: T201
        store.delete_many(erased)
        for digest in erased:
            print("erased", digest, flush=True)  # noqa: T201
        store.settle()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
