"""Metrics in Prometheus' text format; labels are route templates and codes, never identifiers."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from node_service.client.wire import NodeStatus

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "yilian_http_requests", "Requests answered", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "yilian_http_seconds",
            "Time to the end of the answer",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._in_flight = Gauge("yilian_http_in_flight", "Requests being answered", registry=self._registry)
        self._node = {name: Gauge(f"yilian_{name}", text, registry=self._registry) for name, text in _GAUGES.items()}
        self._failures = Counter(
            "yilian_step_failures", "Steps of background work that failed", ("step",), registry=self._registry
        )

    def begun(self) -> None:
        """A request came in."""
        self._in_flight.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._in_flight.dec()
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def step_failed(self, step: str) -> None:
        """A step of background work failed and will be tried again."""
        self._failures.labels(step).inc()

    def text(self, status: NodeStatus | None) -> bytes:
        """All metrics, with the node's condition as last measured."""
        if status is not None:
            values = {
                "outbox": status.outbox,
                "access_rows_unsequenced": status.unsequenced,
                "ledger_height": status.height,
                "projection_lag_blocks": max(status.height - status.projected, 0),
                "records": status.records,
                "records_anchored": status.anchored,
                "records_witnessed": status.witnessed,
                "objects_scrubbed": status.scrubbed,
                "objects_damaged": status.damaged,
                "writes_unendorsed": status.unendorsed,
                "stores_down": status.stores_down,
                "store_copies_owed": status.store_copies_owed,
                "store_erasures_owed": status.store_erasures_owed,
                "store_copies_healed": status.store_copies_healed,
                "alarm": status.alarm is not None,
            }
            for name, value in values.items():
                self._node[name].set(value)
        return generate_latest(self._registry)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_GAUGES: Final = {
    "outbox": "Leaves that wait to be anchored",
    "access_rows_unsequenced": "Rows of the access log that wait for their place in the log",
    "ledger_height": "Blocks of the channel",
    "projection_lag_blocks": "Blocks that the projection is behind",
    "records": "Records stored",
    "records_anchored": "Records covered by a head on the ledger",
    "records_witnessed": "Records whose head enough other members' witnesses signed",
    "objects_scrubbed": "Objects that the present pass of the scrub has read",
    "objects_damaged": "Stored objects that are altered or gone",
    "writes_unendorsed": "Writes whose endorsements did not suffice; tried again after pauses that grow to 5 minutes",
    "stores_down": "Stores of this node that do not answer",
    "store_copies_owed": "Copies of objects that stores have yet to get, because they were down or damaged",
    "store_erasures_owed": "Deleted objects that stores have yet to lose, because they were down",
    "store_copies_healed": "Damaged copies that were replaced from another store since the process began",
    "alarm": "1 while something was found tampered with",
}
