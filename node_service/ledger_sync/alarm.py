"""Alarms: something does not verify, so what depends on it stops until a person has looked."""

from __future__ import annotations

import logging

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from domain.errors import Tampered, Unavailable
from node_service.database.engine import Database
from node_service.database.models import Alarm

_LOG = logging.getLogger(__name__)
_MAX_PLACE_CHARACTERS = 256


def raise_alarm(database: Database, name: str, error: Tampered, at: str) -> None:
    """Write an alarm down, once; the first finding stays.

    Raises:
        Unavailable: the database cannot take it.
    """
    _LOG.critical("alarm of %s: %s", name, error.reason)
    with database.transaction() as session:
        if session.get(Alarm, name) is None:
            place = error.place[:_MAX_PLACE_CHARACTERS]
            session.add(Alarm(name=name, reason=error.reason, place=place, raised_at=at))


def settle_alarm(database: Database, name: str) -> bool:
    """A person has looked: let what stopped go on; false if there was no such alarm."""
    with database.transaction() as session:
        return bool(session.execute(delete(Alarm).where(Alarm.name == name)).rowcount)  # type: ignore[attr-defined]


def alarms(session: Session) -> list[Alarm]:
    """All alarms that stand."""
    return list(session.scalars(select(Alarm).order_by(Alarm.raised_at, Alarm.name)))


def verify_no_alarm(session: Session) -> None:
    """Check that nothing stopped; asked before every release.

    Raises:
        Unavailable: an alarm stands; nothing is released meanwhile.
    """
    standing = alarms(session)
    if standing:
        raise Unavailable("an alarm stands at this hospital", reason="alarm", place=standing[0].name)
