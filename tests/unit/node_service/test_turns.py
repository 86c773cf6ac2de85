"""One thread computes at a time, and nobody waits for who waits for something else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from node_service.turns import Turns

WAIT_S = 10.0
FOREVER_S = 1000.0


def run(*calls: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


def test_turns_do_not_overlap() -> None:
    turns, inside, most = Turns(FOREVER_S), list[int](), list[int]()

    def work() -> None:
        for _ in range(20):
            with turns.turn():
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    join(run(*[work] * 6))
    assert (len(most), max(most)) == (120, 1)


def test_a_pause_lets_the_next_one_in_and_its_end_waits_again() -> None:
    turns, told = Turns(FOREVER_S), list[str]()
    paused, may_end = threading.Event(), threading.Event()

    def first() -> None:
        with turns.turn():
            with turns.pause():
                paused.set()
                may_end.wait(WAIT_S)
            told.append("first again")

    def second() -> None:
        paused.wait(WAIT_S)
        with turns.turn():
            may_end.set()
            time.sleep(0.05)
            told.append("second")

    join(run(first, second))
    assert told == ["second", "first again"]


def test_whoever_keeps_a_turn_for_long_is_not_waited_for() -> None:
    turns, entered, may_end = Turns(0.05), threading.Event(), threading.Event()

    def blocked() -> None:
        with turns.turn():
            entered.set()
            may_end.wait(WAIT_S)

    threads = run(blocked)
    assert entered.wait(WAIT_S)
    began = time.monotonic()
    with turns.turn():  # the turn is ours now: the end of the other one does not end it
        assert 0.04 < time.monotonic() - began < WAIT_S
        may_end.set()
        join(threads)
        late = list[float]()
        third = run(lambda: late.append(_taken_after(turns)))
        join(third)
    assert late[0] > 0.01


def _taken_after(turns: Turns) -> float:
    began = time.monotonic()
    with turns.turn():
        return time.monotonic() - began


def test_an_error_ends_a_turn_and_a_pause() -> None:
    turns = Turns(FOREVER_S)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"), turns.turn(), turns.pause():
            raise ValueError("no")


def test_a_thread_without_a_turn_pauses_nothing() -> None:
    turns = Turns(FOREVER_S)
    with turns.pause():
        pass
    join(run(lambda: _taken_after(turns)))


def test_turns_are_given_in_the_order_of_asking_however_long_they_last() -> None:
    turns, taken, end = Turns(0.002), dict[int, int](), time.monotonic() + 1.0
    everybody = threading.Barrier(12)

    def work(number: int) -> None:
        everybody.wait(WAIT_S)
        while time.monotonic() < end:
            with turns.turn():
                taken[number] = taken.get(number, 0) + 1
                time.sleep(0.003 if number % 2 else 0.001)

    join(run(*[partial(work, number) for number in range(12)]))
    assert len(taken) == 12
    assert max(taken.values()) <= 2 * min(taken.values()) + 2


def test_who_asks_last_waits_for_all_who_asked_before() -> None:
    turns, order = Turns(FOREVER_S), list[int]()
    entered, may_end = threading.Event(), threading.Event()

    def first() -> None:
        with turns.turn():
            entered.set()
            may_end.wait(WAIT_S)

    def then(number: int) -> None:
        with turns.turn():
            order.append(number)

    threads = run(first)
    assert entered.wait(WAIT_S)
    for number in range(5):
        threads += run(partial(then, number))
        while len(turns._waiting) <= number:
            time.sleep(0.001)
    may_end.set()
    join(threads)
    assert order == [0, 1, 2, 3, 4]
