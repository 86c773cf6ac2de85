"""What every adapter of the port ``KeyCustody`` promises: the file keyring alone, and with a replica over TLS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import Conflict, Invalid, Tampered
from domain.ports import CustodyCount, CustodyEntry, KeyCustody, NoKey
from offchain.custody.file_keyring import FileKeyring
from offchain.custody.replica.channel import make_channel
from offchain.custody.replica.folder import ReplicaFolder
from offchain.custody.replica.remote import RemoteMirror
from offchain.custody.replica.server import ReplicaServer
from offchain.envelope.keys import DataKey
from offchain.envelope.wraps import KeyBinding, Wrap
from tests.unit.offchain.sealing import fresh_id

AT = "2026-03-01T08:00:00Z"
LATER = "2026-03-01T20:00:00Z"
NEXT_DAY = "2026-03-02T08:00:00Z"
Custody = KeyCustody[KeyBinding, DataKey, Wrap]
Open = Callable[[], Custody]
Row = tuple[KeyBinding, DataKey]
Wrapped = tuple[KeyBinding, Wrap]


@pytest.fixture(params=["alone", "with-replica"])
def reopened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the custody of one hospital, as each of its processes does."""
    FileKeyring.create(tmp_path / "custody", AT)
    if request.param == "alone":
        yield lambda: FileKeyring(tmp_path / "custody")
        return
    make_channel(tmp_path / "channel", datetime.now(UTC))
    replica = ReplicaFolder(tmp_path / "replica")
    with ReplicaServer(("127.0.0.1", 0), replica, tmp_path / "channel" / "replica") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = ("127.0.0.1", int(server.server_address[1]))
        mirrors: list[RemoteMirror] = []

        def opened() -> Custody:
            mirrors.append(RemoteMirror(address, tmp_path / "channel" / "store"))
            return FileKeyring(tmp_path / "custody", mirror=mirrors[-1])

        yield opened
        for mirror in mirrors:
            mirror.close()
        server.shutdown()


@pytest.fixture
def custody(reopened: Open) -> Custody:
    return reopened()


def _rows(count: int) -> list[Row]:
    return [(KeyBinding(fresh_id(), fresh_id(), 1), DataKey.generate()) for _ in range(count)]


def _wrapped(custody: Custody, rows: list[Row]) -> list[Wrapped]:
    return [(binding, wrap) for (binding, _), wrap in zip(rows, custody.wrap(rows), strict=True)]


def _opened(custody: Custody, wraps: list[Wrapped]) -> list[DataKey | NoKey]:
    return custody.unwrap_many(CustodyEntry(fresh_id(), "read", len(wraps), AT), wraps)


def test_wraps_open_in_order_in_every_process(custody: Custody, reopened: Open) -> None:
    other = reopened()
    rows = _rows(5)
    wraps = _wrapped(custody, rows)
    assert _opened(other, wraps[::-1]) == [key for _, key in rows[::-1]]


def test_versions_of_a_record_share_its_secret_and_nothing_else(custody: Custody) -> None:
    record = fresh_id()
    rows = [(KeyBinding(fresh_id(), record, version), DataKey.generate()) for version in (1, 2)]
    wraps = _wrapped(custody, rows[:1]) + _wrapped(custody, rows[1:])
    assert _opened(custody, wraps) == [key for _, key in rows]
    with pytest.raises(Tampered):
        _opened(custody, [(wraps[0][0], wraps[1][1])])


def test_forgotten_records_open_no_more_in_any_process_and_others_do(custody: Custody, reopened: Open) -> None:
    other = reopened()
    rows = _rows(4)
    wraps = _wrapped(custody, rows)
    custody.forget([rows[1][0].record_id, rows[2][0].record_id], LATER)
    for each in (custody, other, reopened()):
        assert _opened(each, wraps) == [rows[0][1], NoKey("destroyed"), NoKey("destroyed"), rows[3][1]]


def test_a_forgotten_record_takes_no_further_version_and_nothing_of_its_batch_is_made(custody: Custody) -> None:
    rows = _rows(2)
    custody.forget([rows[0][0].record_id], AT)
    for call in (lambda: custody.wrap(rows), lambda: custody.prepare([rows[0][0].record_id])):
        with pytest.raises(Conflict) as caught:
            call()
        assert caught.value.reason == "forgotten"
    assert _opened(custody, _wrapped(custody, rows[1:])) == [rows[1][1]]


def test_forgetting_says_when_it_is_final_and_becomes_so_with_the_next_base(custody: Custody, reopened: Open) -> None:
    records = [binding.record_id for binding, _ in _rows(2)]
    custody.prepare(records)
    promised = custody.forget(records, LATER)
    assert (promised.at, promised.final_by, promised.final_at) == (LATER, NEXT_DAY, None)
    assert custody.forgotten(records[0]) == promised
    custody.rekey("2026-03-01T21:00:00Z")
    for each in (custody, reopened()):
        certified = each.forgotten(records[1])
        assert certified is not None
        assert (certified.at, certified.final_at) == (LATER, "2026-03-01T21:00:00Z")


def test_forgetting_may_be_repeated_and_keeps_the_first_time(custody: Custody) -> None:
    record = fresh_id()
    custody.forget([record], LATER)
    assert custody.forget([record, fresh_id()], NEXT_DAY).at == LATER
    custody.rekey(NEXT_DAY)
    again = custody.forget([record], "2026-03-03T08:00:00Z")
    assert (again.at, again.final_at) == (LATER, NEXT_DAY)


def test_a_record_that_was_not_forgotten_has_no_certificate(custody: Custody) -> None:
    rows = _rows(1)
    custody.wrap(rows)
    assert custody.forgotten(rows[0][0].record_id) is None
    assert custody.forgotten(fresh_id()) is None


def test_rekeying_keeps_every_other_wrap(custody: Custody, reopened: Open) -> None:
    other = reopened()
    rows = _rows(300)
    wraps = _wrapped(custody, rows)
    custody.forget([rows[7][0].record_id], AT)
    for turn in range(3):
        custody.rekey(NEXT_DAY)
        more = _rows(2)
        wraps += _wrapped(other if turn % 2 else custody, more)
        rows += more
        for each in (custody, other, reopened()):
            keys = _opened(each, wraps)
            assert keys[7] == NoKey("destroyed")
            assert keys[:7] + keys[8:] == [key for _, key in rows[:7] + rows[8:]]


def test_the_next_base_is_due_a_day_after_the_last(custody: Custody) -> None:
    assert custody.rekey_due() == NEXT_DAY
    custody.rekey(LATER)
    assert custody.rekey_due() == "2026-03-02T20:00:00Z"


def test_rotating_the_custody_key_touches_no_wrap(custody: Custody, reopened: Open) -> None:
    rows = _rows(2)
    old = _wrapped(custody, rows[:1])
    key_id = reopened().rotate(LATER)
    new = _wrapped(custody, rows[1:])
    assert new[0][1].key_id == key_id != old[0][1].key_id
    custody.rekey(NEXT_DAY)
    assert _opened(custody, old + new) == [key for _, key in rows]


def test_forgetting_and_rekeying_change_no_total_of_the_custody_log(custody: Custody) -> None:
    rows = _rows(2)
    wraps = _wrapped(custody, rows)
    _opened(custody, wraps)
    custody.forget([rows[0][0].record_id], AT)
    custody.rekey(NEXT_DAY)
    assert custody.count() == CustodyCount(entries=1, evaluated=2, released=2)
    _opened(custody, wraps)
    assert custody.count() == CustodyCount(entries=2, evaluated=4, released=3)


def test_calls_are_bounded(custody: Custody) -> None:
    with pytest.raises(Invalid):
        custody.forget([], AT)
    with pytest.raises(Invalid):
        custody.forget([fresh_id() for _ in range(1_001)], AT)
    with pytest.raises(Invalid):
        custody.forget(["no identifier"], AT)
    with pytest.raises(Invalid):
        custody.forget([fresh_id()], "yesterday")


def test_a_wrap_of_another_custody_is_unknown_here(custody: Custody, tmp_path: Path) -> None:
    foreign = FileKeyring.create(tmp_path / "foreign", AT)
    assert _opened(custody, _wrapped(foreign, _rows(1))) == [NoKey("unknown-key")]
