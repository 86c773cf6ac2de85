"""Seal, hash and store beside other streaming encryption of the same bytes into a file that is as durable."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from offchain.envelope.seal import seal_stream
from offchain.stores.local import LocalStore
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import DESCRIPTION, MIB, Skipped, content_file, fresh_header, fresh_key, pieces


@contextmanager
def tink(place: Place) -> Iterator[Comparison]:
    """Google Tink's streaming AEAD, AES-256-GCM in segments of 1 MiB."""
    try:
        import tink as tink_library  # noqa: PLC0415 - a peer of the group "bench"
        from tink import streaming_aead  # noqa: PLC0415 - idem
    except ImportError:
        raise Skipped("Tink is in the dependency group 'bench'; make bench installs it") from None
    streaming_aead.register()
    handle = tink_library.new_keyset_handle(streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB)
    primitive = handle.primitive(streaming_aead.StreamingAead)

    def encrypt(source: Path, target: Path) -> None:
        with target.open("wb") as file, primitive.new_encrypting_stream(file, b"header") as sealed:
            for piece in pieces(source):
                sealed.write(piece)

    with _comparison(place, "Tink streaming AEAD → file + fsync", encrypt, Goal(Figure.SPEED, 1.5)) as made:
        yield made


@contextmanager
def age(place: Place) -> Iterator[Comparison]:
    """age (rage): ChaCha20-Poly1305 in chunks of 64 KiB to an X25519 recipient."""
    try:
        import pyrage  # noqa: PLC0415 - a peer of the group "bench"
    except ImportError:
        raise Skipped("pyrage is in the dependency group 'bench'; make bench installs it") from None
    recipient = pyrage.x25519.Identity.generate().to_public()

    def encrypt(source: Path, target: Path) -> None:
        pyrage.encrypt_file(str(source), str(target), [recipient])

    with _comparison(place, "age → file + fsync", encrypt, None) as made:
        yield made


@contextmanager
def _comparison(
    place: Place, peer: str, encrypt: Callable[[Path, Path], None], goal: Goal | None
) -> Iterator[Comparison]:
    content, store, other = content_file(place), LocalStore(place.folder / "store"), place.folder / "other"
    with ThreadPoolExecutor(2) as executor:

        def seal_and_store() -> float:
            stream = seal_stream(
                pieces(content),
                DESCRIPTION,
                fresh_key(),
                fresh_header(),
                length=content.stat().st_size,
                executor=executor,
            )
            return store.put(stream).total_bytes / MIB

        def empty_store() -> None:
            for digest in list(store.digests()):
                store.delete(digest)
            os.sync()

        def encrypt_durably() -> float:
            encrypt(content, other)
            _sync(other)
            return content.stat().st_size / MIB

        def remove_other() -> None:
            other.unlink(missing_ok=True)
            os.sync()

        yield Comparison(
            operation=f"seal + hash + store, {place.mebibytes} MiB",
            unit="MiB",
            ours=Side("seal_stream → LocalStore.put", seal_and_store, empty_store),
            peer=Side(peer, encrypt_durably, remove_other),
            goal=goal,
            note="ours also makes the Merkle tree over the chunks and the store's chunk list",
        )


def _sync(path: Path) -> None:
    for target in (path, path.parent):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
