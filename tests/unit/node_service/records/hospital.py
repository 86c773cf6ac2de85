"""A hospital's node on the real engines in a folder: embedded ledger, local or chosen store, file keyring, SQLite."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.identifiers import encode_bytes
from domain.transactions import OrganizationKey, RegisterOrganization, encode
from network.embedded.founding import init
from network.embedded.ledger import EmbeddedLedger
from node_service import secrets
from node_service.composition import open_blobs
from node_service.context import Limits, Node
from node_service.database.engine import Database
from node_service.database.models import Base
from node_service.ledger_sync.anchorer import Anchorer
from node_service.ledger_sync.commits import ProjectedCommits
from node_service.ledger_sync.follower import Follower
from node_service.ledger_sync.submission import Resubmitter
from node_service.settings import Settings
from node_service.witnessing.voices import LedgerVoices
from offchain.custody.file_keyring import FileKeyring

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
MSP_ID = "RenjiMSP"
OTHER_MSP_ID = "HuashanMSP"


@dataclass
class MovableClock:
    """A clock that stands until it is moved."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Hospital:
    """One node with its steps, driven by hand."""

    node: Node
    clock: MovableClock
    ledger: EmbeddedLedger
    commits: ProjectedCommits
    opened: ExitStack
    follower: Follower = field(init=False)
    anchorer: Anchorer = field(init=False)
    resubmitter: Resubmitter = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The steps lose what they keep in memory, as in a new process."""
        self.follower = Follower(self.node.database, self.node.ledger, self.commits)
        self.anchorer = Anchorer(self.node)
        self.resubmitter = Resubmitter(self.node)

    def follow(self) -> None:
        """Project every block that exists."""
        while self.follower.step(self.clock.now()) <= self.clock.now():
            pass

    def settle(self, rounds: int = 6) -> None:
        """Let everything that waits reach the ledger and come back."""
        for _ in range(rounds):
            self.follow()
            self.resubmitter.step(self.clock.now())
            self.anchorer.step(self.clock.now())
            self.clock.advance(0.2)
        self.follow()

    def close(self) -> None:
        self.node.database.close()
        self.ledger.close()
        self.opened.close()


def found(directory: Path) -> None:
    """Found a ledger of two hospitals, and the folders and keys of the first."""
    clock = MovableClock()
    init(directory / "ledger", "yilian", [MSP_ID, OTHER_MSP_ID], clock=clock, random=os.urandom)
    data = directory / "data"
    data.mkdir()
    secrets.create(data)
    FileKeyring.create(data / "custody", "2026-03-01T08:00:00Z")
    database = Database(f"sqlite:///{data / 'node.db'}")
    Base.metadata.create_all(database.engine)
    database.close()


def open_hospital(directory: Path, *, at: datetime = START, **settings: Any) -> Hospital:
    """Open what :func:`found` made."""
    clock = MovableClock(at)
    data = directory / "data"
    values: dict[str, object] = {
        "msp_id": MSP_ID, "name": "仁济医院", "data_dir": data, "ledger_dir": directory / "ledger",
    }  # fmt: skip
    chosen = Settings.model_validate(values | settings)
    ledger = EmbeddedLedger(chosen.embedded_folder, MSP_ID, clock, os.urandom)
    database = Database(chosen.sqlalchemy_url)
    commits, opened = ProjectedCommits(database), ExitStack()
    node = Node(
        settings=chosen,
        database=database,
        ledger=ledger,
        blobs=open_blobs(chosen, clock, opened),
        custody=FileKeyring(data / "custody"),
        secrets=secrets.load(data),
        clock=clock,
        random=os.urandom,
        commits=commits,
        voices=LedgerVoices(ledger, CapacityLimiter(32)),
        limits=Limits(CapacityLimiter(32), CapacityLimiter(16), CapacityLimiter(4)),
    )
    return Hospital(node, clock, ledger, commits, opened)


def register(ledger: EmbeddedLedger, at: str = "2026-03-01T08:00:00Z") -> None:
    """Enter an organisation into the registry."""
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    key = OrganizationKey("signing", "Ed25519", "signing-1", encode_bytes(public), at, None)
    ledger.submit(*encode(RegisterOrganization("http://127.0.0.1:8001", (key,))))


def start_hospital(directory: Path, **settings: Any) -> Hospital:
    """A hospital with a fresh ledger, registered."""
    found(directory)
    hospital = open_hospital(directory, **settings)
    register(hospital.ledger)
    hospital.follow()
    return hospital


class PreparedOnly:
    """A custody that wraps only for records whose secrets :meth:`FileKeyring.prepare` made before."""

    def __init__(self, custody: Any) -> None:
        self._custody = custody

    def __getattr__(self, name: str) -> Any:
        return getattr(self._custody, name)

    def wrap(self, keys: Any) -> Any:
        assert set(self._custody.standing([binding.record_id for binding, _ in keys])) == {"kept"}
        return self._custody.wrap(keys)
