"""Strict reading of FHIR R4 Consents into rules; what a rule cannot express is refused, never skipped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, TypeVar

from domain.intervals import Interval, read_period
from domain.jcs import JsonObject, JsonValue
from domain.resource_facts import is_literal, unversioned

RESOURCE_TYPE_SYSTEM: Final = "http://hl7.org/fhir/resource-types"
CATEGORY_SYSTEM: Final = "urn:yilian:category"
ACTION_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
SCOPE_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
ACTIONS: Final = ("collect", "access", "use", "disclose", "correct")
MEANINGS: Final = ("instance", "related", "dependents", "authoredby")
MAX_CONSENT_ITEMS: Final = 10_000
_ANCHORS: Final = ("Encounter", "CarePlan", "EpisodeOfCare")
_RULE_ELEMENTS: Final = frozenset(
    {"id", "extension", "type", "period", "actor", "action", "purpose", "class", "dataPeriod", "data", "provision"}
)

Item = TypeVar("Item")


class Unsupported(Exception):
    """The Consent says something that is not evaluated."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One provision; None where it does not state a criterion.

    Attributes:
        purposes: (system, code) pairs.
        data: (meaning, reference) pairs.
    """

    permits: bool
    period: Interval | None
    purposes: frozenset[tuple[str, str]] | None
    actors: frozenset[str] | None
    actions: frozenset[str] | None
    types: frozenset[str] | None
    categories: frozenset[str] | None
    data_period: Interval | None
    data: tuple[tuple[str, str], ...] | None
    nested: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Consent:
    """A Consent as the decision sees it."""

    is_privacy: bool
    patient: str | None
    root: Rule | None


def parse_consent(source: JsonObject, zone: tzinfo) -> Consent:
    """Read an active Consent.

    Raises:
        Unsupported: it is no Consent, malformed, or says something that is not evaluated.
        Invalid: a date or period that is none.
    """
    if source.get("resourceType") != "Consent" or source.keys() & {"modifierExtension", "implicitRules"}:
        raise Unsupported
    scope = _object(source.get("scope"))
    codes = {(_text(coding, "system"), _text(coding, "code")) for coding in _objects(scope, "coding")}
    provision = source.get("provision")
    patient = _object(source.get("patient"))
    return Consent(
        is_privacy=(SCOPE_SYSTEM, "patient-privacy") in codes,
        patient=_literal(patient) if "reference" in patient else None,
        root=None if provision is None else _rule(_object(provision), zone, depth=1),
    )


def _rule(source: JsonObject, zone: tzinfo, *, depth: int) -> Rule:
    if source.keys() - _RULE_ELEMENTS or ("provision" in source and depth > 1):
        raise Unsupported
    kind = _member(source.get("type"), ("permit", "deny"))
    types, categories = _classes(source)
    return Rule(
        permits=kind == "permit",
        period=_period(source, "period", zone),
        purposes=_set(source, "purpose", lambda item: (_text(item, "system"), _text(item, "code"))),
        actors=_set(source, "actor", _reference),
        actions=_actions(source),
        types=types,
        categories=categories,
        data_period=_period(source, "dataPeriod", zone),
        data=tuple(_datum(item) for item in _objects(source, "data")) if "data" in source else None,
        nested=tuple(_rule(item, zone, depth=depth + 1) for item in _objects(source, "provision"))
        if "provision" in source
        else (),
    )


def _period(source: JsonObject, name: str, zone: tzinfo) -> Interval | None:
    """A side that is there in another way than as a date would else look open."""
    if name not in source:
        return None
    if _object(source[name]).keys() - {"id", "extension", "start", "end"}:
        raise Unsupported
    return read_period(source[name], zone, name)


def _actions(source: JsonObject) -> frozenset[str] | None:
    if "action" not in source:
        return None
    codings = [coding for action in _objects(source, "action") for coding in _objects(action, "coding")]
    if any(_text(coding, "system") != ACTION_SYSTEM for coding in codings):
        raise Unsupported
    return frozenset(_member(coding.get("code"), ACTIONS) for coding in codings)


def _classes(source: JsonObject) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    if "class" not in source:
        return None, None
    by_system: dict[str, set[str]] = {RESOURCE_TYPE_SYSTEM: set(), CATEGORY_SYSTEM: set()}
    for coding in _objects(source, "class"):
        by_system[_member(coding.get("system"), by_system)].add(_text(coding, "code"))
    types, categories = by_system[RESOURCE_TYPE_SYSTEM], by_system[CATEGORY_SYSTEM]
    return frozenset(types) if types else None, frozenset(categories) if categories else None


def _datum(item: JsonObject) -> tuple[str, str]:
    meaning, reference = _member(item.get("meaning"), MEANINGS), _reference(item)
    if meaning in ("related", "dependents") and reference.partition("/")[0] not in _ANCHORS:
        raise Unsupported
    return meaning, reference


def _set(source: JsonObject, name: str, read: Callable[[JsonObject], Item]) -> frozenset[Item] | None:
    return frozenset(read(item) for item in _objects(source, name)) if name in source else None


def _reference(item: JsonObject) -> str:
    return _literal(_object(item.get("reference")))


def _literal(source: JsonObject) -> str:
    """``Type/id``: written in any other way a refusal would match nothing, and so let everything pass."""
    reference = unversioned(_text(source, "reference"))
    if not is_literal(reference):
        raise Unsupported
    return reference


def _objects(source: JsonObject, name: str) -> Sequence[JsonObject]:
    items = source.get(name)
    if not isinstance(items, list) or not 0 < len(items) <= MAX_CONSENT_ITEMS:
        raise Unsupported
    return [_object(item) for item in items]


def _object(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict) or "modifierExtension" in value:
        raise Unsupported
    return value


def _text(source: JsonObject, name: str) -> str:
    value = source.get(name, "" if name == "system" else None)
    if not isinstance(value, str):
        raise Unsupported
    return value


def _member(value: JsonValue, allowed: Collection[str]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise Unsupported
    return value
