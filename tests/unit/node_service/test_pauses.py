"""Pauses between attempts, under a clock that may be wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from node_service.pauses import Pauses

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses(SECOND, 5 * SECOND)


def test_what_was_never_tried_is_due_and_nothing_is_waited_for(pauses: Pauses) -> None:
    assert pauses.is_due("renji", NOW)
    assert pauses.next_due(NOW) is None


def test_pauses_double_up_to_the_longest(pauses: Pauses) -> None:
    assert [pauses.tried("renji", NOW) for _ in range(4)] == [SECOND, 2 * SECOND, 4 * SECOND, 5 * SECOND]


def test_a_pause_lasts_exactly_so_long(pauses: Pauses) -> None:
    pauses.tried("renji", NOW)
    assert [pauses.is_due("renji", NOW + at * SECOND) for at in (0, 0.999, 1)] == [False, False, True]
    assert pauses.is_due("ruijin", NOW)


def test_a_clock_that_was_ahead_delays_nothing_once_it_is_right(pauses: Pauses) -> None:
    pauses.tried("renji", NOW + timedelta(days=3))
    assert pauses.is_due("renji", NOW)
    assert pauses.next_due(NOW) is None


def test_the_first_pause_to_end_is_waited_for(pauses: Pauses) -> None:
    pauses.tried("renji", NOW)
    pauses.tried("renji", NOW)
    pauses.tried("ruijin", NOW)
    assert pauses.next_due(NOW) == NOW + SECOND
    assert pauses.next_due(NOW + SECOND) == NOW + 2 * SECOND
    assert pauses.next_due(NOW + 2 * SECOND) is None


def test_after_a_success_the_first_pause_comes_again(pauses: Pauses) -> None:
    pauses.tried("renji", NOW)
    pauses.tried("renji", NOW)
    pauses.forget("renji")
    pauses.forget("ruijin")
    assert pauses.is_due("renji", NOW)
    assert pauses.tried("renji", NOW) == SECOND


def test_only_what_is_kept_is_remembered(pauses: Pauses) -> None:
    pauses.tried("renji", NOW)
    pauses.tried("ruijin", NOW)
    pauses.keep({"ruijin"})
    assert (pauses.is_due("renji", NOW), pauses.is_due("ruijin", NOW)) == (True, False)
