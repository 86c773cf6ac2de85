"""One simulated hospital: the product's own use cases and steps over real files, with faults at its ports."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from anyio import CapacityLimiter

from domain.errors import OutcomeUnknown, Unavailable, YilianError
from domain.instants import instant
from domain.ports import TransactionStatus
from node_service import secrets
from node_service.access_log.sequencer import Sequencer
from node_service.background import Step, Worker
from node_service.composition import FOLLOWER_QUIET, QUIET
from node_service.context import Limits, Node
from node_service.custody_steps import Rekeying
from node_service.database.engine import Database
from node_service.database.models import Base
from node_service.erasure.case_keeper import CaseKeeper
from node_service.erasure.corrections import Corrections
from node_service.erasure.notifier import Notifier, Telling
from node_service.erasure.remover import Remover
from node_service.ledger_sync.anchorer import Anchorer
from node_service.ledger_sync.commits import ProjectedCommits
from node_service.ledger_sync.follower import Follower
from node_service.ledger_sync.submission import Resubmitter
from node_service.records.collecting import Collector
from node_service.records.scrubber import Scrubber
from node_service.settings import Settings
from node_service.sharing.accesses import OneUseKeys
from node_service.sharing.enrolment import Enrolments
from node_service.sharing.patient_wraps import PatientWraps
from offchain.custody.file_keyring import FileKeyring
from tests.simulation.faults import (
    Faults,
    Place,
    SimulatedCustody,
    SimulatedDatabase,
    SimulatedLedger,
    SimulatedStore,
)
from tests.simulation.network import Network, SimulatedVoices
from tests.simulation.scheduler import Process, Scheduler, Task

START: Final = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
KEPT_TYPE: Final = "Procedure"
RETENTION: Final = f"""
version = 1
id = "simulation"
[[rules]]
id = "kept"
resource_types = ["{KEPT_TYPE}"]
keep_years = 15
from = "last-visit"
[rules.source]
title_en = "Simulation"
title_zh = "模拟"
article_en = "1"
article_zh = "一"
[[rules]]
id = "not-kept"
keep_years = 0
from = "last-visit"
[rules.source]
title_en = "Simulation"
title_zh = "模拟"
article_en = "2"
article_zh = "二"
"""
"""Procedures are kept for years, so that a wish to erase one only locks it."""


@dataclass
class SimulatedClock:
    """Virtual time, and how wrong this machine's clock is."""

    scheduler: Scheduler
    wrong: timedelta = timedelta()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.scheduler.now) + self.wrong


class SimulatedCommits(ProjectedCommits):
    """Waits in virtual time for what the follower projected."""

    def __init__(self, database: Database, scheduler: Scheduler) -> None:
        super().__init__(database)
        self._scheduler = scheduler
        self._wait: list[Task] = []

    async def committed(self, tx_id: str, timeout_s: float) -> TransactionStatus:
        found = self._until(lambda: self._looked_up(tx_id), timeout_s)
        if found is None:
            raise OutcomeUnknown("the transaction was not seen in a block in time", tx_id=tx_id)
        return found

    async def projected(self, height: int, timeout_s: float) -> None:
        if self._until(lambda: self._looked_up_height(height), timeout_s) is None:
            raise Unavailable("the own view of the ledger is behind", reason="projection-behind")

    def _until(self, look: Callable[[], TransactionStatus | None], timeout_s: float) -> TransactionStatus | None:
        """Looks once, and again each time that the follower has projected something."""
        deadline = self._scheduler.now + timeout_s
        waiter = self._scheduler.current
        assert waiter is not None
        self._wait.append(waiter)
        try:
            while (found := look()) is None and self._scheduler.now < deadline:
                self._scheduler.pause(deadline - self._scheduler.now)
        finally:
            self._wait.remove(waiter)
        return found

    def resolve(self, statuses: Sequence[TransactionStatus], height: int) -> None:
        super().resolve(statuses, height)
        for waiter in self._wait:
            waiter.wake = self._scheduler.now


@dataclass
class Watched:
    """A step of which every error that is none of the product's own is a finding."""

    name: str
    step_of: Step
    findings: list[str]

    def step(self, now: datetime) -> datetime:
        try:
            return self.step_of.step(now)
        except YilianError:
            raise
        except Exception as error:
            self.findings.append(f"step {self.name}: {type(error).__name__}: {error}")
            raise


@dataclass
class Hospital:
    """Settings and files of one hospital, and its process while it runs."""

    msp_id: str
    folder: Path
    ledger_folder: Path
    scheduler: Scheduler
    faults: Faults
    network: Network
    findings: list[str]
    random: random.Random
    clock: SimulatedClock = field(init=False)
    process: Process = field(init=False)
    node: Node = field(init=False)
    workers: dict[str, Task] = field(default_factory=dict)
    telling: Callable[[], AbstractAsyncContextManager[Telling]] = field(init=False)
    crashes: int = 0

    def __post_init__(self) -> None:
        self.clock = SimulatedClock(self.scheduler)
        self.process = Process(self.msp_id, alive=False)

    @property
    def up(self) -> bool:
        """Whether its process runs."""
        return self.process.alive

    @property
    def url(self) -> str:
        """As others address it."""
        return f"http://{self.msp_id.lower()}.example"

    def found(self) -> None:
        """Keys and an empty database, as ``node init`` makes them."""
        self.folder.mkdir()
        (self.folder / "retention.toml").write_text(RETENTION)
        secrets.create(self.folder)
        FileKeyring.create(self.folder / "custody", instant(self.clock.now()))
        database = Database(f"sqlite:///{self.folder / 'node.db'}")
        Base.metadata.create_all(database.engine)
        database.close()

    def start(self) -> None:
        """A fresh process over the files.

        Raises:
            Unavailable: a fault struck while it started.
        """
        process = Process(self.msp_id)
        place = Place(self.scheduler, self.faults, process, self.crash)
        settings = Settings.model_validate(
            {
                "msp_id": self.msp_id, "name": self.msp_id, "data_dir": self.folder, "ledger_dir": self.ledger_folder,
                "public_url": self.url, "retention_file": str(self.folder / "retention.toml"),
            }
        )  # fmt: skip
        database = SimulatedDatabase(settings.sqlalchemy_url, place)
        commits = SimulatedCommits(database, self.scheduler)
        ledger = SimulatedLedger(
            self.ledger_folder, self.msp_id, self.clock, self.random.randbytes, place, self.network
        )
        node = Node(
            settings=settings,
            database=database,
            ledger=ledger,
            blobs=SimulatedStore(self.folder / "objects", place, self._stamp),
            custody=SimulatedCustody(self.folder / "custody", place),
            secrets=secrets.load(self.folder),
            clock=self.clock,
            random=self.random.randbytes,
            commits=commits,
            voices=SimulatedVoices(self.msp_id, place, self.network),
            limits=Limits(CapacityLimiter(32), CapacityLimiter(16), CapacityLimiter(4)),
        )
        self.process, self.node = process, node
        self._start_workers(node, {"follower": Follower(database, ledger, commits), **self._steps(node)})
        database.after_commit(self._woken)

    def crash(self) -> None:
        """kill −9: everything in memory is gone, what is on disk stays."""
        if self.process.alive:
            self.crashes += 1
            self.scheduler.note(f"crash of {self.msp_id}")
            self.scheduler.kill(self.process)

    def close(self) -> None:
        """Let go of the files of a process that is dead."""
        self.node.database.close()
        self.node.ledger.close()  # type: ignore[attr-defined]

    def grown(self) -> None:
        """The ledger has a further block."""
        self._wake("follower", FOLLOWER_QUIET)

    def _woken(self) -> None:
        for name, quiet in QUIET.items():
            self._wake(name, quiet)

    def _wake(self, name: str, quiet: timedelta) -> None:
        task = self.workers.get(name)
        if task is not None and not task.done and task is not self.scheduler.current:
            task.wake = min(task.wake, self.scheduler.now + quiet.total_seconds())

    def _start_workers(self, node: Node, steps: dict[str, Step]) -> None:
        for name, step in steps.items():
            watched = Watched(name, step, self.findings)
            worker = Worker(name, watched, self.clock, node.database, lambda _name: None)
            call = self._work(worker)
            self.workers[name] = self.scheduler.spawn(f"{name} of {self.msp_id}", self.process, call)

    def _work(self, worker: Worker) -> Callable[[], None]:
        def work() -> None:
            while True:
                due = worker.turn(self.clock.now())
                self.scheduler.pause(max(0.0, (due - self.clock.now()).total_seconds()))

        return work

    def stamp_all(self) -> None:
        """Files of writes that broke off before they were stamped bear the time of the machine that simulates."""
        for path in (self.folder / "objects").rglob("*"):
            if path.is_file() and path.stat().st_mtime > (self.clock.now() + timedelta(days=9)).timestamp():
                self._stamp(path)

    def _stamp(self, path: Path) -> None:
        """A file is as old as the machine's clock said when it was written."""
        seconds = self.clock.now().timestamp()
        for one in (path, path.with_name(path.name + ".chunks")):
            if one.exists():
                os.utime(one, (seconds, seconds))

    def _steps(self, node: Node) -> dict[str, Step]:
        """The background work of a node, named as where they are composed."""
        return {
            "anchorer": Anchorer(node),
            "sequencer": Sequencer(node),
            "resubmitter": Resubmitter(node),
            "patient-wraps": PatientWraps(node),
            "enrolments": Enrolments(node),
            "one-use-keys": OneUseKeys(node),
            "collector": Collector(node),
            "scrubber": Scrubber(node, lambda: self.scheduler.now),
            "remover": Remover(node),
            "case-keeper": CaseKeeper(node),
            "notifier": Notifier(node, self.telling),
            "corrections": Corrections(node),
            "rekeying": Rekeying(node),
        }
