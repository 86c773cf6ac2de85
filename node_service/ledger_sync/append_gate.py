"""When leaves may be appended to the hospital's logs.

A database restored from a backup may be shorter than its anchored heads. A leaf appended there would take an index
that those heads cover with another leaf, and would count as anchored though no head holds it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from node_service.context import Node
from node_service.database.models import Alarm, LogSize
from node_service.ledger_sync import projection
from node_service.logs.log import Log

ANCHORER: Final = "anchorer"
_ALARMED: Final = select(exists().where(Alarm.name == ANCHORER))
_INCARNATION: Final = select(func.max(LogSize.incarnation))


class AppendGate:
    """One per step that appends; open once the projection holds what the ledger held when the step began."""

    def __init__(self, node: Node, log: str) -> None:
        self._node = node
        self._log = log
        self._start_height: int | None = None

    def has_caught_up(self, session: Session) -> bool:
        """True if the projection is not behind the start and no alarm of the anchorer stands.

        Raises:
            Unavailable: the ledger cannot be asked for its height, which is done once.
        """
        if self._start_height is None:
            self._start_height = self._node.ledger.height()
        return projection.height(session) >= self._start_height and not session.execute(_ALARMED).scalar_one()

    def is_open(self, session: Session) -> bool:
        """True if also the log continues its anchored heads; else the anchorer will find that out and raise an alarm.

        Raises:
            Unavailable: as :meth:`has_caught_up`.
        """
        if not self.has_caught_up(session):
            return False
        incarnation = current_incarnation(session)
        anchored = projection.anchored_size(session, self._node.msp_id, incarnation, self._log)
        return Log(session, self._log, incarnation).size >= anchored


def current_incarnation(session: Session) -> int:
    """The incarnation to which the hospital's logs append: the highest, 1 in the beginning."""
    return session.execute(_INCARNATION).scalar_one_or_none() or 1
