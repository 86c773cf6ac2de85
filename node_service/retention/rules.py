"""Retention rules as they are written in a file, and the decision about one record. No I/O.

A rule applies to a record where every condition that it states holds. Where it is not known to which kind of care a
record belongs, every rule for a setting applies that the patient's own history allows; the longest time counts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from domain.checks import check_integer, check_member, check_members, check_sequence, check_text
from domain.errors import Invalid
from domain.identifiers import check_code
from domain.instants import instant
from domain.vocabulary import CATEGORIES

VERSION: Final = 1
MAX_RULES: Final = 200
MAX_KEEP_YEARS: Final = 500
MAX_TEXT_CHARACTERS: Final = 400
OUTPATIENT: Final = "outpatient"
INPATIENT: Final = "inpatient"
SETTINGS: Final = (INPATIENT, OUTPATIENT)
BEGINNINGS: Final = ("last-visit", "last-discharge", "clinical-date", "stored")


@dataclass(frozen=True, slots=True)
class Source:
    """The law that a rule comes from: title and article, English and Chinese."""

    title_en: str
    title_zh: str
    article_en: str
    article_zh: str

    def __post_init__(self) -> None:
        for name in ("title_en", "title_zh", "article_en", "article_zh"):
            check_text(getattr(self, name), f"source.{name}", max_characters=MAX_TEXT_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Rule:
    """Keep for so many years.

    Attributes:
        settings: kinds of care whose records it is about; empty: all.
        categories: ledger categories that it is about; empty: all.
        resource_types: FHIR types that it is about; empty: all.
        begins: from what on the years count.
    """

    id: str
    settings: tuple[str, ...]
    categories: tuple[str, ...]
    resource_types: tuple[str, ...]
    keep_years: int
    begins: str
    source: Source

    def __post_init__(self) -> None:
        check_code(self.id, "id")
        if self.settings:
            check_members(self.settings, "settings", SETTINGS)
        if self.categories:
            check_members(self.categories, "categories", CATEGORIES)
        for name in check_sequence(self.resource_types, "resource_types", max_items=200):
            check_code(name, "resource_types")
        check_integer(self.keep_years, "keep_years", low=0, high=MAX_KEEP_YEARS)
        check_member(self.begins, "from", BEGINNINGS)


@dataclass(frozen=True, slots=True)
class Rules:
    """A file of rules under its name."""

    id: str
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        check_code(self.id, "id")
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) != len(ids):
            raise Invalid("two rules have the same id", place="rules", reason="retention")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision looks at.

    Attributes:
        setting: of the encounter that the record belongs to; None where no encounter tells.
        settings: of all encounters of the patient.
        clinical_end: end of the record's own clinical date, else None.
        stored: when the record's last version was stored.
        last_visit: the patient's last contact of any kind.
        last_discharge: end of the last stay; None where there was none, the present where one is going on.
    """

    category: str
    resource_type: str
    setting: str | None
    settings: frozenset[str]
    clinical_end: datetime | None
    stored: datetime
    last_visit: datetime
    last_discharge: datetime | None


@dataclass(frozen=True, slots=True)
class MayErase:
    """No rule stands against it."""


@dataclass(frozen=True, slots=True)
class LockedUntil:
    """To be kept until an instant, by the rule that keeps it longest."""

    until: str
    rule: str


Decision = MayErase | LockedUntil


def decide(rules: Rules, facts: Facts, at: datetime) -> Decision:
    """Whether a record may be erased ``at``; a date in the future counts as the present."""
    ends = [(_end(rule, facts, at), rule.id) for rule in rules.rules if _applies(rule, facts)]
    until, rule_id = max(ends, default=(at, ""))
    return MayErase() if until <= at else LockedUntil(instant(until), rule_id)


def stricter(one: Decision, other: Decision) -> Decision:
    """The one that keeps longer."""
    if isinstance(one, MayErase):
        return other
    return one if isinstance(other, MayErase) or other.until <= one.until else other


def parse_rules(text: str) -> Rules:
    """Read a file of rules (TOML 1.0).

    Raises:
        Invalid: the place names rule and field, for example ``rules[2].keep_years``.
    """
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"not TOML: {error}", reason="retention") from None
    except (RecursionError, ValueError):
        raise Invalid("not TOML that can be read", reason="retention") from None
    _check_fields(fields, {"version", "id", "rules"}, set(), "")
    check_integer(fields["version"], "version", low=VERSION, high=VERSION)
    listed = check_sequence(fields["rules"], "rules", max_items=MAX_RULES, min_items=1)
    return Rules(fields["id"], tuple(_rule(one, f"rules[{number}]") for number, one in enumerate(listed)))


def _rule(fields: object, place: str) -> Rule:
    try:
        given = _check_fields(
            fields, {"id", "keep_years", "from", "source"}, {"settings", "categories", "resource_types"}, ""
        )
        source = _check_fields(given["source"], {"title_en", "title_zh", "article_en", "article_zh"}, set(), "source")
        return Rule(
            id=given["id"],
            settings=_codes(given, "settings"),
            categories=_codes(given, "categories"),
            resource_types=_codes(given, "resource_types"),
            keep_years=given["keep_years"],
            begins=given["from"],
            source=Source(**source),
        )
    except Invalid as error:
        raise Invalid(error.detail, reason="retention", place=f"{place}.{error.place}".rstrip(".")) from None


def _codes(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    listed = check_sequence(fields.get(name, []), name, max_items=MAX_RULES)
    return tuple(sorted(check_code(one, name) for one in listed))


def _check_fields(fields: object, needed: set[str], allowed: set[str], place: str) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise Invalid("a table is expected", place=place)
    for name in sorted(needed - fields.keys()):
        raise Invalid("a field is missing", place=f"{place}.{name}".lstrip("."))
    for name in sorted(fields.keys() - needed - allowed):
        raise Invalid("there is a field that nobody knows", place=f"{place}.{name}".lstrip("."))
    return fields


def _applies(rule: Rule, facts: Facts) -> bool:
    if rule.categories and facts.category not in rule.categories:
        return False
    if rule.resource_types and facts.resource_type not in rule.resource_types:
        return False
    return not rule.settings or bool(_possible(facts) & set(rule.settings))


def _possible(facts: Facts) -> frozenset[str]:
    """The settings that the record may belong to; without any encounter: a visit without a bed."""
    if facts.setting is not None:
        return frozenset((facts.setting,))
    return facts.settings or frozenset((OUTPATIENT,))


def _end(rule: Rule, facts: Facts, at: datetime) -> datetime:
    begin = {
        "last-visit": facts.last_visit,
        "last-discharge": facts.last_discharge or facts.last_visit,
        "clinical-date": facts.clinical_end or facts.stored,
        "stored": facts.stored,
    }[rule.begins]
    return _years_later(min(begin, at), rule.keep_years)


def _years_later(begin: datetime, years: int) -> datetime:
    moved = begin.astimezone(UTC)
    year = min(moved.year + years, 2999)  # the ledger's years end there
    if (moved.month, moved.day) == (2, 29) and not _is_leap(year):
        return moved.replace(year=year, month=3, day=1)
    return moved.replace(year=year)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
