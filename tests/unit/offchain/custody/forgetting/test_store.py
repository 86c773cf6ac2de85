"""The store that can forget: durable, several processes, damaged files, and nothing left of what was forgotten."""

from __future__ import annotations

import itertools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from domain.errors import Conflict, Tampered, Unavailable
from offchain.custody.forgetting import base as base_module
from offchain.custody.forgetting.entries import Tombstone
from offchain.custody.forgetting.increments import last_frame_start
from offchain.custody.forgetting.layout import BaseFiles, BaseKey, current_files, read_key
from offchain.custody.forgetting.store import ForgettingStore
from offchain.custody.forgetting.view import View
from offchain.disk import Disk
from offchain.envelope.keys import RecordSecret
from tests.unit.offchain.sealing import fresh_id

AT = "2026-03-01T08:00:00Z"
LATER = "2026-03-01T09:00:00Z"
MUCH_LATER = "2026-03-05T08:00:00Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.fixture
def store(folder: Path) -> ForgettingStore:
    return ForgettingStore.create(folder, AT)


class CountingDisk(Disk):
    """Counts waits for the medium."""

    __slots__ = ("syncs",)

    def __init__(self) -> None:
        self.syncs = 0

    def fsync(self, descriptor: int) -> None:
        self.syncs += 1
        super().fsync(descriptor)


def _ids(count: int) -> list[str]:
    return [fresh_id() for _ in range(count)]


def test_secrets_are_made_once_and_are_all_different(store: ForgettingStore, folder: Path) -> None:
    records = _ids(50)
    first = store.obtain(records)
    assert store.obtain(records) == ForgettingStore(folder).obtain(records) == first
    assert len({secret.reveal() for secret in first}) == 50
    assert store.obtain([records[0], records[0]]) == [first[0], first[0]]


def test_a_batch_waits_for_the_medium_once_and_known_records_not_at_all(folder: Path) -> None:
    ForgettingStore.create(folder, AT)
    disk = CountingDisk()
    store = ForgettingStore(folder, disk=disk)
    records = _ids(200)
    store.obtain(records)
    assert disk.syncs == 1
    store.obtain(records[::-1])
    assert disk.syncs == 1


def test_threads_and_processes_agree_on_every_secret(store: ForgettingStore, folder: Path) -> None:
    records = _ids(40)
    stores = [store, ForgettingStore(folder), ForgettingStore(folder)]

    def obtain(number: int) -> list[bytes]:
        own = records[number % 7 :: 3]
        return [secret.reveal() for secret in stores[number % 3].obtain(own)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(obtain, range(42)))
    expected = {record: secret.reveal() for record, secret in zip(records, store.obtain(records), strict=True)}
    assert all(found == [expected[record] for record in records[n % 7 :: 3]] for n, found in enumerate(results))


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 256, 300])
@pytest.mark.parametrize("gone", [0, 1, 128, 130])
def test_every_entry_is_found_again_whatever_the_chunks_hold(folder: Path, count: int, gone: int) -> None:
    store = ForgettingStore.create(folder, AT)
    live, dead = _ids(count), _ids(gone)
    secrets = store.obtain(live)
    store.obtain(dead[::2])
    if dead:
        store.forget(dead, LATER)
    for _ in range(2):
        store.rekey(LATER)
        assert ForgettingStore(folder).find(live) == secrets
        assert all(isinstance(answer, Tombstone) for answer in store.find(dead))
        assert store.find(_ids(5)) == [None] * 5


def test_merging_keeps_the_order_and_leaves_out_what_is_gone(store: ForgettingStore, folder: Path) -> None:
    known: dict[str, RecordSecret] = {}
    for _ in range(5):
        fresh = _ids(90)
        known.update(zip(fresh, store.obtain(fresh), strict=True))
        gone = list(known)[::11]
        store.forget(gone, LATER)
        known = {record: secret for record, secret in known.items() if record not in gone}
        store.rekey(LATER)
    assert store.find(list(known)) == list(known.values())
    files = current_files(folder, Disk())
    view = View.load(files, read_key(files.key, Disk()), Disk())
    block = b"".join(view.base.secrets())
    entries = [block[start : start + 48] for start in range(0, len(block), 48)]
    assert entries == sorted(entries)
    assert len(entries) == len(known) == view.base.header.secrets


def test_nothing_that_is_left_after_a_rekeying_gives_a_forgotten_secret_back(folder: Path, tmp_path: Path) -> None:
    store = ForgettingStore.create(folder, AT)
    records = _ids(20)
    secrets = [secret.reveal() for secret in store.obtain(records)]
    store.snapshot(tmp_path / "backup-before")
    store.rekey(AT)
    store.snapshot(tmp_path / "backup-later")
    keys = [store.root[1]]
    store.forget(records[:5], LATER)
    store.rekey(LATER)
    store.snapshot(tmp_path / "backup-after")
    keys.append(store.root[1])
    for backup in ("backup-before", "backup-later"):
        with pytest.raises(Tampered):
            View.load(current_files(tmp_path / backup, Disk()), keys[-1], Disk())
    after = View.load(current_files(tmp_path / "backup-after", Disk()), keys[-1], Disk())
    found = b"".join(after.base.secrets())
    assert all(secret in found for secret in secrets[5:])
    assert not any(secret in found for secret in secrets[:5])
    for path in itertools.chain(folder.iterdir(), *((tmp_path / name).iterdir() for name in os.listdir(tmp_path))):
        content = path.read_bytes()
        assert keys[0].reveal() not in content
        assert not any(secret in content for secret in secrets)


def test_before_the_rekeying_the_secret_is_still_in_the_sealed_files_and_the_certificate_says_so(
    store: ForgettingStore, folder: Path
) -> None:
    """The reason for re-keying: a tombstone alone does not undo what is sealed already."""
    record = fresh_id()
    secret = store.obtain([record])[0].reveal()
    store.rekey(AT)
    assert store.forget([record], LATER).final_at is None
    files = current_files(folder, Disk())
    sealed = base_module.SealedBase(files.base, read_key(files.key, Disk()), Disk())
    assert secret in b"".join(sealed.secrets())


def test_a_snapshot_replaces_another_base_of_the_same_number(folder: Path, tmp_path: Path) -> None:
    """A replica that took over counts on from where it stood, not from where the lost store stood."""
    taken_over = tmp_path / "taken-over"
    lost = ForgettingStore.create(folder, LATER)
    ForgettingStore.create(taken_over, LATER)
    target = tmp_path / "snapshot"
    lost.snapshot(target)
    store = ForgettingStore(taken_over)
    record = fresh_id()
    store.obtain([record])
    store.snapshot(target)
    files = current_files(target, Disk())
    view = View.load(files, read_key(current_files(taken_over, Disk()).key, Disk()), Disk())
    assert len(view.fresh) == 1  # the secret made after the takeover


def test_a_snapshot_holds_no_key_and_replaces_the_one_before(
    store: ForgettingStore, folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "snapshot"
    first, second = _ids(2)
    store.obtain([first])
    store.snapshot(target)
    store.rekey(LATER)
    secret = store.obtain([second])[0]
    store.snapshot(target)
    assert sorted(path.name for path in target.iterdir()) == ["base-2", "current", "increments-2"]
    view = View.load(current_files(target, Disk()), store.root[1], Disk())
    assert view.fresh.popitem()[1][16:] == secret.reveal()


@pytest.mark.parametrize("kept", range(1, 60))
def test_an_increment_that_a_crash_tore_is_nobodys_and_makes_room(folder: Path, kept: int) -> None:
    store = ForgettingStore.create(folder, AT)
    record, torn, later = _ids(3)
    secret = store.obtain([record])[0]
    path = current_files(folder, Disk()).increments
    whole = path.read_bytes()
    store.obtain([torn])
    path.write_bytes(path.read_bytes()[: len(whole) + kept])
    again = ForgettingStore(folder)
    assert again.find([record, torn]) == [secret, None]
    other = again.obtain([later])
    assert ForgettingStore(folder).find([record, torn, later]) == [secret, None, *other]


def test_an_increment_whose_bytes_a_power_cut_left_unwritten_is_nobodys(folder: Path) -> None:
    store = ForgettingStore.create(folder, AT)
    secret = store.obtain([record := fresh_id()])[0]
    path = current_files(folder, Disk()).increments
    whole = path.read_bytes()
    for tail in (bytes(81), whole[:40] + bytes(41)):
        path.write_bytes(whole + tail)
        assert ForgettingStore(folder).find([record]) == [secret]


def test_altered_bytes_are_tampered_wherever_they_are(folder: Path, tmp_path: Path) -> None:
    store = ForgettingStore.create(folder, AT)
    store.obtain(_ids(10))
    store.forget(_ids(2), AT)
    store.rekey(LATER)
    store.obtain(_ids(1))
    store.obtain(_ids(1))
    files = current_files(folder, Disk())
    last = last_frame_start(files.increments.read_bytes())
    for path, positions in (
        (files.base, range(0, files.base.stat().st_size, 7)),
        (files.increments, range(0, last, 5)),
        (files.key, range(0, 32, 9)),
    ):
        for position in positions:
            copy = tmp_path / "copy"
            shutil.copytree(folder, copy)
            damaged = bytearray((copy / path.name).read_bytes())
            damaged[position] ^= 1
            (copy / path.name).write_bytes(damaged)
            with pytest.raises(Tampered):
                ForgettingStore(copy)
            shutil.rmtree(copy)


def test_a_base_or_increments_of_before_are_refused(store: ForgettingStore, folder: Path) -> None:
    store.obtain(_ids(3))
    old = current_files(folder, Disk())
    saved = {path.name: path.read_bytes() for path in (old.base, old.increments)}
    store.rekey(LATER)
    new = current_files(folder, Disk())
    new.increments.write_bytes(saved[old.increments.name])
    with pytest.raises(Tampered):
        ForgettingStore(folder)
    new.increments.write_bytes(b"")
    new.base.write_bytes(saved[old.base.name])
    with pytest.raises(Tampered):
        ForgettingStore(folder)


def test_a_store_that_lost_a_file_is_unavailable_and_never_made_anew(store: ForgettingStore, folder: Path) -> None:
    for path in (current_files(folder, Disk()).base, folder / "current"):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(Unavailable) as caught:
            ForgettingStore(folder)
        assert caught.value.reason == "no-secrets"
        path.write_bytes(content)
    with pytest.raises(Conflict):
        ForgettingStore.create(folder, AT)
    store.obtain(_ids(1))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_open_to_others_is_refused(store: ForgettingStore, folder: Path, mode: int) -> None:
    files = current_files(folder, Disk())
    assert {path.stat().st_mode & 0o777 for path in (files.key, files.base, files.increments)} == {0o600}
    files.key.chmod(mode)
    with pytest.raises(Unavailable) as caught:
        ForgettingStore(folder)
    assert caught.value.reason == "key-mode"


def test_a_reader_whose_base_was_replaced_meanwhile_reads_the_new_one(store: ForgettingStore, folder: Path) -> None:
    records = _ids(200)
    secrets = store.obtain(records)
    store.rekey(LATER)
    slow = ForgettingStore(folder)
    is_current = View.is_current
    turns = iter([True])

    def overtaken(self: View) -> bool:
        if next(turns, False):
            store.rekey(LATER)
            return True
        return is_current(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(View, "is_current", overtaken)
        assert slow.find(records) == secrets


def test_much_that_is_new_makes_the_next_base_due_at_once(
    store: ForgettingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offchain.custody.forgetting.store.MAX_FRESH_SECRETS", 2)
    store.obtain(_ids(2))
    assert store.due > AT
    store.obtain(_ids(1))
    assert store.due == AT
    store.rekey(LATER)
    assert store.due > LATER


def test_a_leftover_of_a_crash_makes_the_next_base_due_and_what_was_forgotten_not_final(
    store: ForgettingStore, folder: Path
) -> None:
    store.forget([record := fresh_id()], AT)
    key = BaseFiles(folder, 1).key.read_bytes()
    store.rekey(LATER)
    BaseFiles(folder, 1).key.write_bytes(key)
    forgotten = ForgettingStore(folder).forgotten(record)
    assert forgotten is not None
    assert forgotten.final_at is None
    assert store.due == LATER
    store.rekey(LATER)
    assert sorted(path.name for path in folder.iterdir()) == ["base-3", "current", "increments-3", "key-3", "lock"]
    forgotten = store.forgotten(record)
    assert forgotten is not None
    assert forgotten.final_at == LATER


def test_no_secret_shows_in_repr(store: ForgettingStore) -> None:
    secret = store.obtain(_ids(1))[0]
    for shown in (repr(store), repr(secret), repr(store._view), repr(vars(store))):
        assert secret.reveal().hex() not in shown
        assert repr(secret.reveal())[2:-1] not in shown


def test_what_was_forgotten_is_final_only_once_escrow_has_lost_the_old_key(folder: Path) -> None:
    first, is_down = ForgettingStore.create(folder, AT).root[0], True

    def escrow(base: str, _key: BaseKey) -> None:
        if is_down and base != first:
            raise Unavailable("the safe is closed", reason="escrow")

    store = ForgettingStore(folder, escrow=escrow)
    record, early = _ids(2)
    store.obtain([record])
    for one, at in ((early, AT), (record, LATER)):
        store.forget([one], at)
        with pytest.raises(Unavailable):
            store.rekey(LATER)
        assert [found.final_at for found in (store.forgotten(early),) if found] == [None]
    is_down = False
    store.rekey(MUCH_LATER)
    for each in (store, ForgettingStore(folder)):
        assert [found.final_at for one in (early, record) if (found := each.forgotten(one))] == [MUCH_LATER] * 2
    store.rekey("2026-03-09T08:00:00Z")
    assert [found.final_at for one in (early, record) if (found := store.forgotten(one))] == [MUCH_LATER] * 2


def test_a_copy_of_another_store_calls_nothing_final_and_is_due_at_once(store: ForgettingStore) -> None:
    record = fresh_id()
    store.forget([record], AT)
    store.rekey(LATER, is_only_copy=False)
    assert [found.final_at for found in (store.forgotten(record),) if found] == [None]
    assert store.due == LATER
    store.rekey(MUCH_LATER)
    assert [found.final_at for found in (store.forgotten(record),) if found] == [MUCH_LATER]
