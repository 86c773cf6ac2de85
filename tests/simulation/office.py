"""A hospital's records office: it decides wishes to erase, orders erasures itself, retracts and locks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from domain.identifiers import identifier
from domain.instants import instant
from node_service.client import erasure_wire
from node_service.context import Node
from node_service.erasure import certificates, deciding, locking, retracting
from tests.simulation import files
from tests.simulation.hospital import START, Hospital
from tests.simulation.messages import Call
from tests.simulation.world import World

OFFICER: Final = identifier(bytes(range(16)))
HELD_UNTIL: Final = instant(START + timedelta(days=60))
"""Later than any clock of the simulation."""


class Office:
    """One officer of one hospital."""

    def __init__(self, world: World, hospital: Hospital) -> None:
        self._world, self._hospital = world, hospital

    def act(self) -> None:
        """One thing that an officer does."""
        match self._world.chance.choice(("decide", "decide", "decide", "order", "retract", "lock")):
            case "decide":
                self.decide_all()
            case "order" if record := self._some():
                order = erasure_wire.ErasureOrder(records=[record])
                self._going(record)
                self._ask("order", lambda node: deciding.order_erasure(node, OFFICER, order))
            case "retract" if record := self._some():
                self._retract(record)
            case "lock" if record := self._some():
                self._lock(record)

    def decide_all(self) -> bool:
        """Decide every case whose statement is on the ledger; false if that was not possible now."""
        page = self._ask("cases", certificates.list_cases)
        if page is None:
            return False
        done = True
        for case in page.items:
            if case.decided_at is None and case.anchored:
                for item in case.items:
                    self._going(item.record)
                done = self._decide(case.id) and done
        return done

    def _decide(self, case: str) -> bool:
        def decided(node: Node) -> bool:
            deciding.decide_case(node, OFFICER, case)
            return True

        return self._ask("decide", decided) is True

    def _retract(self, record: str) -> None:
        body = erasure_wire.RetractionBody(reason="entered-in-error")
        self._going(record)
        done = self._ask("retract", lambda node: retracting.retract(node, OFFICER, record, body))
        if done is not None:
            self._world.closed.setdefault(record, self._world.scheduler.now)

    def _lock(self, record: str) -> None:
        body = erasure_wire.LockBody(reason="litigation", until=HELD_UNTIL)
        self._world.remember(self._hospital)
        done = self._ask("lock", lambda node: locking.lock(node, OFFICER, record, body))
        if done is not None:
            self._world.closed.setdefault(record, self._world.scheduler.now)

    def _going(self, record: str) -> None:
        """What is known of all records is written down before any of it is destroyed."""
        self._world.remember(self._hospital)
        self._world.may_go.add(record)

    def _some(self) -> str | None:
        """Some record, seldom, so that most of them stay."""
        held = files.clinical(self._hospital.folder)
        return self._world.chance.choice(held) if held and self._world.chance.random() < 0.4 else None

    def _ask(self, what: str, serve: Callable[[Any], Any]) -> Any:
        world = self._world
        return world.attempt(what, lambda: world.wires.call(self._hospital, Call("officer", what, serve)))
