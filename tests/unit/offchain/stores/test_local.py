from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import Invalid, NotFound, Tampered, Unavailable
from domain.identifiers import decode_bytes
from offchain.disk import Disk
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey
from offchain.envelope.seal import seal, seal_stream
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.unseal import unseal
from offchain.stores.local import MAX_BATCH_OBJECTS, LocalStore
from tests.unit.offchain.sealing import KEY, OBJECT_ID, TEST_SUITES, fresh_id, sealed_small

CONTENT = bytes(range(200))
LARGE = 2_500_000


def _file(root: Path, digest: str) -> Path:
    name = decode_bytes(digest, "digest").hex()
    return root / "objects" / name[:2] / name


def _files(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.name != "lock")


def _sealed(size: int) -> SealedBytes:
    return seal(PlainBytes(os.urandom(size), Description("a/b")), KEY, Header.fresh(fresh_id(), "HospitalA"))


def _read_all(store: LocalStore, digest: str) -> None:
    with store.get(digest) as found:
        unseal(found, KEY, object_id=found.header.object_id).whole(max_bytes=1 << 23)


def test_any_flipped_bit_of_a_stored_object_is_found_and_the_object_named(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, allowed=TEST_SUITES)
    for content in (b"one chunk", CONTENT):
        sealed = sealed_small(content)
        store.put(sealed)
        path = _file(tmp_path, sealed.digest)
        for position in range(len(sealed.data)):
            data = bytearray(sealed.data)
            data[position] ^= 1 << (position % 8)
            path.write_bytes(data)
            with pytest.raises(Tampered) as caught:
                store.verify(sealed.digest)
            assert sealed.digest in str(caught.value), position


def test_truncated_or_longer_files_are_found_and_named(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, allowed=TEST_SUITES)
    for content in (b"one chunk", CONTENT):
        sealed = sealed_small(content)
        store.put(sealed)
        path = _file(tmp_path, sealed.digest)
        for data in [sealed.data[:length] for length in range(len(sealed.data))] + [sealed.data + b"\x00"]:
            path.write_bytes(data)
            with pytest.raises(Tampered) as caught:
                store.verify(sealed.digest)
            assert sealed.digest in str(caught.value)


def test_a_large_object_is_verified_chunk_by_chunk_and_good_ranges_stay_readable(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sealed = _sealed(LARGE)
    store.put(sealed)
    path = _file(tmp_path, sealed.digest)
    data = bytearray(sealed.data)
    data[-5] ^= 1
    path.write_bytes(data)
    assert store.get_range(sealed.digest, 0, 1_000_000) == sealed.data[:1_000_000]
    with pytest.raises(Tampered) as caught:
        store.verify(sealed.digest)
    assert (caught.value.reason, caught.value.place) == ("chunk-altered", "chunk[2]")
    assert sealed.digest in str(caught.value)


@pytest.mark.parametrize("damage", ["missing", "flipped", "short", "empty"])
def test_a_damaged_chunk_list_is_found_and_laid_to_the_list(tmp_path: Path, damage: str) -> None:
    store = LocalStore(tmp_path)
    sealed = _sealed(LARGE)
    store.put(sealed)
    chunks = Path(f"{_file(tmp_path, sealed.digest)}.chunks")
    encoded = chunks.read_bytes()
    damaged = {"flipped": encoded[:-1] + bytes([encoded[-1] ^ 1]), "short": encoded[:-1], "empty": b""}
    if damage == "missing":
        chunks.unlink()
    else:
        chunks.write_bytes(damaged[damage])
    with pytest.raises(Tampered) as caught:
        store.verify(sealed.digest)
    assert (caught.value.reason, caught.value.place) == ("chunk-list", sealed.digest)


def test_another_object_under_the_name_is_found(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    first, second = _sealed(LARGE), _sealed(LARGE)
    store.put(first)
    store.put(second)
    for suffix in ("", ".chunks"):
        source = Path(f"{_file(tmp_path, second.digest)}{suffix}")
        Path(f"{_file(tmp_path, first.digest)}{suffix}").write_bytes(source.read_bytes())
    with pytest.raises(Tampered) as caught:
        store.verify(first.digest)
    assert caught.value.reason == "not-anchored"


def test_putting_a_damaged_object_again_heals_it(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sealed = _sealed(3_000)
    store.put(sealed)
    _file(tmp_path, sealed.digest).write_bytes(b"damaged")
    store.put(sealed)
    store.verify(sealed.digest)


def test_files_are_for_the_owner_only(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put_many([_sealed(LARGE) for _ in range(8)])
    for path in (tmp_path / "store").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


class FaultyDisk(Disk):
    """Fails at the n-th write or sync with one error."""

    __slots__ = ("calls", "error", "fails_at", "what")

    def __init__(self, what: str, fails_at: int, error: int) -> None:
        self.what, self.fails_at, self.error, self.calls = what, fails_at, error, 0

    def _count(self, what: str) -> None:
        if what == self.what:
            self.calls += 1
            if self.calls == self.fails_at:
                raise OSError(self.error, os.strerror(self.error))

    def write(self, descriptor: int, view: memoryview) -> int:
        self._count("write")
        return super().write(descriptor, view[: max(1, len(view) // 2)])

    def fsync(self, descriptor: int) -> None:
        self._count("fsync")
        super().fsync(descriptor)

    def syncfs(self, descriptor: int) -> None:
        self._count("syncfs")
        super().syncfs(descriptor)

    def pread(self, descriptor: int, length: int, offset: int) -> bytes:
        self._count("pread")
        return super().pread(descriptor, max(1, length // 2), offset)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("fails_at", range(1, 8))
def test_a_failing_or_full_disk_is_unavailable_and_leaves_nothing_half_written(
    tmp_path: Path, error: int, fails_at: int
) -> None:
    LocalStore(tmp_path)
    store = LocalStore(tmp_path, disk=FaultyDisk("write", fails_at, error))
    with pytest.raises(Unavailable) as caught:
        store.put(_sealed(LARGE))
    assert caught.value.reason == ("disk-full" if error == errno.ENOSPC else "disk")
    assert _files(tmp_path) == []


@pytest.mark.parametrize("fails_at", [3, 4])
def test_a_failed_sync_before_publishing_leaves_nothing(tmp_path: Path, fails_at: int) -> None:
    store = LocalStore(tmp_path, disk=FaultyDisk("fsync", fails_at, errno.EIO))
    with pytest.raises(Unavailable):
        store.put(_sealed(LARGE))
    assert _files(tmp_path) == []


def test_a_failed_sync_of_the_directory_is_not_reported_as_stored(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, disk=FaultyDisk("fsync", 5, errno.EIO))
    with pytest.raises(Unavailable):
        store.put(_sealed(LARGE))


@pytest.mark.parametrize("fails_at", [1, 5, 16])
def test_a_batch_that_fails_while_writing_leaves_nothing(tmp_path: Path, fails_at: int) -> None:
    store = LocalStore(tmp_path, disk=FaultyDisk("write", fails_at, errno.ENOSPC))
    with pytest.raises(Unavailable):
        store.put_many([_sealed(100) for _ in range(10)])
    assert _files(tmp_path) == []


def test_a_batch_whose_sync_fails_is_not_reported_as_stored(tmp_path: Path) -> None:
    for fails_at, published in ((1, 0), (2, 10)):
        root = tmp_path / str(fails_at)
        store = LocalStore(root, disk=FaultyDisk("syncfs", fails_at, errno.EIO))
        with pytest.raises(Unavailable):
            store.put_many([_sealed(100) for _ in range(10)])
        assert len(_files(root)) == published


def test_a_read_error_is_unavailable_not_tampered(tmp_path: Path) -> None:
    sealed = _sealed(LARGE)
    LocalStore(tmp_path).put(sealed)
    for fails_at in range(1, 20):
        with pytest.raises(Unavailable):
            _read_all(LocalStore(tmp_path, disk=FaultyDisk("pread", fails_at, errno.EIO)), sealed.digest)
    _read_all(LocalStore(tmp_path, disk=FaultyDisk("pread", 10_000, errno.EIO)), sealed.digest)


def test_an_error_of_the_readers_own_is_not_blamed_on_the_disk(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sealed = _sealed(100)
    store.put(sealed)
    with pytest.raises(ConnectionResetError), store.get(sealed.digest):
        raise ConnectionResetError


def test_remains_of_broken_writes_are_collected_after_a_day(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sealed = _sealed(LARGE)
    store.put(sealed)
    (tmp_path / "incoming" / "remains").write_bytes(b"x")
    _file(tmp_path, sealed.digest).rename(tmp_path / "incoming" / "moved")
    now = datetime.now(UTC)
    assert store.collect(lambda _: False, now + timedelta(hours=1)) == []
    assert len(_files(tmp_path)) == 3
    store.collect(lambda _: False, now + timedelta(hours=25))
    assert _files(tmp_path) == []


def test_an_object_put_again_while_collecting_survives(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sealed = _sealed(100)
    store.put(sealed)
    os.utime(_file(tmp_path, sealed.digest), (0, 0))

    def referenced(_: str) -> bool:
        store.put(sealed)
        return False

    assert store.collect(referenced, datetime.now(UTC)) == []
    store.verify(sealed.digest)


def test_a_reader_keeps_its_object_while_it_is_deleted(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sealed = _sealed(LARGE)
    store.put(sealed)
    with store.get(sealed.digest) as found:
        store.delete(sealed.digest)
        assert found.whole().data == sealed.data
    with pytest.raises(NotFound):
        store.verify(sealed.digest)


def test_a_batch_is_bounded(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(Invalid):
        store.put_many([_sealed(1)] * (MAX_BATCH_OBJECTS + 1))


KILLED = """
    import os, sys
    from pathlib import Path
    from offchain.envelope.content import Description, PlainBytes
    from offchain.envelope.header import Header
    from offchain.envelope.keys import DataKey
    from offchain.envelope.seal import seal
    from offchain.stores.local import LocalStore
    from domain.identifiers import identifier

    store, key = LocalStore(Path(sys.argv[1])), DataKey(bytes(32))
    while True:
        sealed = [
            seal(
                PlainBytes(os.urandom(1_500_000 if n == 0 else 2_000), Description("a/b")),
                key,
                Header.fresh(identifier(os.urandom(16)), "HospitalA"),
            )
            for n in range(12)
        ]
        for stored in (*store.put_many(sealed[:10]), store.put(sealed[10]), store.put(sealed[11])):
            print(stored.digest, flush=True)
"""


def _killed_while_putting(root: Path, lines: int) -> list[str]:
    """Run a writer and kill it after it acknowledged some objects, in the midst of the next."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(root)]
    repository = Path(__file__).resolve().parents[4]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
    return acknowledged


@pytest.mark.parametrize("lines", [1, 25, 61])
def test_kill_nine_while_putting_loses_nothing_acknowledged_and_shows_nothing_half_written(
    tmp_path: Path, lines: int
) -> None:
    acknowledged = _killed_while_putting(tmp_path, lines)
    assert len(acknowledged) >= lines
    store = LocalStore(tmp_path)
    visible = set(store.digests())
    assert visible.issuperset(acknowledged)
    for digest in visible:
        with store.get(digest) as found:
            unseal(found, DataKey(bytes(32)), object_id=found.header.object_id).whole(max_bytes=1 << 23)


def test_plaintext_never_reaches_the_disk(tmp_path: Path) -> None:
    marker = b"the seeded name of a patient"
    store = LocalStore(tmp_path)
    header = Header.fresh(OBJECT_ID, "HospitalA")
    store.put(seal_stream([marker * 100_000], Description("text/plain", "seeded-file-name.txt"), KEY, header))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert marker not in content
            assert b"seeded-file-name" not in content


def test_opening_where_no_directory_can_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    opens: Callable[[Path], LocalStore] = LocalStore
    with pytest.raises(Unavailable):
        opens(tmp_path / "file")
