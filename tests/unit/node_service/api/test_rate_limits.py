from __future__ import annotations

import pytest

from node_service.api.problems import TooManyRequests
from node_service.api.rate_limits import Rate, RateLimit


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def limit(ticks: Ticks, max_addresses: int = 10) -> RateLimit:
    return RateLimit(Rate(burst=3, per_s=1, max_addresses=max_addresses), ticks)


def test_a_burst_passes_and_then_one_request_per_second(ticks: Ticks) -> None:
    limiter = limit(ticks)
    for _ in range(3):
        limiter.take("192.0.2.1")
    with pytest.raises(TooManyRequests):
        limiter.take("192.0.2.1")
    ticks.now += 1
    limiter.take("192.0.2.1")
    with pytest.raises(TooManyRequests):
        limiter.take("192.0.2.1")


def test_refused_requests_cost_nothing(ticks: Ticks) -> None:
    limiter = limit(ticks)
    for _ in range(3):
        limiter.take("192.0.2.1")
    for _ in range(100):
        with pytest.raises(TooManyRequests):
            limiter.take("192.0.2.1")
    ticks.now += 1
    limiter.take("192.0.2.1")


def test_one_address_does_not_slow_down_another(ticks: Ticks) -> None:
    limiter = limit(ticks)
    for _ in range(3):
        limiter.take("192.0.2.1")
    limiter.take("192.0.2.2")


def test_a_subscribers_many_ipv6_addresses_are_one(ticks: Ticks) -> None:
    limiter = limit(ticks)
    for number in range(3):
        limiter.take(f"2001:db8::{number}")
    with pytest.raises(TooManyRequests):
        limiter.take("2001:db8::ffff")
    limiter.take("2001:db8:0:1::1")


def test_memory_is_bounded_whatever_the_number_of_addresses(ticks: Ticks) -> None:
    limiter = limit(ticks, max_addresses=10)
    for number in range(1000):
        limiter.take(f"198.51.100.{number % 250}")
    assert len(limiter._buckets) == 10
