"""The store that can forget under faults: every write and every wait for the medium fails once; killed anywhere."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.errors import Unavailable
from offchain.custody.forgetting.entries import Tombstone
from offchain.custody.forgetting.layout import current_files, leftovers
from offchain.custody.forgetting.store import ForgettingStore
from offchain.custody.replica.folder import ReplicaFolder
from offchain.disk import Disk, disk_errors
from offchain.envelope.keys import RecordSecret
from tests.faults.counts import repetitions
from tests.faults.custody.worker import AT
from tests.unit.offchain.sealing import fresh_id

LATER = "2026-03-01T09:00:00Z"
EVERY = repetitions(3, 1)
"""Every third step in each run, all of them in ``make soak``."""
Hook = Callable[[str], None]


class Died(BaseException):
    """The process is gone; nothing of it runs any more."""


class HookedDisk(Disk):
    """Calls a hook before every step that changes something."""

    __slots__ = ("_hook",)

    def __init__(self, hook: Hook) -> None:
        self._hook = hook

    def write(self, descriptor: int, view: memoryview) -> int:
        self._hook("write")
        return super().write(descriptor, view)

    def fsync(self, descriptor: int) -> None:
        self._hook("fsync")
        super().fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        with disk_errors("renaming a file"):
            self._hook("replace")
        super().replace(source, target)

    def remove(self, path: Path) -> bool:
        self._hook("remove")
        return super().remove(path)

    def wipe(self, path: Path) -> None:
        self._hook("wipe")
        super().wipe(path)


class Story:
    """What was acknowledged, whatever happened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets: dict[str, RecordSecret] = {}
        self.forgotten: list[str] = []
        ForgettingStore.create(folder / "secrets", AT)
        self.plain().obtain([fresh_id()])

    def plain(self, disk: Disk | None = None) -> ForgettingStore:
        return ForgettingStore(self.folder / "secrets", disk=disk, mirror=ReplicaFolder(self.folder / "replica", disk))

    def tell(self, store: ForgettingStore, *, survive: bool) -> None:
        """Make, forget, re-key, make again; where something fails, it is done again if ``survive``."""
        records = [fresh_id() for _ in range(3)]
        steps: tuple[Callable[[], None], ...] = (
            lambda: self._obtain(store, records),
            lambda: self._forget(store, records[0]),
            lambda: store.rekey(LATER),
            lambda: self._obtain(store, [fresh_id()]),
        )
        for step in steps:
            try:
                step()
            except Unavailable:
                if survive:
                    step()

    def _obtain(self, store: ForgettingStore, records: list[str]) -> None:
        self.secrets.update(zip(records, store.obtain(records), strict=True))

    def _forget(self, store: ForgettingStore, record: str) -> None:
        self.secrets.pop(record, None)  # asked for: it may be forgotten from now on, also without an answer
        store.forget([record], AT)
        self.forgotten.append(record)

    def check(self) -> None:
        """Store and replica hold what was acknowledged, and after one more turn each is one base without remains."""
        for folder in ("secrets", "replica"):
            copy = self.folder / f"copy of {folder}"
            shutil.copytree(self.folder / folder, copy)
            self._check(ForgettingStore(copy))
            shutil.rmtree(copy)
        self.plain().rekey(LATER)
        for folder in ("secrets", "replica"):
            assert leftovers(current_files(self.folder / folder, Disk())) == []
            self._check(ForgettingStore(self.folder / folder))

    def _check(self, store: ForgettingStore) -> None:
        assert store.find(list(self.secrets)) == list(self.secrets.values())
        assert all(isinstance(answer, Tombstone) for answer in store.find(self.forgotten))


def _steps(folder: Path, kinds: tuple[str, ...]) -> int:
    """How many steps of these kinds the story has."""
    count = 0

    def counting(kind: str) -> None:
        nonlocal count
        count += kind in kinds

    story = Story(folder / "counting")
    story.tell(story.plain(HookedDisk(counting)), survive=False)
    story.check()
    assert count > 0
    return count


@pytest.mark.parametrize("kind", ["write", "fsync", "replace"])
def test_whichever_step_fails_nothing_acknowledged_is_lost_and_the_next_call_goes_on(tmp_path: Path, kind: str) -> None:
    for failing in range(0, _steps(tmp_path, (kind,)), EVERY):
        story, seen = Story(tmp_path / str(failing)), 0

        def hook(step: str, failing: int = failing) -> None:
            nonlocal seen
            seen += step == kind
            if step == kind and seen == failing + 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        story.tell(story.plain(HookedDisk(hook)), survive=True)
        assert seen > failing
        assert len(story.secrets) == 3
        story.check()


def test_a_process_that_dies_before_any_step_leaves_a_readable_store(tmp_path: Path) -> None:
    every = ("write", "fsync", "replace", "remove", "wipe")
    for dying in range(0, _steps(tmp_path, every), EVERY):
        story, seen = Story(tmp_path / str(dying)), 0

        def hook(_step: str, dying: int = dying) -> None:
            nonlocal seen
            seen += 1
            if seen > dying:
                raise Died

        with pytest.raises(Died):
            story.tell(story.plain(HookedDisk(hook)), survive=False)
        story.check()


@pytest.mark.parametrize("turn", range(repetitions(3, 60)))
def test_a_process_killed_at_any_moment_loses_nothing_that_it_acknowledged(tmp_path: Path, turn: int) -> None:
    story = Story(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.custody.worker", str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(random.Random(turn).uniform(0, 0.6))  # noqa: S311 - the moment of a kill, repeatable
    process.send_signal(signal.SIGKILL)
    lines = [line.split() for line in process.communicate()[0].splitlines() if line]
    kept = {line[1]: line[2] for line in lines if line[0] == "kept" and len(line) == 3 and len(line[2]) == 64}
    story.forgotten = [line[1] for line in lines if line[0] == "forgotten" and len(line[1]) == 26]
    asked = {line[1] for line in lines if line[0] == "forgetting"}
    sure = [record for record in kept if record not in asked]
    for record, answer in zip(sure, ForgettingStore(tmp_path / "secrets").find(sure), strict=True):
        assert isinstance(answer, RecordSecret)
        assert hashlib.sha256(answer.reveal()).hexdigest() == kept[record]
        story.secrets[record] = answer
    story.check()
