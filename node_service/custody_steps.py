"""Background work for the key custody: the daily re-keying that makes erasures final, and its snapshot for backups."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from domain.instants import instant, moment
from node_service.context import Node

LOOK_EVERY: Final = timedelta(minutes=1)
SNAPSHOT_EVERY: Final = timedelta(seconds=30)


class Rekeying:
    """One per node; ``step`` is called by one thread."""

    def __init__(self, node: Node) -> None:
        self._custody = node.custody

    def step(self, now: datetime) -> datetime:
        """Re-key if it is due; return when to look again.

        Raises:
            Unavailable: disk, replica or escrow; what was forgotten is not final yet.
        """
        if moment(self._custody.rekey_due()) <= now:
            self._custody.rekey(instant(now))
        return min(moment(self._custody.rekey_due()), now + LOOK_EVERY)


class Snapshots:
    """One per node; ``step`` is called by one thread."""

    def __init__(self, node: Node, folder: Path) -> None:
        self._custody = node.custody
        self._folder = folder

    def step(self, now: datetime) -> datetime:
        """Bring the snapshot up to date; return when to do so again: it is never older than a minute.

        Raises:
            Unavailable: the disk failed; the folder holds the former state.
        """
        self._custody.snapshot(self._folder)
        return now + SNAPSHOT_EVERY
