"""Retention rules: the shipped ones, how they are decided, how a hospital's own file is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Invalid
from node_service.retention.file import load_rules
from node_service.retention.rules import Facts, LockedUntil, MayErase, decide, parse_rules, stricter

AT = datetime(2026, 3, 1, tzinfo=UTC)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "category": "result", "resource_type": "Observation", "setting": "outpatient",
        "settings": frozenset({"outpatient"}), "clinical_end": day("2005-05-01"), "stored": day("2020-01-01"),
        "last_visit": day("2010-03-02"), "last_discharge": None,
    }  # fmt: skip
    return Facts(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "until", "rule"),
    [
        ({}, None, ""),
        ({"last_visit": day("2011-03-02")}, "2026-03-02T00:00:00Z", "cn-outpatient"),
        ({"last_visit": day("2011-03-01")}, None, ""),
        ({"setting": "inpatient", "last_discharge": day("1996-03-01")}, None, ""),
        ({"setting": "inpatient", "last_discharge": day("1996-03-02")}, "2026-03-02T00:00:00Z", "cn-inpatient"),
        ({"setting": None, "settings": frozenset({"inpatient", "outpatient"}), "last_discharge": day("2000-01-01")},
         "2030-01-01T00:00:00Z", "cn-inpatient"),
        ({"setting": None, "settings": frozenset(), "last_visit": day("2020-01-01")},
         "2035-01-01T00:00:00Z", "cn-outpatient"),
        ({"last_visit": day("2099-01-01")}, "2041-03-01T00:00:00Z", "cn-outpatient"),
        ({"last_visit": day("2012-02-29")}, "2027-03-01T00:00:00Z", "cn-outpatient"),
    ],
    ids=[
        "fifteen-years-since-the-last-visit-are-over", "one-day-is-missing", "the-day-itself",
        "thirty-years-since-discharge-are-over", "one-day-of-thirty-years-is-missing",
        "unknown-setting-counts-as-the-strictest-of-the-patients", "no-encounter-at-all-is-a-visit",
        "a-date-in-the-future-counts-as-now", "the-leap-day-ends-on-the-day-after",
    ],
)  # fmt: skip
def test_the_rules_of_china_keep_until(changes: dict[str, Any], until: str | None, rule: str) -> None:
    decision = decide(load_rules(None), facts(**changes), AT)
    assert decision == (MayErase() if until is None else LockedUntil(until, rule))


def test_the_shipped_rules_name_their_law_in_both_languages() -> None:
    for rule in load_rules(None).rules:
        assert "Article 29" in rule.source.article_en
        assert "第二十九条" in rule.source.article_zh


def test_of_two_decisions_the_one_that_keeps_longer_counts() -> None:
    early, late = LockedUntil("2030-01-01T00:00:00Z", "a"), LockedUntil("2040-01-01T00:00:00Z", "b")
    assert stricter(early, late) == stricter(late, early) == late
    assert stricter(MayErase(), early) == stricter(early, MayErase()) == early
    assert stricter(MayErase(), MayErase()) == MayErase()


RULE = """
version = 1
id = "own"
[[rules]]
id = "images"
categories = ["imaging"]
keep_years = 20
from = "clinical-date"
[rules.source]
title_en = "House rule"
title_zh = "院内规定"
article_en = "1"
article_zh = "一"
"""


def test_a_rule_counts_for_its_categories_only() -> None:
    rules = parse_rules(RULE)
    assert decide(rules, facts(category="result"), AT) == MayErase()
    kept = decide(rules, facts(category="imaging", clinical_end=day("2010-01-01")), AT)
    assert kept == LockedUntil("2030-01-01T00:00:00Z", "images")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("version = 1", "version = 2", "version"),
        ("keep_years = 20", 'keep_years = "20"', "rules[0].keep_years"),
        ("keep_years = 20", "keep_years = -1", "rules[0].keep_years"),
        ("keep_years = 20\n", "", "rules[0].keep_years"),
        ('from = "clinical-date"', 'from = "birth"', "rules[0].from"),
        ('categories = ["imaging"]', 'categories = ["x-rays"]', "rules[0].categories"),
        ('categories = ["imaging"]', 'category = ["imaging"]', "rules[0].category"),
        ('title_zh = "院内规定"\n', "", "rules[0].source.title_zh"),
        ('id = "images"', "id = 3", "rules[0].id"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_with_its_place(tmp_path: Path, old: str, new: str, place: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(RULE.replace(old, new, 1))
    with pytest.raises(Invalid) as refused:
        load_rules(path)
    assert refused.value.place == place
    assert str(path) in refused.value.detail


def test_a_file_that_is_not_there_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="FileNotFoundError"):
        load_rules(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("version = ")
    with pytest.raises(Invalid, match="not TOML"):
        load_rules(broken)
