"""The share of mutants that tests found, its interval, and the draw of a sample."""

from __future__ import annotations

from collections import Counter

import pytest

from scripts.mutation_score import Score, Survivor, draw, wilson

NAMES = {"domain": [f"domain.a{i}" for i in range(50)], "chaincode": [f"chaincode.b{i}" for i in range(3)]}


@pytest.mark.parametrize(
    ("found", "of", "low", "high"),
    [
        (81, 263, 25.5, 36.6),  # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (15, 148, 6.2, 16.0),
        (0, 20, 0.0, 16.1),
        (1, 29, 0.6, 17.2),
        (29, 29, 88.3, 100.0),
    ],
)
def test_interval_is_wilsons(found: int, of: int, low: float, high: float) -> None:
    interval = wilson(found, of)
    assert interval.low == pytest.approx(low, abs=0.06)
    assert interval.high == pytest.approx(high, abs=0.06)


@pytest.mark.parametrize(("found", "of"), [(0, 0), (-1, 5), (6, 5)])
def test_no_sample_has_no_interval(found: int, of: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(found, of)


def test_unchecked_mutants_do_not_count_and_untested_ones_do() -> None:
    survivors = (Survivor("a", "x < 1", is_wording=False), Survivor("b", "a sentence", is_wording=True))
    score = Score(found=6, survivors=survivors, untested=2, unchecked=90)
    assert (score.checked, score.checked_without_wordings) == (10, 9)
    assert score.percent == 60
    assert score.percent_without_wordings == pytest.approx(66.67, abs=0.01)


def test_scores_of_modules_add_up() -> None:
    one = Score(3, (Survivor("a", "", is_wording=True),), untested=1, unchecked=2, out_of_time=1)
    assert Score.sum_of([one, one]) == Score(6, one.survivors * 2, untested=2, unchecked=4, out_of_time=2)


def test_draw_is_of_each_package_and_takes_all_of_a_small_one() -> None:
    drawn = draw(NAMES, 10, seed=1)
    assert Counter(name.partition(".")[0] for name in drawn) == {"domain": 10, "chaincode": 3}


def test_draw_depends_on_the_seed_and_on_nothing_else() -> None:
    assert draw(NAMES, 10, seed=1) == draw({name: names[::-1] for name, names in NAMES.items()}, 10, seed=1)
    assert draw(NAMES, 10, seed=1) != draw(NAMES, 10, seed=2)
    assert draw({"domain": NAMES["domain"]}, 10, seed=1) <= draw(NAMES, 10, seed=1)


def test_every_mutant_is_drawn_equally_often() -> None:
    times = Counter(name for seed in range(400) for name in draw({"domain": NAMES["domain"]}, 10, seed))
    assert len(times) == 50
    assert max(abs(count - 80) for count in times.values()) < 40  # five deviations of a draw with a chance of 1 in 5
