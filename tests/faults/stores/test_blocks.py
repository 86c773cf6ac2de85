"""Blocks of a Kubo node: altered or lost ones are found and healed, erased ones leave every segment."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from domain.errors import NotFound, Tampered, Unavailable
from offchain.stores.ipfs import holdings
from offchain.stores.ipfs.index import Index
from offchain.stores.ipfs.rpc import KuboRpc
from offchain.stores.ipfs.store import IpfsStore
from offchain.stores.local import LocalStore
from offchain.stores.lock import beside_others
from offchain.stores.mirrored import MirroredStore
from offchain.stores.opening import STORE_ID_FILE, open_store
from scripts.kubo import Daemon
from tests.faults.stores.repository import LARGE, alter, block_files, block_with, holds
from tests.kubo import IMPATIENT, ipfs_store
from tests.unit.offchain.sealing import sealed_of
from tests.unit.offchain.stores.test_mirrored import Noon


@pytest.mark.parametrize("place", [900, 1_048_576 + 5_000])
def test_an_altered_block_is_tampered_in_ranges_too_and_the_rest_is_read(
    own: Daemon, store: IpfsStore, place: int
) -> None:
    one = sealed_of(LARGE)
    store.put(one)
    part = one.data[place : place + 64]
    alter(block_with(own, part), part)
    with pytest.raises(Tampered):
        store.verify(one.digest)
    with pytest.raises(Tampered):
        store.get_range(one.digest, place, 10)
    assert store.get_range(one.digest, 2_200_000, 1_000) == one.data[2_200_000:2_201_000]
    store.put(one)
    store.verify(one.digest)


def test_an_altered_small_object_is_tampered_and_its_neighbours_are_read(own: Daemon, store: IpfsStore) -> None:
    struck, *others = [sealed_of() for _ in range(20)]
    store.put_many([struck, *others])
    alter(block_with(own, struck.data[900:964]), struck.data[900:964])
    with pytest.raises(Tampered):
        store.verify(struck.digest)
    for one in others:
        store.verify(one.digest)


@pytest.mark.parametrize("which", ["root", "first leaf", "later leaf"])
def test_a_lost_or_broken_block_is_noticed_at_once(own: Daemon, store: IpfsStore, which: str) -> None:
    one = sealed_of(LARGE)
    store.put(one)
    root = block_with(own, hashlib.sha256(one.data[: 1 << 20]).digest())  # it names its leaves
    leaves = {"first leaf": one.data[900:964], "later leaf": one.data[1_200_000:1_200_064]}
    path = root if which == "root" else block_with(own, leaves[which])
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(NotFound):
        store.verify(one.digest)
    if which == "later leaf":
        assert store.get_range(one.digest, 2_200_000, 1_000) == one.data[2_200_000:2_201_000]
    if which == "root":
        for broken in (b"", bytes(len(content)), content[:20], content[::-1]):
            path.write_bytes(broken)
            with pytest.raises((Tampered, NotFound)):
                store.verify(one.digest)
    own.stop()  # it remembers what was missing
    path.write_bytes(content)
    own.start()
    store.verify(one.digest)


def test_altered_and_lost_blocks_are_healed_from_the_other_store(own: Daemon, store: IpfsStore, tmp_path: Path) -> None:
    named = (("ipfs", store), ("local", LocalStore(tmp_path / "local")))
    with closing(MirroredStore(named, tmp_path / "mirrors", Noon(), quorum=2)) as mirrored:
        altered, lost, small = sealed_of(LARGE), sealed_of(LARGE), sealed_of()
        mirrored.put_many([altered, lost, small])
        alter(block_with(own, altered.data[1_200_000:1_200_064]), altered.data[1_200_000:1_200_064])
        alter(block_with(own, small.data[900:964]), small.data[900:964])
        block_with(own, lost.data[1_200_000:1_200_064]).unlink()
        with mirrored.get(altered.digest) as found:
            assert found.whole().data == altered.data
        for one in (lost, small):
            mirrored.verify(one.digest)
        assert not mirrored.settle()
        for one in (altered, lost, small):
            store.verify(one.digest)
        assert {copy.name: copy.healed for copy in mirrored.report().copies} == {"ipfs": 3, "local": 0}


def test_an_erased_object_leaves_the_segment_that_it_shared_and_all_else_stays(own: Daemon, store: IpfsStore) -> None:
    objects = [sealed_of() for _ in range(50)]
    store.put_many(objects)
    erased, kept = objects[10:13], [*objects[:10], *objects[13:]]
    assert all(holds(own, one.data[500:600]) for one in objects)
    assert store.delete_many([one.digest for one in erased]) == 3
    assert not any(holds(own, one.data[500:600]) for one in erased)
    for one in kept:
        store.verify(one.digest)
    store.delete_many([one.digest for one in kept])
    assert not any(holds(own, one.data[500:600]) for one in objects)


def test_an_object_that_two_calls_stored_leaves_both_segments(
    own: Daemon, store: IpfsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, first, second = sealed_of(), sealed_of(), sealed_of()
    store.put_many([first, one])
    with monkeypatch.context() as patched:
        patched.setattr(IpfsStore, "_is_well", lambda *_: False)  # as if both calls had looked before the other wrote
        store.put_many([one, second])
    store.delete(one.digest)
    assert not holds(own, one.data[500:600])
    store.verify(first.digest)
    store.verify(second.digest)


def test_what_a_call_that_broke_off_left_is_found_and_collected_after_a_day(
    own: Daemon, store: IpfsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    kept, lost = sealed_of(), sealed_of()
    store.put(kept)
    with monkeypatch.context() as patched:
        patched.setattr(Index, "add", dies)
        with pytest.raises(KeyboardInterrupt):
            store.put(lost)
    assert not store.exists(lost.digest)
    assert holds(own, lost.data[500:600])
    store.collect(lambda digest: digest == kept.digest, datetime.now(UTC))
    store.verify(lost.digest)
    store.collect(lambda digest: digest == kept.digest, datetime.now(UTC) + timedelta(days=2))
    assert not holds(own, lost.data[500:600])
    store.verify(kept.digest)


def test_what_a_call_that_broke_off_left_is_erased_when_its_object_is(
    own: Daemon, store: IpfsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    one, other = sealed_of(), sealed_of()
    store.put(other)
    with monkeypatch.context() as patched:
        patched.setattr(Index, "add", dies)
        with pytest.raises(KeyboardInterrupt):
            store.put_many([one, other, sealed_of()])
    assert store.delete_many([one.digest]) == 1
    assert not holds(own, one.data[500:600])
    store.verify(other.digest)


def test_an_older_index_put_back_loses_nothing_that_was_acknowledged_since(
    own: Daemon, store: IpfsStore, tmp_path: Path
) -> None:
    erased, old, *new = [sealed_of() for _ in range(6)]
    store.put_many([erased, old])
    store.close()
    shutil.copytree(tmp_path / "ipfs", tmp_path / "copy")
    with closing(ipfs_store(own.url, tmp_path / "ipfs", IMPATIENT)) as later:
        later.put_many(new)
        later.delete(erased.digest)
    shutil.rmtree(tmp_path / "ipfs")
    shutil.copytree(tmp_path / "copy", tmp_path / "ipfs")
    with closing(ipfs_store(own.url, tmp_path / "ipfs", IMPATIENT)) as again:
        with pytest.raises(Unavailable) as caught:
            again.exists(new[0].digest)
        assert caught.value.reason == "ipfs-index"
        assert not again.settle()
        again.collect(lambda _: True, datetime.now(UTC))
        for one in (old, *new):
            again.verify(one.digest)
        again.delete(erased.digest)
        assert not again.settle()
        for one in (old, *new):
            again.verify(one.digest)


def test_stores_of_two_data_folders_leave_each_other_alone(own: Daemon, tmp_path: Path) -> None:
    with ExitStack() as opened:
        first, second = (
            open_store([own.url], tmp_path / name, Noon(), opened, name="RenheMSP") for name in ("first", "second")
        )
        mine, theirs = sealed_of(), sealed_of()
        first.put(mine)
        second.put(theirs)
        for store in (first, second):
            assert not store.settle()
            store.collect(lambda _: False, datetime.now(UTC))
        assert list(first.digests()) == [mine.digest]
        assert list(second.digests()) == [theirs.digest]
        first.collect(lambda _: False, datetime.now(UTC) + timedelta(days=2))
        second.verify(theirs.digest)
        assert not first.exists(mine.digest)


@pytest.mark.parametrize("step", ["replace", "forget"])
def test_an_erasure_that_broke_off_is_finished_by_the_next_call(
    own: Daemon, store: IpfsStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    erased, kept = sealed_of(), sealed_of()
    store.put_many([erased, kept])
    with monkeypatch.context() as patched:
        patched.setattr(Index, step, dies)
        with pytest.raises(KeyboardInterrupt):
            store.delete(erased.digest)
    with pytest.raises(NotFound):
        store.verify(erased.digest)
    assert not store.settle()
    assert not holds(own, erased.data[500:600])
    store.verify(kept.digest)


def test_many_small_segments_are_packed_together(own: Daemon, store: IpfsStore) -> None:
    objects = [sealed_of() for _ in range(30)]
    for one in objects:
        store.put(one)
    assert len(pins(own)) == 30
    assert store.collect(lambda _: True, datetime.now(UTC) + timedelta(days=2)) == []
    assert len(pins(own)) == 1
    for one in objects:
        store.verify(one.digest)
    assert len(block_files(own)) < 5


def test_no_segment_gets_more_objects_than_its_table_may_name(
    own: Daemon, store: IpfsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdings, "MAX_OBJECTS", 10)
    objects = [sealed_of() for _ in range(24)]
    for start in range(0, len(objects), 2):
        store.put_many(objects[start : start + 2])
    store.collect(lambda _: True, datetime.now(UTC))
    assert len(pins(own)) == 3
    for one in objects:
        store.verify(one.digest)


def test_what_cannot_be_read_beside_an_erased_object_is_kept_until_it_is_put_again(
    own: Daemon, store: IpfsStore, caplog: pytest.LogCaptureFixture
) -> None:
    objects = [sealed_of(600_000) for _ in range(6)]
    store.put_many(objects)
    erased, lost, kept = objects[5], objects[:2], objects[2:5]
    block_with(own, lost[0].data[300_000:300_064]).unlink()  # the first MiB, before all that stays
    with pytest.raises(Unavailable) as caught:
        store.delete(erased.digest)
    assert caught.value.reason == "ipfs-neighbour"
    assert "a part of it cannot be read" in caplog.text
    assert all(store.exists(one.digest) for one in (*lost, *kept))
    other = sealed_of()
    store.put(other)
    assert store.delete(other.digest), "other erasures go on"
    assert not store.settle()
    store.put_many(lost)
    assert not store.settle()
    assert not store.exists(erased.digest)
    for one in (*lost, *kept):
        store.verify(one.digest)
    assert not holds(own, erased.data[400_000:400_064])


def test_an_object_is_read_no_more_while_its_erasure_still_waits_for_a_write(
    store: IpfsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erased = sealed_of()
    store.put(erased)
    monkeypatch.setattr(holdings, "PUT_WAIT_S", 0.0)
    with beside_others(tmp_path / "ipfs" / "lock", 1):
        with pytest.raises(Unavailable) as caught:
            store.delete(erased.digest)
        assert caught.value.reason == "busy"
        assert not store.exists(erased.digest)
    assert store.delete(erased.digest)


@pytest.mark.parametrize("damaged", ["first", "second"])
def test_of_two_copies_that_are_packed_together_the_one_that_is_well_stays(
    own: Daemon, store: IpfsStore, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    one, first, second = sealed_of(), sealed_of(), sealed_of()
    monkeypatch.setattr(IpfsStore, "_is_well", lambda *_: False)  # as if both calls had looked before the other wrote
    store.put_many([first, one])
    store.put_many([one, second])
    neighbour = first if damaged == "first" else second
    path = block_with(own, neighbour.data[500:600])
    path.write_bytes(path.read_bytes().replace(one.data[500:600], bytes(100)))
    store.collect(lambda _: True, datetime.now(UTC))
    assert len(pins(own)) == 1
    store.verify(one.digest)


def test_an_answer_that_ends_early_costs_no_neighbour(store: IpfsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    erased, *kept = [sealed_of() for _ in range(5)]
    store.put_many([erased, *kept])
    with monkeypatch.context() as patched:
        patched.setattr(KuboRpc, "read", lambda rpc, cid, offset, length: rpc.cat(cid, offset, length)[: length // 2])
        with pytest.raises(Unavailable):
            store.delete(erased.digest)
    for one in kept:
        store.verify(one.digest)
    assert not store.settle()
    assert not store.exists(erased.digest)
    for one in kept:
        store.verify(one.digest)


def test_an_index_lost_during_an_erasure_leaves_no_block_of_it(
    own: Daemon, store: IpfsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    erased, kept = sealed_of(), sealed_of()
    store.put(erased)
    store.put(kept)
    with monkeypatch.context() as patched:
        patched.setattr(KuboRpc, "collect", dies)
        with pytest.raises(KeyboardInterrupt):
            store.delete(erased.digest)
    store.close()
    for path in (tmp_path / "ipfs").glob("index.db*"):
        path.unlink()
    assert holds(own, erased.data[500:600])
    with closing(ipfs_store(own.url, tmp_path / "ipfs", IMPATIENT)) as again:
        assert not again.settle()
        assert not holds(own, erased.data[500:600])
        assert list(again.digests()) == [kept.digest]


def test_a_reader_goes_on_where_its_object_was_packed(store: IpfsStore) -> None:
    one, other = sealed_of(LARGE), sealed_of()
    store.put_many([one, other])
    small = sealed_of()
    store.put(small)
    with store.get(one.digest) as found, store.get(small.digest) as read:
        store.collect(lambda _: True, datetime.now(UTC))
        assert found.whole().data == one.data
        assert read.whole().data == small.data


def test_what_somebody_else_pinned_is_not_called_erased(own: Daemon, store: IpfsStore) -> None:
    one = sealed_of()
    store.put(one)
    (cid,) = pins(own)
    call(own, "files/cp", arg=[f"/ipfs/{cid}", "/mine"])
    with pytest.raises(Unavailable) as caught:
        store.delete(one.digest)
    assert caught.value.reason == "ipfs-held"
    with pytest.raises(NotFound):
        store.verify(one.digest)
    call(own, "files/rm", arg=["/mine"])
    assert not store.settle()
    assert not holds(own, one.data[500:600])


def test_a_lost_index_is_made_again_from_the_pins(own: Daemon, store: IpfsStore, tmp_path: Path) -> None:
    objects = [sealed_of(), sealed_of(LARGE), *(sealed_of() for _ in range(10))]
    store.put(objects[0])
    store.put_many(objects[1:])
    store.close()
    for path in (tmp_path / "ipfs").glob("index.db*"):
        path.unlink()
    with closing(ipfs_store(own.url, tmp_path / "ipfs", IMPATIENT)) as again:
        with pytest.raises(Unavailable) as caught:
            again.verify(objects[0].digest)
        assert caught.value.reason == "ipfs-index"
        assert not again.report().ready
        assert not again.settle()
        for one in objects:
            again.verify(one.digest)
        assert sorted(again.digests()) == sorted(one.digest for one in objects)


def test_a_restored_data_folder_finds_by_the_id_of_its_store_what_kubo_holds(own: Daemon, tmp_path: Path) -> None:
    objects = [sealed_of() for _ in range(3)]
    with ExitStack() as opened:
        open_store([own.url], tmp_path / "lost", Noon(), opened, name="RenheMSP").put_many(objects)
    for name in ("restored", "new"):
        (tmp_path / name).mkdir()
    shutil.copy(tmp_path / "lost" / STORE_ID_FILE, tmp_path / "restored")
    with ExitStack() as opened:
        restored, new = (
            open_store([own.url], tmp_path / name, Noon(), opened, name="RenheMSP") for name in ("restored", "new")
        )
        for store in (restored, new):
            assert not store.settle()
        for one in objects:
            restored.verify(one.digest)
            assert not new.exists(one.digest)


def call(daemon: Daemon, name: str, **params: object) -> httpx.Response:
    answer = httpx.post(f"{daemon.url}/api/v0/{name}", params=params, trust_env=False)  # type: ignore[arg-type]
    return answer.raise_for_status()


def pins(daemon: Daemon) -> list[str]:
    found = call(daemon, "pin/ls", type="recursive", names="true").json()["Keys"]
    return [cid for cid, pin in found.items() if pin["Name"].startswith("yilian/")]
