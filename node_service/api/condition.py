"""The node's condition as background work last measured it, so that health routes wait for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from node_service.client.wire import NodeStatus

MAX_AGE: Final = timedelta(seconds=15)
MAX_LAG_BLOCKS: Final = 64


@dataclass(frozen=True, slots=True)
class Measurement:
    """The node's status at a moment."""

    status: NodeStatus
    at: datetime


class Condition:
    """The last measurement; written by a background thread, read by routes."""

    def __init__(self) -> None:
        self._measurement: Measurement | None = None

    @property
    def status(self) -> NodeStatus | None:
        """The last measured status."""
        return None if self._measurement is None else self._measurement.status

    def measured(self, status: NodeStatus, at: datetime) -> None:
        """Note a measurement."""
        self._measurement = Measurement(status, at)

    def obstacles(self, now: datetime) -> list[str]:
        """Why the node is not ready; empty if it is."""
        measured = self._measurement
        if measured is None or now - measured.at > MAX_AGE:
            return ["not-measured"]
        found = [] if measured.status.alarm is None else ["alarm"]
        if measured.status.height - measured.status.projected > MAX_LAG_BLOCKS:
            found.append("projection-behind")
        if not measured.status.store_ready:
            found.append("store")
        return found
