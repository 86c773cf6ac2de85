from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from domain.errors import Conflict, Invalid, Tampered, Unavailable
from domain.ports import CustodyCount, CustodyEntry, NoKey
from offchain.custody.file_keyring import MAX_WRAPS_PER_CALL, FileKeyring
from offchain.disk import Disk
from offchain.envelope.keys import DataKey
from offchain.envelope.wraps import KeyBinding, Wrap
from tests.unit.offchain.sealing import fresh_id

AT = "2026-03-01T08:00:00Z"
LATER = "2026-03-02T08:00:00Z"


@pytest.fixture
def keyring(tmp_path: Path) -> FileKeyring:
    """A fresh keyring."""
    return FileKeyring.create(tmp_path / "keys", AT)


def _rows(count: int) -> list[tuple[KeyBinding, DataKey]]:
    return [(KeyBinding(fresh_id(), fresh_id(), 1), DataKey.generate()) for _ in range(count)]


def _wrapped(keyring: FileKeyring, rows: list[tuple[KeyBinding, DataKey]]) -> list[tuple[KeyBinding, Wrap]]:
    return [(binding, wrap) for (binding, _), wrap in zip(rows, keyring.wrap(rows), strict=True)]


def _entry(evaluated: int) -> CustodyEntry:
    return CustodyEntry(fresh_id(), "release", evaluated, AT)


def test_wrapped_keys_come_back_in_order_also_after_a_restart(tmp_path: Path, keyring: FileKeyring) -> None:
    rows = _rows(5)
    wraps = _wrapped(keyring, rows)
    assert keyring.unwrap_many(_entry(5), wraps) == [key for _, key in rows]
    assert FileKeyring(tmp_path / "keys").unwrap_many(_entry(9), wraps[2:]) == [key for _, key in rows[2:]]


def test_the_log_tells_what_was_evaluated_and_released_and_counts_on_after_a_restart(
    tmp_path: Path, keyring: FileKeyring
) -> None:
    rows = _rows(3)
    wraps = _wrapped(keyring, rows)
    keyring.unwrap_many(_entry(7), wraps)
    again = FileKeyring(tmp_path / "keys")
    again.unwrap_many(_entry(2), wraps[:1])
    assert keyring.count() == again.count() == CustodyCount(entries=2, evaluated=9, released=4)
    lines = [json.loads(line) for line in (tmp_path / "keys" / "custody.log").read_text().splitlines()]
    assert [(line["evaluated"], line["released"]) for line in lines] == [(7, 3), (2, 1)]
    assert lines[0]["purpose"] == "release"


def test_an_entry_is_durable_before_any_key_is_returned(tmp_path: Path) -> None:
    wraps = _wrapped(FileKeyring.create(tmp_path, AT), _rows(2))
    with pytest.raises(Unavailable):
        FileKeyring(tmp_path, disk=FailingDisk()).unwrap_many(_entry(2), wraps)
    assert FileKeyring(tmp_path).count() == CustodyCount(0, 0, 0)


class FailingDisk(Disk):
    """Every wait for the disk fails."""

    __slots__ = ()

    def fsync(self, descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_line_that_a_crash_tore_does_not_count_and_is_overwritten(tmp_path: Path, keyring: FileKeyring) -> None:
    wraps = _wrapped(keyring, _rows(1))
    keyring.unwrap_many(_entry(1), wraps)
    log = tmp_path / "keys" / "custody.log"
    whole = log.read_bytes()
    for length in range(1, len(whole)):
        log.write_bytes(whole + whole[:length])
        assert keyring.count() == CustodyCount(1, 1, 1)
    keyring.unwrap_many(_entry(1), wraps)
    assert keyring.count() == CustodyCount(2, 2, 2)
    assert len(log.read_text().splitlines()) == 2


def test_a_log_whose_end_was_altered_stops_all_releases(tmp_path: Path, keyring: FileKeyring) -> None:
    wraps = _wrapped(keyring, _rows(1))
    keyring.unwrap_many(_entry(1), wraps)
    (tmp_path / "keys" / "custody.log").write_bytes(b'{"total":{}}\n')
    with pytest.raises(Tampered):
        keyring.unwrap_many(_entry(1), wraps)


def test_a_wrap_moved_to_another_row_releases_nothing_and_is_logged(keyring: FileKeyring) -> None:
    rows = _rows(3)
    wraps = _wrapped(keyring, rows)
    moved = [wraps[0], (wraps[2][0], wraps[1][1])]
    with pytest.raises(Tampered):
        keyring.unwrap_many(_entry(2), moved)
    assert keyring.count() == CustodyCount(entries=1, evaluated=2, released=0)
    with pytest.raises(Tampered):
        keyring.unwrap_many(_entry(1), [(replace(wraps[0][0], version=2), wraps[0][1])])


def test_after_rotation_old_wraps_open_and_new_ones_name_the_new_key(tmp_path: Path, keyring: FileKeyring) -> None:
    rows = _rows(2)
    old = _wrapped(keyring, rows[:1])
    other_process = FileKeyring(tmp_path / "keys")
    key_id = keyring.rotate(LATER)
    new = _wrapped(other_process, rows[1:])
    assert new[0][1].key_id == key_id != old[0][1].key_id
    assert other_process.unwrap_many(_entry(2), old + new) == [key for _, key in rows]


def test_a_wrap_of_another_hospitals_key_has_no_key_here(tmp_path: Path, keyring: FileKeyring) -> None:
    foreign = FileKeyring.create(tmp_path / "other", AT)
    assert keyring.unwrap_many(_entry(1), _wrapped(foreign, _rows(1))) == [NoKey("unknown-key")]


def test_calls_are_bounded_and_release_no_more_than_was_evaluated(keyring: FileKeyring) -> None:
    wraps = _wrapped(keyring, _rows(1))
    with pytest.raises(Invalid):
        keyring.unwrap_many(_entry(2_000), wraps * (MAX_WRAPS_PER_CALL + 1))
    with pytest.raises(Invalid):
        keyring.unwrap_many(_entry(1), wraps * 2)
    assert keyring.count() == CustodyCount(0, 0, 0)
    assert len(keyring.unwrap_many(_entry(MAX_WRAPS_PER_CALL), wraps * MAX_WRAPS_PER_CALL)) == MAX_WRAPS_PER_CALL


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601])
def test_a_keyring_open_to_others_is_refused_at_once(tmp_path: Path, keyring: FileKeyring, mode: int) -> None:
    path = tmp_path / "keys" / "keyring.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(mode)
    with pytest.raises(Unavailable) as caught:
        FileKeyring(tmp_path / "keys")
    assert caught.value.reason == "keyring-mode"
    with pytest.raises(Unavailable):
        keyring.wrap(_rows(1))


def test_a_keyring_is_not_made_twice_and_not_opened_where_none_is(tmp_path: Path, keyring: FileKeyring) -> None:
    with pytest.raises(Conflict):
        FileKeyring.create(tmp_path / "keys", AT)
    with pytest.raises(Unavailable) as caught:
        FileKeyring(tmp_path / "nothing")
    assert caught.value.reason == "no-keyring"
    assert keyring.count() == CustodyCount(0, 0, 0)


@pytest.mark.parametrize("damage", [b"", b"{}", b"not json", b'{"current":"x","keys":[],"version":1}'])
def test_a_damaged_keyring_is_tampered(tmp_path: Path, damage: bytes) -> None:
    FileKeyring.create(tmp_path, AT)
    (tmp_path / "keyring.json").write_bytes(damage)
    with pytest.raises(Tampered):
        FileKeyring(tmp_path)


def test_a_failed_rotation_leaves_the_old_keyring(tmp_path: Path) -> None:
    keyring = FileKeyring.create(tmp_path, AT)
    before = (tmp_path / "keyring.json").read_bytes()
    with pytest.raises(Unavailable):
        FileKeyring(tmp_path, disk=FailingDisk()).rotate(LATER)
    assert (tmp_path / "keyring.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keyring.json", "secrets"]
    keyring.rotate(LATER)


def test_threads_that_release_at_once_are_all_counted(keyring: FileKeyring) -> None:
    wraps = _wrapped(keyring, _rows(2))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: keyring.unwrap_many(_entry(3), wraps), range(24)))
    assert len(results) == 24
    assert keyring.count() == CustodyCount(entries=24, evaluated=72, released=48)


def test_no_secret_shows_in_repr_or_log(tmp_path: Path, keyring: FileKeyring) -> None:
    secret = json.loads((tmp_path / "keys" / "keyring.json").read_text())["keys"][0]["secret"]
    rows = _rows(1)
    keyring.unwrap_many(_entry(1), _wrapped(keyring, rows))
    assert secret not in repr(keyring) + repr(vars(keyring))
    assert secret not in (tmp_path / "keys" / "custody.log").read_text()


@pytest.mark.parametrize(
    "entry",
    [
        ("not an id", "release", 1, AT),
        (fresh_id(), "free text", 1, AT),
        (fresh_id(), "release", -1, AT),
        (fresh_id(), "release", 1, "now"),
    ],
    ids=["id", "purpose", "count", "time"],
)
def test_entries_hold_ids_codes_and_counts_only(entry: tuple[str, str, int, str]) -> None:
    with pytest.raises(Invalid):
        CustodyEntry(*entry)
