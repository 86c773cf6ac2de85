from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from node_service.api.condition import MAX_AGE, MAX_LAG_BLOCKS, Condition
from node_service.api.metrics import Metrics
from node_service.client.wire import NodeStatus

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def status(
    *, height: int = 100, projected: int = 100, alarm: str | None = None, store_ready: bool = True
) -> NodeStatus:
    return NodeStatus(
        msp_id="AMSP", channel="yilian", height=height, projected=projected, outbox=3, unsequenced=4, records=10,
        anchored=7, alarm=alarm, store_ready=store_ready, stores_down=int(not store_ready), store_erasures_owed=2,
    )  # fmt: skip


def test_a_node_that_was_never_measured_is_not_ready() -> None:
    assert Condition().obstacles(NOW) == ["not-measured"]


@pytest.mark.parametrize(
    ("measured", "age", "obstacles"),
    [
        (status(), timedelta(0), []),
        (status(), MAX_AGE + timedelta(seconds=1), ["not-measured"]),
        (status(alarm="follower: chain"), timedelta(0), ["alarm"]),
        (status(height=100 + MAX_LAG_BLOCKS + 1), timedelta(0), ["projection-behind"]),
        (status(height=100 + MAX_LAG_BLOCKS), timedelta(0), []),
        (status(store_ready=False), timedelta(0), ["store"]),
    ],
)
def test_readiness_names_its_obstacles(measured: NodeStatus, age: timedelta, obstacles: list[str]) -> None:
    condition = Condition()
    condition.measured(measured, NOW)
    assert condition.obstacles(NOW + age) == obstacles


def test_metrics_show_backlog_lag_alarm_and_stores() -> None:
    text = Metrics().text(status(height=105, alarm="x", store_ready=False)).decode()
    for line in (
        "yilian_outbox 3.0", "yilian_projection_lag_blocks 5.0", "yilian_alarm 1.0", "yilian_records 10.0",
        "yilian_stores_down 1.0", "yilian_store_erasures_owed 2.0",
    ):  # fmt: skip
        assert line in text.splitlines()


def test_a_strange_method_makes_no_metric_of_its_own() -> None:
    metrics = Metrics()
    for name in ("PROPFIND", "X1", "X2"):
        metrics.begun()
        metrics.ended(name, "unmatched", 405, 0.01)
    assert 'method="other",route="unmatched",status="405"} 3.0' in metrics.text(None).decode()
