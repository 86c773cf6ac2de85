"""Opening and verifying a stored object: all of it beside SHA-256, and by range."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from offchain.envelope.keys import DataKey
from offchain.envelope.seal import seal_stream
from offchain.envelope.unseal import unseal
from offchain.stores.local import LocalStore
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import DESCRIPTION, MIB, content_file, fresh_header, fresh_key, pieces

_RANGES: Final = 40


@dataclass(frozen=True, slots=True)
class _Held:
    """An object in a store, and its content beside it."""

    store: LocalStore
    content: Path
    digest: str
    object_id: str
    key: DataKey = field(repr=False)

    def open_all(self) -> float:
        """Read, verify and decrypt every byte."""
        with self.store.get(self.digest) as sealed:
            return sum(len(chunk) for chunk in unseal(sealed, self.key, object_id=self.object_id).stream()) / MIB

    def open_ranges(self) -> float:
        """Open the object anew for each range, as each request does."""
        for _ in range(_RANGES):
            with self.store.get(self.digest) as sealed:
                opened = unseal(sealed, self.key, object_id=self.object_id)
                opened.range(secrets.randbelow(opened.length - MIB + 1), MIB)
        return _RANGES


@contextmanager
def whole(place: Place) -> Iterator[Comparison]:
    """All of the content."""
    held = _hold(place)
    yield Comparison(
        operation=f"open + verify, {place.mebibytes} MiB",
        unit="MiB",
        ours=Side("LocalStore.get → unseal → stream", held.open_all),
        peer=Side("SHA-256 of the same bytes", lambda: _hash(held.content)),
        goal=Goal(Figure.SPEED, 0.8),
        note="both read from the page cache",
    )


@contextmanager
def ranges(place: Place) -> Iterator[Comparison]:
    """A random mebibyte."""
    held = _hold(place)
    yield Comparison(
        operation=f"random range of 1 MiB in {place.mebibytes} MiB",
        unit="range",
        ours=Side("LocalStore.get → unseal → range", held.open_ranges),
        goal=Goal(Figure.SECONDS, 0.005),
    )


def _hold(place: Place) -> _Held:
    content, store = content_file(place), LocalStore(place.folder / "store")
    key, header = fresh_key(), fresh_header()
    stored = store.put(seal_stream(pieces(content), DESCRIPTION, key, header, length=content.stat().st_size))
    return _Held(store, content, stored.digest, header.object_id, key)


def _hash(path: Path) -> float:
    digest, size = hashlib.sha256(), 0
    for piece in pieces(path):
        digest.update(piece)
        size += len(piece)
    return size / MIB
