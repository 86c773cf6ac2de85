"""Kubo killed, suspended, without room: an error within the deadline, nothing half done, and then it goes on."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from domain.errors import NotFound, Unavailable
from offchain.envelope.content import Description
from offchain.envelope.header import Header
from offchain.envelope.seal import seal_stream
from offchain.envelope.sealed import SealedStream
from offchain.stores.ipfs.store import IpfsStore
from offchain.stores.local import LocalStore
from offchain.stores.mirrored import MirroredStore
from scripts.kubo import Daemon
from tests.faults.counts import repetitions
from tests.faults.small_disks import mounted
from tests.faults.stores.repository import LARGE, block_files
from tests.kubo import IMPATIENT, ipfs_store
from tests.unit.offchain.sealing import KEY, fresh_id, sealed_of
from tests.unit.offchain.stores.test_mirrored import Noon

BIG = 96 << 20
WITHIN_S = 8.0


def big_stream() -> SealedStream:
    pieces = (os.urandom(1 << 20) for _ in range(BIG >> 20))
    return seal_stream(pieces, Description("a/b"), KEY, Header.fresh(fresh_id(), "HospitalA"), length=BIG)


@pytest.mark.parametrize("blocks", [1, 20, 60][: repetitions(2, 3)])
def test_kubo_killed_while_it_takes_an_object_stores_nothing_of_it(own: Daemon, store: IpfsStore, blocks: int) -> None:
    kept = sealed_of()
    store.put(kept)
    before, seen = len(block_files(own)), list[Exception]()

    def put() -> None:
        try:
            store.put(big_stream())
        except Unavailable as error:
            seen.append(error)

    putting = Thread(target=put)
    putting.start()
    until(lambda: len(block_files(own)) >= before + blocks)
    own.strike(signal.SIGKILL)
    putting.join(60)
    assert len(seen) == 1
    with pytest.raises(Unavailable):
        store.verify(kept.digest)
    own.start()
    store.verify(kept.digest)
    assert list(store.digests()) == [kept.digest]
    store.delete(kept.digest)
    assert len(block_files(own)) < before + 2, "what the broken call left is collected with the next erasure"


def test_a_suspended_kubo_fails_every_call_in_time_and_then_goes_on(own: Daemon, store: IpfsStore) -> None:
    small, large, new = sealed_of(), sealed_of(LARGE), sealed_of()
    store.put_many([small, large])
    own.strike(signal.SIGSTOP)
    calls: list[Callable[[], object]] = [
        lambda: store.put(new),
        lambda: store.put_many([new]),
        lambda: store.verify(small.digest),
        lambda: store.get_range(large.digest, 1_500_000, 100),
        lambda: store.delete(small.digest),
        lambda: store.delete(large.digest),
    ]
    for call in calls:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            call()
        assert time.monotonic() - began < WITHIN_S
    assert not store.report().ready
    own.strike(signal.SIGCONT)
    until(lambda: not store.settle())
    assert store.report().ready
    store.put(new)
    assert list(store.digests()) == [new.digest]
    for gone in (small, large):
        with pytest.raises(NotFound):
            store.verify(gone.digest)


def test_a_mirror_that_was_killed_gets_what_was_stored_and_loses_what_was_erased(
    own: Daemon, store: IpfsStore, tmp_path: Path
) -> None:
    local = LocalStore(tmp_path / "local")
    named = (("local", local), ("ipfs", store))
    with closing(MirroredStore(named, tmp_path / "mirrors", Noon(), quorum=1)) as mirrored:
        erased = [sealed_of(), sealed_of(LARGE)]
        kept = [sealed_of(), sealed_of(LARGE)]
        mirrored.put_many([*erased, *kept])
        own.strike(signal.SIGKILL)
        new = [sealed_of(), sealed_of(LARGE)]
        mirrored.put_many(new)
        mirrored.delete_many([one.digest for one in erased])
        assert [name for name, _ in mirrored.unfinished_erasures()] == ["ipfs"]
        report = {copy.name: copy for copy in mirrored.report().copies}
        assert (report["ipfs"].well, report["ipfs"].owed_copies, report["ipfs"].owed_erasures) == (False, 2, 2)
        for one in (*kept, *new):
            mirrored.verify(one.digest)
        own.start()
        until(lambda: not mirrored.settle())
    assert sorted(store.digests()) == sorted(one.digest for one in (*kept, *new))
    for one in (*kept, *new):
        store.verify(one.digest)
    for gone in erased:
        assert not any(gone.data[300:400] in path.read_bytes() for path in block_files(own))


@pytest.fixture
def crowded(own: Daemon, tmp_path: Path) -> Iterator[IpfsStore]:
    """A store whose Kubo has 12 MiB of disk."""
    own.stop()
    kept = own.blocks.with_name("kept")
    own.blocks.rename(kept)
    own.blocks.mkdir()
    with mounted(own.blocks, 12):
        shutil.copytree(kept, own.blocks, dirs_exist_ok=True)
        own.start()
        try:
            with closing(ipfs_store(own.url, tmp_path / "crowded", IMPATIENT)) as opened:
                yield opened
        finally:
            own.stop()


def test_a_full_disk_is_told_and_what_was_stored_stays(crowded: IpfsStore) -> None:
    stored = [sealed_of(LARGE) for _ in range(3)]
    for one in stored:
        crowded.put(one)
    with pytest.raises(Unavailable) as caught:
        crowded.put(sealed_of(3 * LARGE))
    assert caught.value.reason == "disk-full"
    assert sorted(crowded.digests()) == sorted(one.digest for one in stored)
    for one in stored:
        crowded.verify(one.digest)
    assert crowded.delete(stored[0].digest)
    crowded.put(sealed_of(LARGE))


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.01)
