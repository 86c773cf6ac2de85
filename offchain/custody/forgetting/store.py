"""The store that can forget, on one folder, for the processes of one node, with an optional synchronous replica."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from domain.errors import Conflict, Invalid, Tampered, Unavailable
from domain.instants import check_instant, later
from domain.ports import Forgotten
from offchain.custody.forgetting import layout, rekeying
from offchain.custody.forgetting.base import BaseHeader
from offchain.custody.forgetting.entries import (
    Tombstone,
    encode_secret,
    encode_tombstone,
    record_bytes,
    seconds,
    text,
)
from offchain.custody.forgetting.increments import MAX_ENTRIES_PER_FRAME, SECRETS, TOMBSTONES, Frame
from offchain.custody.forgetting.layout import BaseFiles, BaseKey
from offchain.custody.forgetting.mirroring import Mirror, bring_up_to_date
from offchain.custody.forgetting.view import Answer, View, pointer_stamp
from offchain.disk import Disk, disk_errors
from offchain.envelope.keys import RecordSecret

REKEY_EVERY: Final = timedelta(hours=24)
MAX_FRESH_SECRETS: Final = 200_000
"""So many secrets in increments, and the next base is due: they lie in memory."""
MAX_FORGOTTEN_PER_CALL: Final = 1_000

Escrow = Callable[[str, BaseKey], None]
"""Told id and key of the newest base before the former is destroyed; what it keeps must hold no older one."""


class ForgettingStore:
    """Random secrets of records, each made once, kept sealed, and gone for ever when they are forgotten."""

    def __init__(
        self, folder: Path, *, disk: Disk | None = None, mirror: Mirror | None = None, escrow: Escrow | None = None
    ) -> None:
        """Open a store.

        Raises:
            Unavailable: there is none, its key is open to others, or the disk failed.
            Tampered: something in it was altered.
        """
        self._folder = folder
        self._disk = disk or Disk()
        self._mirror = mirror
        self._escrow = escrow
        self._mirror_agrees = False
        self._writing = Lock()
        self._gate = Lock()
        self._wanted: set[bytes] = set()
        self._view = self._load()

    @classmethod
    def create(cls, folder: Path, at: str, *, disk: Disk | None = None) -> ForgettingStore:
        """Make an empty store.

        Raises:
            Conflict: there is one already.
            Unavailable: the disk failed.
        """
        disk = disk or Disk()
        with disk_errors("making the folder of the record secrets"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / layout.CURRENT).exists():
            raise Conflict("there is a store of record secrets already", reason="secrets-exist")
        first = rekeying.write_first(BaseFiles(folder, 1), check_instant(at, "at"), disk)
        layout.make_current(first.files, disk)
        return cls(folder, disk=disk)

    def __repr__(self) -> str:
        return f"ForgettingStore({str(self._folder)!r})"

    def find(self, records: Sequence[str]) -> list[Answer]:
        """Secret, tombstone or nothing for each record, in order.

        Raises:
            Tampered: the store was altered.
            Unavailable: the disk failed.
        """
        return self._answers([record_bytes(record) for record in records])

    def obtain(self, records: Sequence[str]) -> list[RecordSecret]:
        """The secret of each record, made where there is none; all are durable on return, in the replica too.

        Threads that come together wait for the medium once.

        Raises:
            Conflict: one of them was forgotten.
            Tampered: the store was altered.
            Unavailable: disk or replica failed; nothing was made.
        """
        ids = [record_bytes(record) for record in records]
        answers = self._answers(ids)
        missing = {record for record, answer in zip(ids, answers, strict=True) if answer is None}
        if missing or (self._mirror is not None and not self._mirror_agrees):
            self._make(missing)
            answers = self._answers(ids)
        found = [answer for answer in answers if isinstance(answer, RecordSecret)]
        if len(found) < len(answers):
            raise Conflict("a record was forgotten; it takes no further version", reason="forgotten")
        return found

    def forget(self, records: Sequence[str], at: str) -> Forgotten:
        """Forget records (see :meth:`domain.ports.KeyCustody.forget`).

        Raises:
            Invalid: none, or more than 1,000.
            Unavailable: disk or replica failed; all or none may be forgotten: call again.
        """
        if not 0 < len(records) <= MAX_FORGOTTEN_PER_CALL:
            raise Invalid(f"1 to {MAX_FORGOTTEN_PER_CALL} records are forgotten at once", reason="too-many")
        ids = list(dict.fromkeys(record_bytes(record) for record in records))
        tombstone = Tombstone(seconds(at))
        with self._exclusive() as view:
            if self._remembered(view, ids):
                self._agree(view)  # which may adopt that some are forgotten already
                entries = [encode_tombstone(record, tombstone) for record in self._remembered(view, ids)]
                if entries:
                    self._append(view, TOMBSTONES, entries)
            return self._all_forgotten(view, view.answers(ids, self._disk))

    def forgotten(self, record: str) -> Forgotten | None:
        """What a certificate says about a record; None if it was not forgotten."""
        answer = self.find([record])[0]
        return self._all_forgotten(self._view, [answer]) if isinstance(answer, Tombstone) else None

    def rekey(self, at: str, *, is_only_copy: bool = True) -> None:
        """Seal a new base under a fresh key, without what was forgotten, and destroy the old one everywhere.

        A crash leaves the old base current or the new one; :attr:`due` tells that the rest is to be done.

        Args:
            at: now; what was forgotten is final from here on.
            is_only_copy: false where the old base may open elsewhere than in this replica and escrow: nothing is
                called final, and the next re-keying is due at once.

        Raises:
            Unavailable: disk, replica or escrow failed; nothing is lost, nothing is final, call again.
            Conflict: the replica is not this store's.
            Tampered: the store was altered.
        """
        check_instant(at, "at")
        with self._exclusive() as view:
            self._settle(view, at, is_only_copy=is_only_copy)
            new = rekeying.write_next(view, at, self._disk)
            following = View.load(new.files, new.key, self._disk)  # read back before anything is destroyed
            layout.make_current(new.files, self._disk)
            following.stamp = pointer_stamp(self._folder)
            self._view, self._mirror_agrees = following, False
            self._settle(following, at, is_only_copy=is_only_copy)

    @property
    def due(self) -> str:
        """When the next base is due: at once if the last one was not finished, or much came since."""
        view = self._view
        made_at = view.base.header.made_at
        if layout.leftovers(view.files) or view.awaited or len(view.fresh) > MAX_FRESH_SECRETS:
            return made_at
        return later(made_at, REKEY_EVERY)

    @property
    def root(self) -> tuple[str, BaseKey]:
        """Id and key of the newest base, for escrow."""
        with self._exclusive() as view:
            return view.base.header.base_id, view.key

    def snapshot(self, folder: Path) -> None:
        """Bring a folder to the present state: newest base and increments, without their key, and nothing older.

        Raises:
            Unavailable: the disk failed; the folder still holds the former state.
        """
        with disk_errors("making a snapshot's folder"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._exclusive() as view:
            target = BaseFiles(folder, view.files.number)
            if not self._holds(target.base, view.base.header):
                self._disk.replace_file(target.base, _content(view.files.base))
            self._disk.replace_file(target.increments, _content(view.files.increments))
            layout.make_current(target, self._disk)
        layout.wipe_leftovers(target, self._disk)

    def _holds(self, path: Path, header: BaseHeader) -> bool:
        """A store that was lost before its replica knew its last base left another base of the same number."""
        head = header.encode()
        try:
            with self._disk.opened(path) as descriptor:
                return self._disk.read_at(descriptor, 0, len(head)) == head
        except FileNotFoundError:
            return False

    def _answers(self, ids: list[bytes]) -> list[Answer]:
        view = self._view
        try:
            if view.is_current():
                return view.answers(ids, self._disk)
        except (FileNotFoundError, Tampered):
            if view.is_current():  # else another process made a new base meanwhile, and wiped this one
                raise
        with self._exclusive() as view:
            return view.answers(ids, self._disk)

    def _remembered(self, view: View, ids: Sequence[bytes]) -> list[bytes]:
        answers = view.answers(list(ids), self._disk)
        return [record for record, answer in zip(ids, answers, strict=True) if not isinstance(answer, Tombstone)]

    def _make(self, missing: set[bytes]) -> None:
        with self._gate:
            self._wanted |= missing
        with self._exclusive() as view:
            with self._gate:
                wanted, self._wanted = sorted(self._wanted | missing), set()
            self._agree(view)
            answers = view.answers(wanted, self._disk)
            entries = [
                encode_secret(record, RecordSecret.generate().reveal())
                for record, answer in zip(wanted, answers, strict=True)
                if answer is None
            ]
            for start in range(0, len(entries), MAX_ENTRIES_PER_FRAME):
                self._append(view, SECRETS, entries[start : start + MAX_ENTRIES_PER_FRAME])

    def _append(self, view: View, kind: int, entries: Sequence[bytes]) -> None:
        """The replica first: what this node uses is never only here."""
        self._agree(view)
        frame = view.cipher.seal(kind, entries, view.end)
        if self._mirror is not None:
            self._mirror_agrees = False
            try:
                self._mirror.append(view.base.header.base_id, view.end, frame)
            except Conflict as error:  # a process that died wrote there, and not here
                raise Unavailable("the replica went on meanwhile: call again", reason="replica") from error
            self._mirror_agrees = True
        try:
            self._write(view, frame)
        except Unavailable:
            self._mirror_agrees = False
            raise
        view.add(Frame(kind, tuple(entries), view.end + len(frame)))

    def _write(self, view: View, frame: bytes) -> None:
        with disk_errors("opening the increments"):
            descriptor = os.open(view.files.increments, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._disk.write_at_end(descriptor, view.end, frame)
        finally:
            os.close(descriptor)

    def _agree(self, view: View) -> None:
        if self._mirror is not None and not self._mirror_agrees:
            ahead = bring_up_to_date(self._mirror, view, self._disk)
            if ahead:
                self._write(view, ahead)
                for frame in view.cipher.open_all(ahead, view.end):
                    view.add(frame)
            self._mirror_agrees = True

    def _settle(self, view: View, at: str, *, is_only_copy: bool) -> None:
        """Let the newest base be the only one: in the replica, in escrow, here; what it does not hold is final then."""
        self._agree(view)
        if self._escrow is not None:
            self._escrow(view.base.header.base_id, view.key)
        layout.wipe_leftovers(view.files, self._disk)
        if is_only_copy:
            self._certify(view, seconds(at))

    def _certify(self, view: View, at_s: int) -> None:
        entries = [encode_tombstone(record, Tombstone(one.at, at_s)) for record, one in sorted(view.awaited.items())]
        for start in range(0, len(entries), MAX_ENTRIES_PER_FRAME):
            self._append(view, TOMBSTONES, entries[start : start + MAX_ENTRIES_PER_FRAME])

    def _all_forgotten(self, view: View, answers: Sequence[Answer]) -> Forgotten:
        tombstones = [answer for answer in answers if isinstance(answer, Tombstone)]
        first = min(tombstone.at for tombstone in tombstones)
        finals = [tombstone.final_at for tombstone in tombstones]
        if all(finals) and not layout.leftovers(view.files):
            return Forgotten(text(first), text(max(finals)), text(max(finals)))
        made_at = view.base.header.made_at
        awaited = later(made_at, REKEY_EVERY)
        since = text(max(tombstone.at for tombstone in tombstones))
        return Forgotten(text(first), awaited if awaited > since else later(since, REKEY_EVERY), None)

    def _load(self) -> View:
        """The newest base; another process may make a newer one while we look."""
        for attempt in range(3):
            files = layout.current_files(self._folder, self._disk)
            try:
                return View.load(files, layout.read_key(files.key, self._disk), self._disk)
            except (FileNotFoundError, Tampered) as error:
                if layout.current_files(self._folder, self._disk).number == files.number or attempt == 2:
                    if isinstance(error, Tampered):
                        raise
                    raise Unavailable("a file of the record secrets is missing", reason="no-secrets") from error
        raise AssertionError("unreachable")

    @contextmanager
    def _exclusive(self) -> Iterator[View]:
        """One writer at a time, over all threads and processes, with a fresh view."""
        with self._writing:
            with disk_errors("locking the record secrets"):
                descriptor = os.open(self._folder / layout.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield self._refreshed()
            finally:
                os.close(descriptor)

    def _refreshed(self) -> View:
        """The view as the disk is now; a frame that a crash tore is nobody's and goes."""
        if self._view.stamp != pointer_stamp(self._folder):
            self._view = self._load()
            self._mirror_agrees = False
        if not self._view.is_current():
            self._view.read_on(self._disk)
            if not self._view.is_current():
                self._write(self._view, b"")
        return self._view


def _content(path: Path) -> bytes:
    with disk_errors("copying the record secrets"):
        return path.read_bytes()
