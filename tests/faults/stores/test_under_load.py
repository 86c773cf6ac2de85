"""Hospitals at work whose objects lie in Kubo: it is killed, hangs, has no room; every claim is checked each time."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import pytest

from network.embedded.ledger import EmbeddedLedger
from scripts.kubo import Daemon
from tests.fabric.faults.claims import Story, check_receipts
from tests.fabric.faults.consortium import AWAY, CANARY, HOME, People
from tests.fabric.faults.facts import Facts
from tests.faults.counts import repetitions
from tests.faults.small_disks import Full, mounted
from tests.faults.stores.repository import block_files
from tests.faults.stores.test_kubo_struck import until
from tests.faults.surviving import settled, survive
from tests.kubo import need_kubo
from tests.simulation.files import plaintext
from yilian.demo.ground import CHANNEL

pytestmark = pytest.mark.slow
DISK_MIB: Final = 96
HOLD_S: Final = 3.0
WITHIN_S: Final = 90.0
OWED: Final = ("stores_down", "store_copies_owed", "store_erasures_owed")


@dataclass(frozen=True, slots=True)
class AtWork:
    """People, and the Kubo nodes of custodian and reader, which are struck together."""

    people: People
    daemons: list[Daemon]
    facts: Facts = field(default_factory=Facts)

    def strike(self, number: signal.Signals) -> None:
        """Send each daemon a signal."""
        for daemon in self.daemons:
            daemon.strike(number)

    def start(self) -> None:
        """Start daemons that were killed."""
        for daemon in self.daemons:
            daemon.start()

    def told(self, name: str) -> float:
        """A metric of the custodian's stores."""
        lines = httpx.get(f"{self.people.actors.home.url}/metrics", trust_env=False, timeout=30).text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"yilian_{name} "))


@pytest.fixture(scope="module", params=["mirrored", "alone"] if repetitions(0, 1) else ["mirrored"])
def at_work(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtWork]:
    """Objects in Kubo and on disk, of which one has to have them; in soak also in Kubo alone."""
    need_kubo()
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as opened:
        daemons = [opened.enter_context(_crowded(folder / f"kubo-{msp_id}")) for msp_id in (HOME, AWAY)]
        settings = {msp_id: _settings(request.param, one) for msp_id, one in zip((HOME, AWAY), daemons, strict=True)}
        yield AtWork(opened.enter_context(settled(folder, settings)), daemons)


def test_kubo_is_killed(at_work: AtWork) -> None:
    def start() -> None:
        until(lambda: at_work.told("stores_down") == 1)  # the node measures itself every two seconds
        until(lambda: at_work.told("store_copies_owed") > 0)
        at_work.start()

    if is_mirrored(at_work):
        survive(at_work.people, at_work.facts, lambda: at_work.strike(signal.SIGKILL), start)
    else:
        survive(at_work.people, at_work.facts, lambda: held(at_work, signal.SIGKILL))
    settle(at_work)


def test_kubo_hangs(at_work: AtWork) -> None:
    if is_mirrored(at_work):
        survive(
            at_work.people, at_work.facts,
            lambda: at_work.strike(signal.SIGSTOP), lambda: at_work.strike(signal.SIGCONT),
        )  # fmt: skip
    else:
        survive(at_work.people, at_work.facts, lambda: held(at_work, signal.SIGSTOP))
    settle(at_work)


def test_kubos_disk_is_full(at_work: AtWork) -> None:
    disks = [Full(daemon.blocks) for daemon in at_work.daemons]

    def fill() -> None:
        for disk in disks:
            disk.fill()

    def empty() -> None:
        for disk in disks:
            disk.empty()

    def filled_for_a_while() -> None:
        fill()
        time.sleep(HOLD_S)
        empty()

    def empty_at_last() -> None:
        until(lambda: at_work.told("store_copies_owed") > 0)
        empty()

    if is_mirrored(at_work):
        survive(at_work.people, at_work.facts, fill, empty_at_last)
    else:
        survive(at_work.people, at_work.facts, filled_for_a_while)
    settle(at_work)


@pytest.mark.parametrize("at_work", ["mirrored"], indirect=True)
def test_every_block_is_altered_and_the_other_store_heals_it(at_work: AtWork) -> None:
    def alter() -> None:
        for daemon in at_work.daemons:
            for path in block_files(daemon):
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.chmod(0o644)
                path.write_bytes(data)

    def heals_itself() -> None:  # while it runs: what is checked afterwards heals, too, in a process of its own
        until(lambda: at_work.told("store_copies_healed") > before)

    before = at_work.told("store_copies_healed")
    survive(at_work.people, at_work.facts, alter, heals_itself)
    settle(at_work)


def test_receipts_of_what_was_stored_verify_against_the_ledger(at_work: AtWork, tmp_path: Path) -> None:
    ground = at_work.people.actors.network.ground
    ground.export(tmp_path / "export")
    story = Story.begin(ground.genesis)
    story.read(tmp_path / "export")
    check_receipts(at_work.people, at_work.facts, story, story.members(CHANNEL, EmbeddedLedger.KIND))


def test_nothing_stands_in_clear_on_any_disk(at_work: AtWork) -> None:
    folders = [at_work.people.actors.network.folder, *(daemon.folder for daemon in at_work.daemons)]
    for folder in folders:
        assert list(plaintext(folder, CANARY.encode())) == []


def is_mirrored(at_work: AtWork) -> bool:
    return "local" in at_work.people.actors.home.environment["YILIAN_STORES"].split()


def held(at_work: AtWork, number: signal.Signals) -> None:
    """Struck for a while."""
    at_work.strike(number)
    time.sleep(HOLD_S)
    if number is signal.SIGKILL:
        at_work.start()
    else:
        at_work.strike(signal.SIGCONT)


def settle(at_work: AtWork) -> None:
    """What a store missed comes by itself."""
    deadline = time.monotonic() + WITHIN_S
    while any((owed := {name: at_work.told(name) for name in OWED}).values()):
        assert time.monotonic() < deadline, owed
        time.sleep(0.2)


def _settings(where: str, daemon: Daemon) -> dict[str, str]:
    mirrored = {"STORES": f"{daemon.url} local", "STORE_QUORUM": "1"}  # the first is read first
    return mirrored if where == "mirrored" else {"STORES": daemon.url}


@contextmanager
def _crowded(folder: Path) -> Iterator[Daemon]:
    """A daemon whose blocks have a small disk of their own."""
    daemon = Daemon(folder)
    daemon.initialise()
    kept = daemon.blocks.rename(daemon.blocks.with_name("kept"))
    daemon.blocks.mkdir()
    with mounted(daemon.blocks, DISK_MIB):
        shutil.copytree(kept, daemon.blocks, dirs_exist_ok=True)
        daemon.start()
        try:
            yield daemon
        finally:
            daemon.stop()
