"""What the custody log says of opened keys: under which id, when, and every total that it ever had."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple

from domain.errors import Tampered
from domain.instants import moment
from domain.ports import CustodyRecord
from node_service.context import Node
from node_service.custody_steps import START
from node_service.records.reading import READ

RELEASE: Final = "release"
RESTORED: Final = "restored"
FOR_SOMEBODY: Final = frozenset({READ, RELEASE})
"""Purposes of entries whose keys leave the node or show on a screen."""
IN_FLIGHT: Final = timedelta(minutes=2)
"""Custody logs first: within this time the row may still be on its way."""
_START_OF_TIME: Final = "1970-01-01T00:00:00Z"


class CustodyEntryKeys(NamedTuple):
    """One entry: its place in the log, when, and how many keys were opened."""

    place: int
    at: str
    keys: int


@dataclass(slots=True)
class Opened:
    """What was opened under one id."""

    purpose: str
    entries: list[CustodyEntryKeys] = field(default_factory=list)


@dataclass(slots=True)
class CustodyAccount:
    """The whole log.

    Attributes:
        open: keys for somebody by the id under which they were opened.
        starts: of processes of the node: place in the log, and when the last entry before was made.
        restored: when the log went on after a restore, and which totals that left out.
    """

    last: CustodyRecord | None = None
    released: Counter[str] = field(default_factory=Counter)
    open: dict[str, Opened] = field(default_factory=dict)
    starts: list[tuple[int, str]] = field(default_factory=list)
    totals: set[int] = field(default_factory=lambda: {0})
    restored: list[tuple[str, range]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    _worked_at: str = _START_OF_TIME

    def add(self, record: CustodyRecord) -> None:
        """One more entry."""
        entry, place = record.entry, record.total.entries
        self.last = record
        self.released[entry.purpose] += record.released
        self.totals.add(record.total.released)
        if entry.purpose == START:
            self.starts.append((place, self._worked_at))
        else:
            self._worked_at = entry.at
        if entry.purpose == RESTORED:
            total = record.total.released
            self.restored.append((entry.at, range(total - record.released, total)))
        if entry.purpose in FOR_SOMEBODY and record.released:
            opened = self.open.setdefault(entry.entry_id, Opened(entry.purpose))
            opened.entries.append(CustodyEntryKeys(place, entry.at, record.released))

    def had(self, total: int) -> bool:
        """Whether so many keys had been opened at some time, as far as the log can tell after restores."""
        return total in self.totals or any(total in left_out for _, left_out in self.restored)

    def was_lost(self, entry: CustodyEntryKeys, last_rows: dict[str, str]) -> bool:
        """Whether a restore lost the rows of that time.

        Args:
            last_rows: when the last row was written that is held from before a restore, by that restore's time.
        """
        at = moment(entry.at)
        return any(
            entry.at <= restored and at > moment(last_rows.get(restored, _START_OF_TIME)) - IN_FLIGHT
            for restored, _ in self.restored
        )

    def was_interrupted(self, entry: CustodyEntryKeys) -> bool:
        """Whether it is of the last two minutes' work before a process of the node started, however much later."""
        following = bisect_right(self.starts, (entry.place, ""))
        return following < len(self.starts) and moment(self.starts[following][1]) - moment(entry.at) <= IN_FLIGHT


def custody_account(node: Node) -> CustodyAccount:
    """What the custody log says now; where it was altered, up to there.

    Raises:
        Unavailable: custody cannot be read.
    """
    account = CustodyAccount()
    try:
        for record in node.custody.history():
            account.add(record)
    except Tampered as error:
        account.findings.append(error.place)
    return account
