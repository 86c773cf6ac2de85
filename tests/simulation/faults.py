"""What goes wrong, drawn from the seed: each seed has its own selection of faults and how often each strikes."""

from __future__ import annotations

import errno
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from domain.errors import OutcomeUnknown, Unavailable
from domain.jcs import JsonObject, JsonValue
from domain.ports import (
    Clock,
    CommittedBlock,
    CustodyEntry,
    Forgotten,
    NoKey,
    RandomSource,
    StoredBlob,
    TransactionStatus,
)
from network.embedded.ledger import EmbeddedLedger
from node_service.database.engine import Database
from offchain.custody.file_keyring import FileKeyring
from offchain.disk import Disk
from offchain.envelope.keys import DataKey
from offchain.envelope.sealed import SealedBytes, SealedStream
from offchain.envelope.wraps import KeyBinding, Wrap
from offchain.stores.local import LocalStore
from tests.faults.struck import struck_connection
from tests.simulation.scheduler import Process, Scheduler

LIKELIHOODS: Final = {
    "ledger-down": 0.01,
    "ledger-lost": 0.06,
    "ledger-unknown": 0.06,
    "ledger-late": 0.06,
    "ledger-delayed": 0.10,
    "peer-late": 0.10,
    "witness-late": 0.10,
    "witness-silent": 0.05,
    "store-down": 0.02,
    "custody-down": 0.02,
    "database-error": 0.002,
    "disk-error": 0.01,
    "disk-full": 0.01,
    "crash": 0.0015,
    "message-lost": 0.05,
    "answer-lost": 0.05,
    "message-late": 0.05,
    "message-doubled": 0.05,
    "message-replayed": 0.05,
}
"""How often a fault strikes where it can, in a run that has it at full strength."""
LEDGER_DOWN_S: Final = 8.0
LATEST_S: Final = 6.0


class Faults:
    """The faults of one run; none strikes once they are over."""

    def __init__(self, seed: int, *, allowed: Sequence[str] = tuple(LIKELIHOODS)) -> None:
        self.chance = random.Random(f"faults {seed}")  # noqa: S311 - repeatable on purpose
        self.active = False
        strengths = {kind: self.chance.choice((0.0, 0.0, 0.3, 1.0)) for kind in LIKELIHOODS}
        self.rates = {kind: LIKELIHOODS[kind] * strengths[kind] for kind in LIKELIHOODS if kind in allowed}

    def strikes(self, kind: str) -> bool:
        """Whether a fault strikes now."""
        rate = self.rates.get(kind, 0.0)
        return self.active and rate > 0 and self.chance.random() < rate


class Place:
    """Where faults strike: one process of one hospital."""

    def __init__(self, scheduler: Scheduler, faults: Faults, process: Process, crash: Callable[[], None]) -> None:
        self.scheduler, self.faults, self.process = scheduler, faults, process
        self.crash = crash
        self.writing = 0

    def point(self) -> None:
        """Another task may run now; or the process dies."""
        self.process.check()
        if self.faults.strikes("crash"):
            self.crash()
        self.process.check()
        self.scheduler.pause()

    def unavailable(self, kind: str) -> None:
        """A port that cannot be used now."""
        self.point()
        if self.faults.strikes(kind):
            self.scheduler.note(kind)
            raise Unavailable("a fault of the simulation", reason=kind)


class Channel(Protocol):
    """The ordering service, and how far each peer is."""

    peers: dict[str, int]

    def order(self, envelope: bytes, seconds: float) -> None:
        """Order an envelope after so many seconds."""


class SimulatedLedger(EmbeddedLedger):
    """The embedded ledger, sometimes down, with lost, late and reordered broadcasts."""

    def __init__(
        self,
        directory: Path,
        msp_id: str,
        clock: Clock,
        random: RandomSource,
        place: Place,
        network: Channel,
    ) -> None:
        super().__init__(directory, msp_id, clock, random)
        self._place, self._network, self._down_until = place, network, 0.0

    def submit(self, name: str, arguments: bytes) -> str:
        """Endorse; broadcast now, later, or never."""
        self._reachable()
        endorsed = self.endorse(self.propose(name, arguments))
        self._place.point()
        envelope = self.assemble(endorsed)
        faults, tx_id = self._place.faults, endorsed.proposal.tx_id
        if faults.strikes("ledger-lost"):
            self._place.scheduler.note(f"ledger-lost {name}")
            raise OutcomeUnknown("lost on its way", tx_id=tx_id)
        for kind in ("ledger-late", "ledger-delayed"):
            if faults.strikes(kind):
                self._place.scheduler.note(f"{kind} {name}")
                self._network.order(envelope, faults.chance.uniform(0.01, LATEST_S))
                if kind == "ledger-late":
                    raise OutcomeUnknown("the answer was lost", tx_id=tx_id)
                return tx_id
        self._network.order(envelope, 0.0)
        if faults.strikes("ledger-unknown"):
            self._place.scheduler.note(f"ledger-unknown {name}")
            raise OutcomeUnknown("the answer was lost", tx_id=tx_id)
        self._place.point()
        return tx_id

    def evaluate(self, name: str, arguments: JsonObject) -> JsonValue:
        self._reachable()
        return super().evaluate(name, arguments)

    def status(self, tx_id: str) -> TransactionStatus | None:
        self._reachable()
        found = super().status(tx_id)
        return found if found is not None and found.block < self._seen else None

    def height(self) -> int:
        self._reachable()
        return self._seen

    def blocks(self, start: int) -> Iterator[CommittedBlock]:
        self._reachable()
        return takewhile(lambda block: block.number < self._seen, super().blocks(start))

    @property
    def _seen(self) -> int:
        """The own peer has not got every block at once."""
        return self._network.peers[self.msp_id]

    def _reachable(self) -> None:
        self._place.point()
        scheduler = self._place.scheduler
        if self._place.faults.strikes("ledger-down"):
            scheduler.note("ledger-down")
            self._down_until = scheduler.now + self._place.faults.chance.uniform(0, LEDGER_DOWN_S)
        if scheduler.now < self._down_until and self._place.faults.active:
            raise Unavailable("the ledger is down", reason="ledger-unavailable")


class SimulatedDisk(Disk):
    """A disk that fails or is full at some calls."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    def write(self, descriptor: int, view: memoryview) -> int:
        self._place.process.check()
        if self._place.faults.strikes("disk-full"):
            self._place.scheduler.note("disk-full")
            raise OSError(errno.ENOSPC, "full")
        return super().write(descriptor, view)

    def fsync(self, descriptor: int) -> None:
        self._fails()
        super().fsync(descriptor)

    def syncfs(self, descriptor: int) -> None:
        self._fails()  # the machine's own disks are left alone: nothing here survives the machine

    def replace(self, source: Path, target: Path) -> None:
        self._place.process.check()
        super().replace(source, target)

    def remove(self, path: Path) -> bool:
        self._place.process.check()
        return super().remove(path)

    def _fails(self) -> None:
        self._place.process.check()
        if self._place.faults.strikes("disk-error"):
            self._place.scheduler.note("disk-error")
            raise OSError(errno.EIO, "failed")


class SimulatedStore(LocalStore):
    """The local store; objects are as old as the hospital's clock says."""

    def __init__(self, root: Path, place: Place, stamp: Callable[[Path], None]) -> None:
        self._simulated, self._stamp = place, stamp
        super().__init__(root, disk=SimulatedDisk(place))

    def put(self, sealed: SealedBytes | SealedStream, *, digest: str | None = None) -> StoredBlob:
        self._simulated.unavailable("store-down")
        done = super().put(sealed, digest=digest)
        self._stamp(self._place(done.digest))
        self._simulated.point()
        return done

    def put_many(self, sealed: Sequence[SealedBytes]) -> list[StoredBlob]:
        self._simulated.unavailable("store-down")
        done = super().put_many(sealed)
        for one in done:
            self._stamp(self._place(one.digest))
        self._simulated.point()
        return done

    def get(self, digest: str) -> Any:
        self._simulated.unavailable("store-down")
        return super().get(digest)

    def delete(self, digest: str) -> bool:
        self._simulated.unavailable("store-down")
        done = super().delete(digest)
        self._simulated.point()
        return done

    def collect(self, is_referenced: Callable[[str], bool], now: datetime) -> list[str]:
        self._simulated.unavailable("store-down")
        return super().collect(is_referenced, now)


class SimulatedCustody(FileKeyring):
    """The file keyring, sometimes unavailable."""

    def __init__(self, directory: Path, place: Place) -> None:
        self._simulated = place
        super().__init__(directory, SimulatedDisk(place))

    def wrap(self, keys: Sequence[tuple[KeyBinding, DataKey]]) -> list[Wrap]:
        self._simulated.unavailable("custody-down")
        return super().wrap(keys)

    def unwrap_many(self, entry: CustodyEntry, wraps: Sequence[tuple[KeyBinding, Wrap]]) -> list[DataKey | NoKey]:
        self._simulated.unavailable("custody-down")
        return super().unwrap_many(entry, wraps)

    def forget(self, records: Sequence[str], at: str) -> Forgotten:
        self._simulated.unavailable("custody-down")
        done = super().forget(records, at)
        self._simulated.point()
        return done

    def rekey(self, at: str) -> None:
        self._simulated.unavailable("custody-down")
        super().rekey(at)
        self._simulated.point()


class SimulatedDatabase(Database):
    """The node's SQLite file; any statement or commit may fail. Other tasks run between transactions, not within."""

    def __init__(self, url: str, place: Place) -> None:
        super().__init__(url)
        self._place = place
        event.listen(self.engine, "do_connect", self._faulty)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        self._place.point()
        with self._undisturbed(), super().transaction() as session:
            yield session
        self._place.point()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        self._place.point()
        with super().reading() as session:
            yield session

    @contextmanager
    def rows(self) -> Iterator[Connection]:
        self._place.point()
        with super().rows() as connection:
            yield connection

    def _insert_access_rows(self, rows: Sequence[Any]) -> None:
        self._place.process.check()
        with self._undisturbed():
            super()._insert_access_rows(rows)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        task = self._place.scheduler.current
        if task is None:
            yield
            return
        task.undisturbed += 1
        try:
            yield
        finally:
            task.undisturbed -= 1

    def _faulty(self, _dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
        place = self._place

        def strike() -> None:
            place.process.check()
            if place.faults.strikes("database-error"):
                place.scheduler.note("database-error")
                raise sqlite3.OperationalError("disk I/O error")

        parameters["factory"] = struck_connection(strike)
