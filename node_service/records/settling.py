"""The background step of the stores: what waits for one that was down is finished once it is up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from node_service.context import Node

WAITING: Final = timedelta(seconds=2)
IDLE: Final = timedelta(seconds=15)


class Settling:
    """One per node; ``step`` is called by one thread."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def step(self, now: datetime) -> datetime:
        """Finish what can be finished; return when to look again.

        Raises:
            Unavailable: the notes cannot be read.
        """
        return now + (WAITING if self._node.blobs.settle() else IDLE)
