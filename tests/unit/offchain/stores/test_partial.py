from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain.errors import Conflict, Invalid, Tampered, Unavailable
from offchain.disk import Disk
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.seal import seal
from offchain.envelope.sealed import SealedBytes
from offchain.stores.local import LocalStore
from tests.unit.offchain.sealing import KEY, fresh_id

MAX = 1 << 23


def _sealed(size: int = 5_000_000) -> SealedBytes:
    return seal(PlainBytes(os.urandom(size), Description("a/b")), KEY, Header.fresh(fresh_id(), "HospitalA"))


def _source(data: bytes, asked: list[int], *, breaks_at: int | None = None) -> Callable[[int], Iterator[bytes]]:
    def fetch(offset: int) -> Iterator[bytes]:
        asked.append(offset)
        end = len(data) if breaks_at is None else breaks_at
        for start in range(offset, end, 100_000):
            yield data[start : min(start + 100_000, end)]
        if breaks_at is not None:
            raise ConnectionResetError("the connection broke")

    return fetch


def test_a_broken_transfer_goes_on_where_it_broke(tmp_path: Path) -> None:
    sealed, asked = _sealed(), list[int]()
    store = LocalStore(tmp_path)
    for breaks_at in (100, 2_500_000, 4_000_000):
        with pytest.raises(ConnectionResetError):
            store.put_received(sealed.digest, _source(sealed.data, asked, breaks_at=breaks_at), max_bytes=MAX)
        assert list(store.digests()) == []
    stored = LocalStore(tmp_path).put_received(sealed.digest, _source(sealed.data, asked), max_bytes=MAX)
    assert (stored.digest, stored.total_bytes) == (sealed.digest, len(sealed.data))
    assert asked[:2] == [0, 0]
    assert 1_000_000 < asked[2] <= 2_500_000 < asked[3] <= 4_000_000
    with store.get(sealed.digest) as found:
        assert found.whole().data == sealed.data
    assert list((tmp_path / "incoming").iterdir()) == []


@pytest.mark.parametrize("size", [0, 1_000, 1 << 20])
def test_small_objects_are_received_too(tmp_path: Path, size: int) -> None:
    sealed = _sealed(size)
    LocalStore(tmp_path).put_received(sealed.digest, _source(sealed.data, []), max_bytes=MAX)
    LocalStore(tmp_path).verify(sealed.digest)


def test_what_is_not_the_object_is_thrown_away_and_the_next_attempt_starts_anew(tmp_path: Path) -> None:
    sealed, other, asked = _sealed(), _sealed(), list[int]()
    store = LocalStore(tmp_path)
    with pytest.raises(ConnectionResetError):
        store.put_received(sealed.digest, _source(other.data, asked, breaks_at=3_000_000), max_bytes=MAX)
    with pytest.raises(Tampered):
        store.put_received(sealed.digest, _source(sealed.data, asked), max_bytes=MAX)
    store.put_received(sealed.digest, _source(sealed.data, asked), max_bytes=MAX)
    assert asked[2] == 0
    store.verify(sealed.digest)


@pytest.mark.parametrize("data", [b"", b"YLN1", b"no sealed object at all"])
def test_bytes_that_are_no_sealed_object_leave_nothing(tmp_path: Path, data: bytes) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises((Invalid, Tampered)):
        store.put_received(_sealed(1).digest, _source(data, []), max_bytes=MAX)
    assert list((tmp_path / "incoming").iterdir()) == []


def test_an_endless_source_is_stopped(tmp_path: Path) -> None:
    sealed = _sealed()
    with pytest.raises(Invalid) as caught:
        LocalStore(tmp_path).put_received(sealed.digest, _source(sealed.data, []), max_bytes=1_000_000)
    assert caught.value.reason == "too-large"


def test_one_object_is_received_by_one_at_a_time(tmp_path: Path) -> None:
    sealed = _sealed()
    store, other = LocalStore(tmp_path), LocalStore(tmp_path)

    def fetch(offset: int) -> Iterator[bytes]:
        yield sealed.data[offset : offset + 1_000_000]
        with pytest.raises(Conflict):
            other.put_received(sealed.digest, _source(sealed.data, []), max_bytes=MAX)
        yield sealed.data[offset + 1_000_000 :]

    store.put_received(sealed.digest, fetch, max_bytes=MAX)
    store.verify(sealed.digest)


def test_a_file_that_was_published_while_we_waited_for_its_lock_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = _sealed(1_000)
    store = LocalStore(tmp_path)
    monkeypatch.setattr("offchain.stores.partial.fcntl.flock", lambda *_: _publish(tmp_path))
    with pytest.raises(Conflict):
        store.put_received(sealed.digest, _source(sealed.data, []), max_bytes=MAX)
    assert (tmp_path / "published").read_bytes() == b""


def _publish(root: Path) -> None:
    for path in (root / "incoming").iterdir():
        path.rename(root / "published")


class FullDisk(Disk):
    """Takes no more after some writes."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def write(self, descriptor: int, view: memoryview) -> int:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(descriptor, view)


@pytest.mark.parametrize("left", range(7))
def test_a_full_disk_is_unavailable_and_the_transfer_goes_on_later(tmp_path: Path, left: int) -> None:
    sealed, asked = _sealed(), list[int]()
    with pytest.raises(Unavailable) as caught:
        LocalStore(tmp_path, disk=FullDisk(left)).put_received(
            sealed.digest, _source(sealed.data, asked), max_bytes=MAX
        )
    assert caught.value.reason == "disk-full"
    store = LocalStore(tmp_path)
    assert list(store.digests()) == []
    store.put_received(sealed.digest, _source(sealed.data, asked), max_bytes=MAX)
    store.verify(sealed.digest)
    assert len(list((tmp_path / "objects").rglob("*.chunks"))) == 1


class FailedSync(Disk):
    """Waits for no file; directories are well."""

    __slots__ = ()

    def fsync(self, descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return super().fsync(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_after_a_failed_sync_nothing_that_came_before_is_trusted(tmp_path: Path) -> None:
    sealed, asked = _sealed(), list[int]()
    with pytest.raises(Unavailable) as caught:
        LocalStore(tmp_path, disk=FailedSync()).put_received(sealed.digest, _source(sealed.data, asked), max_bytes=MAX)
    assert caught.value.reason == "disk"
    store = LocalStore(tmp_path)
    store.put_received(sealed.digest, _source(sealed.data, asked), max_bytes=MAX)
    assert asked == [0, 0]
    store.verify(sealed.digest)
