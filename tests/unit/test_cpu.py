"""The claims about processor time: a slow reader is found each time, an accident is not taken for one."""

from __future__ import annotations

import pytest

from tests import cpu
from tests.cpu import frugal, is_frugal


def test_work_that_is_slow_each_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "slowness", lambda: 1.5)
    times = iter([0.0, 9.0] * 3)
    with pytest.raises(AssertionError, match="at most 2"):
        frugal(2.0, int, clock=lambda: next(times))


def test_work_that_was_slow_once_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "slowness", lambda: 1.0)
    times, done = iter([0.0, 9.0, 9.0, 10.0]), iter("ab")
    assert frugal(2.0, lambda: next(done), clock=lambda: next(times)) == "b"


def test_a_limit_is_wider_by_as_much_as_the_machine_is_slow_and_by_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "slowness", lambda: 1.5)
    assert [is_frugal(cost, 2.0) for cost in (1.9, 2.9, 3.1)] == [True, True, False]


def test_a_machine_is_never_faster_than_a_quiet_one() -> None:
    assert cpu.slowness() >= 1.0
