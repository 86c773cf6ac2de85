"""Work for the key custody: the entry of a start, the daily re-keying that makes erasures final, snapshots."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from domain.errors import Unavailable
from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import instant, moment
from domain.ports import CustodyEntry
from node_service.context import Node

LOOK_EVERY: Final = timedelta(minutes=1)
SNAPSHOT_EVERY: Final = timedelta(seconds=30)
START: Final = "start"
"""Purpose of the entry, without keys, that each process of a node makes when it starts."""
_LOG: Final = logging.getLogger(__name__)


def enter_start(node: Node) -> None:
    """Let the custody log tell of the start: keys that were opened shortly before may lack the row of their release.

    While custody is away the node starts without.
    """
    entry = CustodyEntry(identifier(node.random(IDENTIFIER_BYTES)), START, 0, instant(node.clock.now()))
    try:
        node.custody.unwrap_many(entry, [])
    except Unavailable as error:
        _LOG.warning("custody does not know of the start: %s", error.reason)


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
