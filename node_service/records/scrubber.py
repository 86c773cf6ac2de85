"""The background scrub: reads everything that is stored again, slowly, and goes on where it was after a restart.

A damaged object is an alarm for that object: its own reading fails, all others go on. A log that does not fit its rows
is an alarm of the anchorer: nothing is anchored or released over it until a person has looked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.errors import Tampered
from domain.instants import instant, moment
from node_service.access_log.ledger_heads import LedgerHeads, held_head
from node_service.context import Node
from node_service.database.models import LogSize
from node_service.database.scrub_models import ScrubPass
from node_service.ledger_sync.alarm import raise_alarm
from node_service.ledger_sync.append_gate import ANCHORER
from node_service.logs.log import Log
from node_service.logs.scrub import WINDOW_LEAVES, verify_window
from node_service.records.damage import note_checked
from node_service.records.scrub import PARTS, ReferredObject, check_object, objects_after

PASS_EVERY: Final = timedelta(hours=24)
LOAD: Final = 0.02
"""Share of the time that the scrub may take."""
LEAST_PAUSE: Final = timedelta(seconds=1)
MAX_OBJECTS_PER_STEP: Final = 32
MAX_BYTES_PER_STEP: Final = 16 << 20
_NAME: Final = "scrub"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass is."""

    part: str
    objects: int
    leaves: int
    is_finished: bool


class Scrubber:
    """One per node; ``step`` is called by one thread.

    Args:
        node: the hospital.
        timer: seconds of a clock that is never set, to keep to :data:`LOAD`.
    """

    def __init__(self, node: Node, timer: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._timer = timer

    def step(self, now: datetime) -> datetime:
        """Look at a few objects or a window of a log; return when to go on.

        Raises:
            Unavailable: database, store or ledger.
        """
        begun = self._timer()
        rest = self._next_pass(now)
        if rest is not None and now < rest <= now + PASS_EVERY:
            return rest
        self.advance(now, anew=rest is not None)
        return now + max(LEAST_PAUSE, timedelta(seconds=(self._timer() - begun) / LOAD))

    def advance(self, now: datetime, *, anew: bool = False) -> Progress:
        """One piece of the pass that is under way, or the first of a new one.

        Raises:
            Unavailable: database, store or ledger.
        """
        with self._node.database.transaction() as session:
            present = session.get(ScrubPass, _NAME)
            if present is None or anew or present.finished_at is not None:
                present = _begin(session, present, now)
            part, after = present.part, present.after
        if part in PARTS:
            return self._scrub_objects(part, after, now)
        return self._scrub_log(part, int(after or 0), now)

    def _next_pass(self, now: datetime) -> datetime | None:
        """When the next pass is due; None while one is under way."""
        with self._node.database.reading() as session:
            present = session.get(ScrubPass, _NAME)
            if present is None:
                return now
            return None if present.finished_at is None else moment(present.began_at) + PASS_EVERY

    def _scrub_objects(self, part: str, after: str, now: datetime) -> Progress:
        objects = _within_bytes(objects_after(self._node, part, after, MAX_OBJECTS_PER_STEP))
        checked = [(one, check_object(self._node, part, one)) for one in objects]
        with self._node.database.transaction() as session:
            note_checked(session, checked, now)
            present = session.get_one(ScrubPass, _NAME)
            present.objects += len(objects)
            if objects:
                present.after = objects[-1].object_id
            else:
                _turn_to(present, self._after_part(session, part), now)
            return _progress(present)

    def _scrub_log(self, part: str, begin: int, now: datetime) -> Progress:
        log, incarnation = _log_of(part)
        # Before the view of the database: an anchor that lands in between makes the ledger newer than that view.
        ledger = LedgerHeads(self._node)
        try:
            with self._node.database.reading() as session:
                count = verify_window(session, self._node.msp_id, log, incarnation, begin)
                ends = count < WINDOW_LEAVES
                if ends:
                    _verify_ledger(self._node, session, log, incarnation, ledger)
        except Tampered as error:
            raise_alarm(self._node.database, ANCHORER, error, instant(now))
            count, ends = 0, True
        with self._node.database.transaction() as session:
            present = session.get_one(ScrubPass, _NAME)
            present.leaves += count
            present.after = str(begin + count)
            if ends:
                _turn_to(present, self._after_part(session, part), now)
            return _progress(present)

    def _after_part(self, session: Session, part: str) -> str | None:
        rows = session.execute(select(LogSize.log, LogSize.incarnation).order_by(LogSize.log, LogSize.incarnation))
        parts = [*PARTS, *(f"{row.log}/{row.incarnation}" for row in rows)]
        following = parts[parts.index(part) + 1 :] if part in parts else []
        return following[0] if following else None


def _verify_ledger(node: Node, session: Session, log: str, incarnation: int, ledger: LedgerHeads) -> None:
    """The last head, as the ledger itself has it: the projection lies beside the rows.

    Where a restore lost leaves, it is the last one that covers none of these.
    """
    size, root = ledger.heads.get((log, incarnation), (0, b""))
    least = ledger.given_up.get((log, incarnation), size)
    held = Log(session, log, incarnation)
    place = f"{log}/{incarnation} size {least}"
    if least > held.size:
        raise Tampered("the log is shorter than its anchored head", reason="log-behind", place=place)
    if least < size:
        size, root = held_head(node, session, log, incarnation, least)
    if size and held.root(size) != root:
        raise Tampered("the log does not give its anchored head", reason="root", place=place)


def scrubbed_objects(session: Session) -> int:
    """How many objects the pass under way, or the last one, has read."""
    present = session.get(ScrubPass, _NAME)
    return 0 if present is None else present.objects


def _begin(session: Session, former: ScrubPass | None, now: datetime) -> ScrubPass:
    if former is not None:
        session.delete(former)
        session.flush()
    begun = ScrubPass(name=_NAME, part=PARTS[0], after="", objects=0, leaves=0, began_at=instant(now), finished_at=None)
    session.add(begun)
    return begun


def _turn_to(present: ScrubPass, part: str | None, now: datetime) -> None:
    if part is None:
        present.finished_at = instant(now)
    else:
        present.part, present.after = part, ""


def _within_bytes(objects: list[ReferredObject]) -> list[ReferredObject]:
    """At least one, and no more than a step may read."""
    total = 0
    for count, one in enumerate(objects):
        total += one.length
        if total > MAX_BYTES_PER_STEP and count:
            return objects[:count]
    return objects


def _log_of(part: str) -> tuple[str, int]:
    log, _, incarnation = part.partition("/")
    return log, int(incarnation)


def _progress(present: ScrubPass) -> Progress:
    return Progress(present.part, present.objects, present.leaves, present.finished_at is not None)
