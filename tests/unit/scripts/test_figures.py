"""Medians, paired ratios and goals of the measurements."""

from __future__ import annotations

import pytest

from scripts.bench.comparison import Comparison, Figure, Goal, Measured, Side, duration, measure
from scripts.bench.figures import Sample, Spread, cpu_ratios, cpu_seconds_each, rates, seconds_each, speed_ratios
from scripts.bench.report import markdown


def samples(*walls: float, amount: float = 10.0, cpu: float = 1.0) -> list[Sample]:
    return [Sample(amount, wall, cpu) for wall in walls]


def measured(goal: Goal | None, *, ours: list[Sample], peers: list[Sample]) -> Measured:
    side = Side("a", lambda: 1.0)
    return Measured(Comparison("operation", "unit", side, side, goal), tuple(ours), tuple(peers))


def test_median_is_the_middle_one_and_not_moved_by_an_outlier() -> None:
    assert Spread.of([3.0, 1.0, 1000.0, 2.0, 4.0]) == Spread(3.0, 1.0, 1000.0)
    assert Spread.of([1.0, 2.0]).median == 1.5


def test_there_is_no_median_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


@pytest.mark.parametrize(("amount", "wall", "cpu"), [(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, -1.0)])
def test_a_sample_without_amount_or_duration_is_refused(amount: float, wall: float, cpu: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Sample(amount, wall, cpu)


def test_rate_and_times_are_per_unit() -> None:
    found = samples(2.0, 5.0, 4.0)
    assert rates(found) == Spread(2.5, 2.0, 5.0)
    assert seconds_each(found) == Spread(0.4, 0.2, 0.5)
    assert cpu_seconds_each(found) == Spread(0.1, 0.1, 0.1)


def test_speed_ratios_are_of_pairs_of_one_round() -> None:
    slow_machine_in_the_middle = speed_ratios(samples(1.0, 10.0, 1.0), samples(2.0, 20.0, 2.0))
    assert slow_machine_in_the_middle == Spread(2.0, 2.0, 2.0)
    assert speed_ratios(samples(1.0, amount=5.0), samples(1.0, amount=10.0)).median == 0.5


def test_rounds_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        speed_ratios(samples(1.0, 1.0), samples(1.0))


def test_cpu_ratio_is_ours_over_the_peers() -> None:
    assert cpu_ratios(samples(1.0, cpu=4.0), samples(9.0, cpu=2.0)) == Spread(2.0, 2.0, 2.0)
    assert cpu_ratios(samples(1.0), samples(1.0, cpu=0.0)) is None


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [
        (Goal(Figure.SPEED, 2.0), True),
        (Goal(Figure.SPEED, 2.1), False),
        (Goal(Figure.CPU, 1.5), True),
        (Goal(Figure.CPU, 1.4), False),
        (Goal(Figure.SECONDS, 0.1), True),
        (Goal(Figure.SECONDS, 0.09), False),
        (None, None),
    ],
)
def test_a_goal_is_met_by_the_median_alone(goal: Goal | None, is_met: bool | None) -> None:
    found = measured(goal, ours=samples(1.0, 1.0, 9.0, cpu=3.0), peers=samples(2.0, 2.0, 2.0, cpu=2.0))
    assert found.is_met is is_met


def test_both_sides_run_in_every_round_by_turns_first_and_the_warm_up_does_not_count() -> None:
    calls: list[str] = []

    def side(name: str) -> Side:
        def work() -> float:
            calls.append(name)
            return 1.0

        return Side(name, work, lambda: calls.append(f"before {name}"))

    found = measure(Comparison("operation", "unit", side("a"), side("b")), rounds=5)
    assert (len(found.ours), len(found.peers)) == (5, 5)
    assert [name for name in calls if not name.startswith("before")] == list("baab" * 3)
    assert [calls[at - 1] for at, name in enumerate(calls) if name == "a"] == ["before a"] * 6


def test_fewer_than_five_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        measure(Comparison("operation", "unit", Side("a", lambda: 1.0)), rounds=4)


@pytest.mark.parametrize(("seconds", "text"), [(2.0, "2 s"), (0.0123, "12.3 ms"), (5e-5, "50 µs"), (1e-8, "10 ns")])
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_goals_say_their_direction() -> None:
    goals = [Goal(Figure.SPEED, 0.8), Goal(Figure.CPU, 1.3), Goal(Figure.SECONDS, 0.005)]
    assert [str(goal) for goal in goals] == ["≥ 0.8×", "CPU ≤ 1.3×", "≤ 5 ms"]


def test_the_table_for_the_documentation_has_a_line_for_each_comparison_and_names_misses() -> None:
    met = measured(Goal(Figure.SPEED, 0.8), ours=samples(1.0), peers=samples(1.0))
    missed = measured(Goal(Figure.SPEED, 2), ours=samples(1.0), peers=samples(1.0))
    alone = Measured(Comparison("alone", "unit", Side("a", lambda: 1.0)), tuple(samples(2.0)), ())
    lines = markdown([met, missed, alone]).splitlines()
    assert [line.count("|") for line in lines] == [8] * 5
    assert (
        lines[2] == "| operation | a: 10 unit/s | a: 10 unit/s | 1.00× (1.00–1.00) | 1.00× (1.00–1.00) | ≥ 0.8× | met |"
    )
    assert lines[3].endswith("| ≥ 2× | **missed** |")
    assert lines[4] == "| alone | a: 5 unit/s | – | – | – | – | – |"


@pytest.mark.parametrize(
    ("figure", "text"),
    [(Figure.SECONDS, "a: 100 ms each"), (Figure.AMOUNT, "a: 10 unit"), (Figure.CPU, "a: 10 unit/s")],
)
def test_a_figure_is_told_as_its_goal_speaks(figure: Figure, text: str) -> None:
    found = measured(Goal(figure, 1), ours=samples(1.0), peers=samples(1.0))
    assert markdown([found]).splitlines()[2].split(" | ")[1] == text
