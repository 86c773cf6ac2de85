"""Group commit: rows of many threads in one transaction, so that a wait for the medium serves all who wait.

One thread at a time leads. It writes what everybody handed in and commits; meanwhile the next ones gather. Nobody's
rows are left half written, and nobody is told of success before the commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.errors import Unavailable

Row = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class _Ticket:
    """Rows of one thread; ``woken`` is set when they are settled, or when the thread is to lead."""

    rows: Sequence[Row]
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    failed: BaseException | None = None


class GroupCommit:
    """Rows on their way into one table.

    Args:
        commit: inserts rows in order in one transaction; they are durable when it returns, and if it raises,
            nobody may act as if they were.
    """

    def __init__(self, commit: Callable[[Sequence[Row]], None]) -> None:
        self._commit = commit
        self._waiting: list[_Ticket] = []  # no longer than there are threads, each waits for its own
        self._lock = threading.Lock()
        self._has_leader = False

    @property
    def waiting(self) -> int:
        """How many threads wait for the next commit."""
        return len(self._waiting)

    def insert(self, rows: Sequence[Row]) -> None:
        """Return when the rows are durable.

        Raises:
            Unavailable: the commit failed, for everybody who was in it; act as if nothing was written.
        """
        ticket = _Ticket(rows)
        with self._lock:
            self._waiting.append(ticket)
            ticket.leads = not self._has_leader
            self._has_leader = True
        if not ticket.leads:
            ticket.woken.wait()
        if ticket.leads:
            self._lead()
        if ticket.failed is not None:
            raise Unavailable("the rows cannot be written now", reason="database") from ticket.failed

    def _lead(self) -> None:
        """Commit all that wait, the leader's own first among them; then the next leads for who came meanwhile."""
        with self._lock:
            batch, self._waiting = self._waiting, []
        failed: BaseException | None = None
        try:
            self._commit([row for ticket in batch for row in ticket.rows])
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody in the batch may answer
            failed = error
        except BaseException as error:
            failed = error
            raise
        finally:
            for ticket in batch:
                ticket.failed = failed
            self._hand_over()
            for ticket in batch:
                ticket.woken.set()

    def _hand_over(self) -> None:
        with self._lock:
            self._has_leader = bool(self._waiting)
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].woken.set()
