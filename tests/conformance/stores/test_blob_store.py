"""What every store of sealed objects promises, over every adapter."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import Invalid, NotFound, Tampered
from domain.identifiers import encode_bytes, identifier
from node_service.composition import SystemClock
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey
from offchain.envelope.seal import seal, seal_stream
from offchain.envelope.sealed import SealedBytes, received
from offchain.envelope.unseal import unseal
from offchain.stores import SealedStore
from offchain.stores.local import LocalStore
from offchain.stores.mirrored import MirroredStore
from tests.kubo import ipfs_store

ADAPTERS = ("local", "ipfs", "mirrored", "two-ipfs")
KEY = DataKey(bytes(range(32)))
LARGE = 2_500_000


@pytest.fixture(params=ADAPTERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SealedStore]:
    """An empty store of each adapter."""
    local = ("local", LocalStore(tmp_path / "local"))
    with ExitStack() as opened:

        def ipfs(fixture: str) -> tuple[str, SealedStore]:
            store = ipfs_store(request.getfixturevalue(fixture).url, tmp_path / fixture)
            return fixture, opened.enter_context(closing(store))

        def mirrored(*named: tuple[str, SealedStore]) -> SealedStore:
            store = MirroredStore(named, tmp_path / "mirrors", SystemClock(), quorum=2)
            return opened.enter_context(closing(store))

        match request.param:
            case "local":
                yield local[1]
            case "ipfs":
                yield ipfs("kubo")[1]
            case "mirrored":
                yield mirrored(local, ipfs("kubo"))
            case "two-ipfs":
                yield mirrored(ipfs("kubo"), ipfs("other_kubo"))


def _object(number: int, size: int = 2_000) -> SealedBytes:
    content = hashlib.shake_128(number.to_bytes(4, "big")).digest(size)
    header = Header(identifier(number.to_bytes(16, "big")), "HospitalA", bytes(32))
    return seal(PlainBytes(content, Description("application/octet-stream")), KEY, header)


def _read(store: SealedStore, digest: str) -> bytes:
    with store.get(digest) as found:
        return found.whole().data


@pytest.mark.parametrize("size", [0, 2_000, (1 << 20) - 100, 1 << 20, LARGE])
def test_what_was_put_is_there_byte_by_byte(store: SealedStore, size: int) -> None:
    sealed = _object(1, size)
    stored = store.put(sealed)
    assert (stored.digest, stored.total_bytes) == (sealed.digest, len(sealed.data))
    assert _read(store, sealed.digest) == sealed.data
    assert store.exists(sealed.digest)


def test_an_object_is_sealed_into_the_store_as_it_streams(store: SealedStore) -> None:
    content = hashlib.shake_128(b"stream").digest(LARGE)
    header = Header.fresh(identifier(bytes(16)), "HospitalA")
    pieces = (content[start : start + 70_000] for start in range(0, LARGE, 70_000))
    stored = store.put(seal_stream(pieces, Description("application/dicom"), KEY, header))
    with store.get(stored.digest) as found:
        opened = unseal(found, KEY, object_id=header.object_id)
        assert opened.length == LARGE
        assert b"".join(opened.stream()) == content
        assert opened.range(1_048_000, 1_000) == content[1_048_000:1_049_000]


def test_hashing_threads_change_nothing_in_what_is_stored(store: SealedStore) -> None:
    content = hashlib.shake_128(b"threads").digest(9 << 20)
    header = Header(identifier(bytes(16)), "HospitalA", bytes(32))
    description = Description("application/dicom")
    whole = seal(PlainBytes(content, description), KEY, header)
    with ThreadPoolExecutor(2) as executor:
        stored = store.put(seal_stream([content], description, KEY, header, length=len(content), executor=executor))
    assert stored.digest == whole.digest
    assert _read(store, whole.digest) == whole.data


def test_a_received_object_is_stored_only_under_the_expected_digest(store: SealedStore) -> None:
    sealed, other = _object(1, LARGE), _object(2, LARGE)
    with pytest.raises(Tampered):
        store.put(received([other.data], max_bytes=1 << 22), digest=sealed.digest)
    assert list(store.digests()) == []
    store.put(received([sealed.data], max_bytes=1 << 22), digest=sealed.digest)
    assert list(store.digests()) == [sealed.digest]


def test_putting_twice_is_a_success_and_keeps_one(store: SealedStore) -> None:
    sealed = _object(1)
    assert store.put(sealed) == store.put(sealed)
    assert list(store.digests()) == [sealed.digest]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 100])
def test_many_put_at_once_are_all_there(store: SealedStore, count: int) -> None:
    sealed = [_object(number) for number in range(count)]
    assert [stored.digest for stored in store.put_many(sealed)] == [one.digest for one in sealed]
    assert sorted(store.digests()) == sorted(one.digest for one in sealed)
    assert all(_read(store, one.digest) == one.data for one in sealed)


def test_many_of_several_chunks_and_doubles_are_taken_too(store: SealedStore) -> None:
    sealed = [_object(number, LARGE if number == 3 else 100) for number in range(8)]
    store.put_many([*sealed, sealed[3]])
    assert _read(store, sealed[3].digest) == sealed[3].data


@pytest.mark.parametrize(("offset", "length"), [(0, 4), (100, 300), (1_048_000, 2_000), (2_500_000, 200), (7, 0)])
def test_a_range_is_that_range_of_the_sealed_bytes(store: SealedStore, offset: int, length: int) -> None:
    sealed = _object(1, LARGE)
    store.put(sealed)
    assert store.get_range(sealed.digest, offset, length) == sealed.data[offset : offset + length]


def test_a_range_outside_the_object_is_invalid(store: SealedStore) -> None:
    sealed = _object(1)
    store.put(sealed)
    with pytest.raises(Invalid):
        store.get_range(sealed.digest, 0, len(sealed.data) + 1)


def test_an_unknown_digest_is_not_found(store: SealedStore) -> None:
    unknown = encode_bytes(bytes(32))
    assert not store.exists(unknown)
    assert not store.delete(unknown)
    with pytest.raises(NotFound):
        _read(store, unknown)
    with pytest.raises(NotFound):
        store.get_range(unknown, 0, 1)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 42, "A" * 44, "A" * 42 + "B", "A" * 42 + "/"])
def test_what_is_no_digest_is_invalid(store: SealedStore, digest: str) -> None:
    for call in (store.exists, store.delete, lambda text: store.get_range(text, 0, 1)):
        with pytest.raises(Invalid):
            call(digest)


@pytest.mark.parametrize("size", [100, LARGE])
def test_a_deleted_object_is_gone(store: SealedStore, size: int) -> None:
    sealed, kept = _object(1, size), _object(2, size)
    store.put_many([sealed, kept])
    assert store.delete(sealed.digest)
    assert not store.exists(sealed.digest)
    with pytest.raises(NotFound):
        _read(store, sealed.digest)
    assert _read(store, kept.digest) == kept.data


def test_a_source_that_fails_leaves_nothing(store: SealedStore) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(LARGE)
        raise RuntimeError("the source broke")

    stream = seal_stream(broken(), Description("a/b"), KEY, Header.fresh(identifier(bytes(16)), "HospitalA"))
    with pytest.raises(RuntimeError):
        store.put(stream)
    assert list(store.digests()) == []


def test_orphans_are_collected_only_when_old_and_unreferenced(store: SealedStore) -> None:
    sealed = [_object(number) for number in range(3)]
    store.put_many(sealed)
    kept = sealed[0].digest
    now = datetime.now(UTC)
    assert store.collect(lambda digest: digest == kept, now + timedelta(hours=23)) == []
    removed = store.collect(lambda digest: digest == kept, now + timedelta(hours=25))
    assert sorted(removed) == sorted(one.digest for one in sealed[1:])
    assert list(store.digests()) == [kept]
    assert _read(store, kept) == sealed[0].data
