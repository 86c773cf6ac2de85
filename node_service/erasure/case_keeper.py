"""The background step of cases: locks that have ended are decided again, certificates are issued."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from domain.errors import NotFound, Tampered, YilianError
from domain.instants import instant
from node_service.context import Node
from node_service.database.erasure_models import ErasureCase, ErasureItem
from node_service.erasure.certificates import settle_case
from node_service.erasure.deciding import decide_case

INTERVAL: Final = timedelta(seconds=5)
MAX_PER_STEP: Final = 100


class CaseKeeper:
    """One per node; ``step`` is called by one thread."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def step(self, now: datetime) -> datetime:
        """Look after cases; return when to look again.

        Raises:
            Unavailable: database, store or custody.
            Tampered, NotFound: a record that was opened to see what it is; everything else was done.
        """
        failed: YilianError | None = None
        for case in self._ended_locks(now):
            try:
                decide_case(self._node, None, case)
            except (Tampered, NotFound) as error:
                failed = error  # one record that cannot be looked at keeps no other case waiting
        for case in self._open_cases():
            with self._node.database.transaction() as session:
                settle_case(self._node, session, session.get_one(ErasureCase, case))
        if failed is not None:
            raise failed
        return now + INTERVAL

    def _ended_locks(self, now: datetime) -> list[str]:
        """An officer decided before that these be erased once they may be."""
        ended = select(ErasureItem.case).where(ErasureItem.state == "locked", ErasureItem.until <= instant(now))
        with self._node.database.reading() as session:
            return list(session.scalars(ended.distinct().limit(MAX_PER_STEP)))

    def _open_cases(self) -> list[str]:
        decided = select(ErasureCase.id).where(ErasureCase.is_open, ErasureCase.decided_at.is_not(None))
        with self._node.database.reading() as session:
            return list(session.scalars(decided))
