"""What the service counts, in a registry of its own. No label holds what a person or a hospital sent."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_STATUSES: Final = frozenset({200, 400, 403, 404, 409, 500, 503})


class Metrics:
    """Counters of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._transactions = Counter(
            "yilian_contract_transactions", "Transactions answered, by status.", ["status"], registry=self.registry
        )
        self._seconds = Histogram(
            "yilian_contract_transaction_seconds", "From request to answer.", registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )  # fmt: skip
        self.in_flight = Gauge(
            "yilian_contract_transactions_in_flight", "Transactions waiting or running.", registry=self.registry
        )
        self.streams = Gauge("yilian_contract_streams", "Streams of peers that are open.", registry=self.registry)
        self.dropped = Counter(
            "yilian_contract_messages_dropped", "Messages of peers that belong to nothing.", registry=self.registry
        )

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self._transactions.labels(str(status) if status in _STATUSES else "other").inc()
        self._seconds.observe(seconds)
