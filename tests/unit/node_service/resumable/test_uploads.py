"""Uploads that go on where they broke off, and leave nothing where nobody goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from domain.errors import Conflict, Invalid, NotFound, Tampered, Unavailable
from domain.identifiers import identifier
from domain.ports import StoredBlob
from node_service.context import Node
from node_service.database.upload_models import ResumableUpload
from node_service.records.series import close_upload
from node_service.resumable.expiry import Expiry
from node_service.resumable.part_file import FOLDER, locked, part_path, present
from node_service.resumable.uploads import (
    DURABLE_BYTES,
    LIFETIME,
    MAX_UPLOADS,
    Target,
    UploadState,
    append,
    begin,
    cancel,
    look,
)
from tests.unit.node_service.records.hospital import Hospital
from tests.unit.node_service.records.test_series import content, instance

ARCHIVE, OTHER = "archive", "other"
TARGET = Target("first", "pacs")
CANARY = b"Synthetic^Sally"
PIXELS = os.urandom(3 << 20)
SMALL = instance(1)


class CutError(Exception):
    """The sender is gone."""


def cut_after(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces
    raise CutError


def sent(hospital: Hospital, state: UploadState, body: bytes, at: int | None = None) -> UploadState:
    return append(hospital.node, ARCHIVE, state.id, state.received if at is None else at, iter((body,)))


def rows(hospital: Hospital) -> list[ResumableUpload]:
    with hospital.node.database.reading() as session:
        return list(session.scalars(select(ResumableUpload)))


def files(hospital: Hospital) -> list[str]:
    return present(hospital.node.settings.data_dir)


def objects(hospital: Hospital) -> set[Path]:
    return {
        path
        for path in (hospital.node.settings.data_dir / "objects").rglob("*")
        if path.is_file() and path.name != "lock"
    }


def test_an_upload_in_parts_becomes_the_record_that_a_direct_one_is(hospital: Hospital) -> None:
    body = instance(1, pixels=PIXELS)
    state = begin(hospital.node, ARCHIVE, len(body), TARGET)
    for start in range(0, len(body), 1_000_000):
        assert state.record is None
        state = sent(hospital, state, body[start : start + 1_000_000])
    assert (state.received, state.record is not None) == (len(body), True)
    assert look(hospital.node, ARCHIVE, state.id) == state
    (stored,) = close_upload(hospital.node, "first").stored
    assert (stored.record, content(hospital, stored.record)) == (state.record, [body])
    assert files(hospital) == []
    (row,) = rows(hospital)
    assert (row.key, row.target) == (None, None)


def test_what_came_before_a_cut_is_kept_and_nothing_of_it_is_readable_on_the_disk(hospital: Hospital) -> None:
    body = instance(1, pixels=PIXELS)
    state = begin(hospital.node, ARCHIVE, len(body), TARGET)
    with pytest.raises(CutError):
        append(hospital.node, ARCHIVE, state.id, 0, cut_after(body[:1000], body[1000:100_000]))
    state = look(hospital.node, ARCHIVE, state.id)
    assert state.received == 100_000
    assert CANARY in body[:1000]
    everything = b"".join(path.read_bytes() for path in hospital.node.settings.data_dir.rglob("*") if path.is_file())
    assert CANARY not in everything
    assert PIXELS[:64] not in everything
    assert sent(hospital, state, body[100_000:]).record is not None


def test_long_parts_are_durable_piece_by_piece(hospital: Hospital) -> None:
    state = begin(hospital.node, ARCHIVE, 64 << 20, TARGET)
    seen = []

    def watching() -> Iterator[bytes]:
        for _ in range(40):
            seen.append(look(hospital.node, ARCHIVE, state.id).received)
            yield bytes(1 << 20)
        raise CutError

    with pytest.raises(CutError):
        append(hospital.node, ARCHIVE, state.id, 0, watching())
    assert set(seen) == {0, DURABLE_BYTES, 2 * DURABLE_BYTES}
    assert look(hospital.node, ARCHIVE, state.id).received == 40 << 20


def test_an_offset_that_is_not_the_present_one_changes_nothing(hospital: Hospital) -> None:
    state = sent(hospital, begin(hospital.node, ARCHIVE, len(SMALL), TARGET), SMALL[:100])
    for offset in (0, 99, 101, len(SMALL)):
        with pytest.raises(Conflict) as refused:
            sent(hospital, state, b"x", offset)
        assert refused.value.reason == "offset"
    assert look(hospital.node, ARCHIVE, state.id) == state
    done = sent(hospital, state, SMALL[100:])
    assert sent(hospital, done, b"") == done  # the last part's answer was lost
    assert files(hospital) == []


def test_more_bytes_than_announced_are_refused_and_not_kept(hospital: Hospital) -> None:
    state = sent(hospital, begin(hospital.node, ARCHIVE, len(SMALL), TARGET), SMALL[:100])
    with pytest.raises(Invalid) as refused:
        append(hospital.node, ARCHIVE, state.id, 100, iter((SMALL[100:], b"x")))
    assert refused.value.reason == "upload-length"
    assert sent(hospital, look(hospital.node, ARCHIVE, state.id), SMALL[100:]).record is not None


def test_a_part_that_was_never_acknowledged_is_written_over(hospital: Hospital) -> None:
    state = sent(hospital, begin(hospital.node, ARCHIVE, len(SMALL), TARGET), SMALL[:100])
    with part_path(hospital.node.settings.data_dir, state.id).open("ab") as file:
        file.write(b"the node was killed here" * 99)
    assert sent(hospital, state, SMALL[100:]).record is not None


class FullStore:
    """A store that is down."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, sealed: Any, *, digest: str | None = None) -> StoredBlob:
        raise Unavailable("the store is down", reason="store")


def test_where_the_record_cannot_be_made_now_the_last_part_is_sent_again(hospital: Hospital) -> None:
    state = sent(hospital, begin(hospital.node, ARCHIVE, len(SMALL), TARGET), SMALL[:100])
    down: Node = replace(hospital.node, blobs=FullStore(hospital.node.blobs))
    with pytest.raises(Unavailable):
        append(down, ARCHIVE, state.id, 100, iter((SMALL[100:],)))
    assert look(hospital.node, ARCHIVE, state.id).received == 100
    assert sent(hospital, state, SMALL[100:]).record is not None


def test_a_node_killed_between_record_and_row_makes_no_second_record(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise CutError

    state = sent(hospital, begin(hospital.node, ARCHIVE, len(SMALL), TARGET), SMALL[:100])
    with monkeypatch.context() as patched:
        patched.setattr("node_service.resumable.uploads._Appending._acknowledge", killed)
        with pytest.raises(CutError):
            sent(hospital, state, SMALL[100:])
    done = sent(hospital, look(hospital.node, ARCHIVE, state.id), SMALL[100:])
    report = close_upload(hospital.node, "first")
    assert ([ref.record for ref in report.stored], report.dicom_instances) == ([done.record], 1)


@pytest.mark.parametrize("body", [b"no DICOM at all", bytes(2000)], ids=["short", "zeros"])
def test_what_is_refused_at_the_end_leaves_nothing(hospital: Hospital, body: bytes) -> None:
    state = begin(hospital.node, ARCHIVE, len(body), TARGET)
    with pytest.raises(Invalid):
        sent(hospital, state, body)
    assert (rows(hospital), files(hospital), objects(hospital)) == ([], [], set())


def test_another_accounts_upload_does_not_exist(hospital: Hospital) -> None:
    state = begin(hospital.node, ARCHIVE, len(SMALL), TARGET)
    for call in (
        lambda: look(hospital.node, OTHER, state.id),
        lambda: cancel(hospital.node, OTHER, state.id),
        lambda: append(hospital.node, OTHER, state.id, 0, iter((SMALL,))),
        lambda: look(hospital.node, ARCHIVE, identifier(os.urandom(16))),
    ):
        with pytest.raises(NotFound):
            call()
    assert files(hospital) == []


@pytest.mark.parametrize("upload", ["", "../node-keys.json", "a" * 26, "x/y"])
def test_an_id_that_is_none_is_refused_and_makes_no_file(hospital: Hospital, upload: str) -> None:
    with pytest.raises((Invalid, NotFound)):
        append(hospital.node, ARCHIVE, upload, 0, iter((SMALL,)))
    assert not (hospital.node.settings.data_dir / FOLDER).exists()


def test_a_cancelled_upload_leaves_neither_row_nor_file(hospital: Hospital) -> None:
    state = sent(hospital, begin(hospital.node, ARCHIVE, len(SMALL), TARGET), SMALL[:100])
    assert files(hospital) == [state.id]
    cancel(hospital.node, ARCHIVE, state.id)
    assert (rows(hospital), files(hospital), objects(hospital)) == ([], [], set())
    with pytest.raises(NotFound):
        sent(hospital, state, SMALL[100:])
    assert files(hospital) == []


def test_two_parts_of_one_upload_do_not_come_at_once(hospital: Hospital) -> None:
    node, state = hospital.node, begin(hospital.node, ARCHIVE, len(SMALL), TARGET)

    def interleaved() -> Iterator[bytes]:
        yield SMALL[:100]
        for call in (lambda: sent(hospital, state, SMALL), lambda: cancel(node, ARCHIVE, state.id)):
            with pytest.raises(Conflict) as refused:
                call()
            assert refused.value.reason == "upload-busy"
        yield SMALL[100:]

    assert append(node, ARCHIVE, state.id, 0, interleaved()).record is not None


def test_lengths_and_numbers_are_bounded(hospital: Hospital) -> None:
    most = hospital.node.settings.max_upload_bytes
    for length in (0, most + 1):
        with pytest.raises(Invalid):
            begin(hospital.node, ARCHIVE, length, TARGET)
    for _ in range(4):
        begin(hospital.node, ARCHIVE, most, TARGET)
    with pytest.raises(Conflict):
        begin(hospital.node, ARCHIVE, 1, TARGET)
    for _ in range(MAX_UPLOADS):
        begin(hospital.node, OTHER, 1, TARGET)
    with pytest.raises(Conflict) as refused:
        begin(hospital.node, OTHER, 1, TARGET)
    assert refused.value.reason == "too-many-uploads"


def test_the_file_is_bounded_however_small_the_pieces_are(hospital: Hospital) -> None:
    state = begin(hospital.node, ARCHIVE, 200_000, TARGET)
    with pytest.raises(Invalid) as refused:
        append(hospital.node, ARCHIVE, state.id, 0, iter(b"x" for _ in range(200_000)))
    assert refused.value.reason == "small-parts"


def test_unknown_patients_are_refused_before_a_byte_is_sent(hospital: Hospital) -> None:
    with pytest.raises(NotFound):
        begin(hospital.node, ARCHIVE, 100, replace(TARGET, patient=identifier(os.urandom(16))))


def test_an_altered_file_is_noticed(hospital: Hospital) -> None:
    state = sent(hospital, begin(hospital.node, ARCHIVE, len(SMALL), TARGET), SMALL[:100])
    path = part_path(hospital.node.settings.data_dir, state.id)
    altered = bytearray(path.read_bytes())
    altered[-1] ^= 1
    path.write_bytes(altered)
    with pytest.raises(Tampered):
        sent(hospital, state, SMALL[100:])
    assert objects(hospital) == set()


def test_a_lost_file_means_a_lost_upload(hospital: Hospital) -> None:
    """As after a restore from a backup, which holds no parts."""
    state = sent(hospital, begin(hospital.node, ARCHIVE, len(SMALL), TARGET), SMALL[:100])
    part_path(hospital.node.settings.data_dir, state.id).unlink()
    with pytest.raises(NotFound):
        sent(hospital, state, SMALL[100:])
    assert (rows(hospital), files(hospital)) == ([], [])


def test_an_upload_expires_a_day_after_its_last_part(hospital: Hospital) -> None:
    expiry = Expiry(hospital.node)
    left = sent(hospital, begin(hospital.node, ARCHIVE, len(SMALL), TARGET), SMALL[:50])
    kept = begin(hospital.node, ARCHIVE, len(SMALL), TARGET)
    hospital.clock.advance(LIFETIME.total_seconds() - 1)
    kept = sent(hospital, kept, SMALL[:50])
    expiry.step(hospital.clock.now())
    assert files(hospital) == sorted((left.id, kept.id))
    hospital.clock.advance(1)
    with pytest.raises(NotFound):
        sent(hospital, left, SMALL[50:])
    assert expiry.step(hospital.clock.now()) - hospital.clock.now() <= timedelta(hours=1)
    assert ([row.id for row in rows(hospital)], files(hospital)) == ([kept.id], [kept.id])
    assert sent(hospital, kept, SMALL[50:]).record is not None


def test_an_upload_at_work_does_not_expire_and_files_of_nobody_go(hospital: Hospital) -> None:
    node, expiry = hospital.node, Expiry(hospital.node)
    state = sent(hospital, begin(node, ARCHIVE, len(SMALL), TARGET), SMALL[:50])
    orphan = identifier(os.urandom(16))
    part_path(node.settings.data_dir, orphan).write_bytes(b"x")
    hospital.clock.advance(LIFETIME.total_seconds())
    with locked(node.settings.data_dir, state.id, node.secrets):
        expiry.step(hospital.clock.now())
    assert files(hospital) == [state.id]
    expiry.step(hospital.clock.now())
    assert (rows(hospital), files(hospital)) == ([], [])
