"""A hospital's node on the real engines in a folder, its background work driven by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from node_service.composition import build
from node_service.context import Node
from node_service.database.models import AnchoredHead, LogSize, Outbox
from node_service.ledger_sync.anchorer import Anchorer
from node_service.ledger_sync.commits import ProjectedCommits
from node_service.ledger_sync.follower import Follower
from node_service.logs.log import RECORDS
from node_service.provisioning import initialise
from node_service.running import RunningNode
from node_service.settings import PREFIX, Settings
from scripts.bench.comparison import Place
from scripts.bench.inputs import MSP_ID
from yilian.demo.ground import EmbeddedGround, Ground

MEMBERS: Final = (MSP_ID, "SouthMSP", "WestMSP")
_STEP: Final = timedelta(seconds=0.2)
_WAIT_S: Final = 0.1


@dataclass(slots=True)
class Hospital:
    """A registered node; nothing runs in the background."""

    running: RunningNode
    follower: Follower = field(init=False)
    anchorer: Anchorer = field(init=False)
    now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.node.clock.now()
        self.follower = Follower(self.node.database, self.node.ledger, ProjectedCommits(self.node.database))
        self.anchorer = Anchorer(self.node)

    @property
    def node(self) -> Node:
        """The node."""
        return self.running.node

    def follow(self) -> None:
        """Project every block that exists."""
        while self.follower.step(self.now) <= self.now:
            pass

    def anchor(self) -> None:
        """Take every waiting leaf into the log and its head onto the ledger and back into the projection."""
        self.follow()
        while not self._is_anchored():
            self.now += _STEP
            self.anchorer.step(self.now)
            self.follow()

    def anchor_in_real_time(self) -> None:
        """As :meth:`anchor`, on a ledger whose blocks take their time."""
        self.follow()
        while not self._is_anchored():
            self.now = self.node.clock.now()
            self.anchorer.step(self.now)
            self.node.ledger.wait_for_block(self.follower.awaits or 0, _WAIT_S)
            self.follow()

    def _is_anchored(self) -> bool:
        with self.node.database.reading() as session:
            waiting = session.scalar(select(func.count()).select_from(Outbox))
            size = session.scalar(select(func.max(LogSize.size)).where(LogSize.log == RECORDS))
            heads = select(func.max(AnchoredHead.size)).where(AnchoredHead.log == RECORDS)
            return not waiting and session.scalar(heads) == size


@contextmanager
def hospital(place: Place, ground: Ground | None = None) -> Iterator[Hospital]:
    """The node of the first of three members; ``ground`` is the ledger, an embedded one by default."""
    with ground or EmbeddedGround(place.folder / "ledger", MEMBERS) as ledger:
        settings = Settings.from_environment(
            {PREFIX + name: value for name, value in ledger.node_settings(MSP_ID).items()},
            msp_id=MSP_ID,
            name="North",
            data_dir=place.folder / "node",
            ledger_record_categories=(),
            freshness="ledger" if ground is None else "witnesses",
        )
        initialise(settings)
        running = build(settings)
        try:
            made = Hospital(running)
            made.follow()
            yield made
        finally:
            running.resources.close()
