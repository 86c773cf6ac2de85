"""Validation of resources against FHIR R4 (4.0.1).

R4B (4.3.0) has models for all types that did not change; the types that did get the structural check. Messages name
place and rule, never the value: it may be a patient's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from domain.errors import Invalid
from domain.jcs import JsonObject, JsonValue
from node_service.fhir.quality import Finding, FindingCode
from node_service.fhir.resource import Resource
from node_service.fhir.structure import Problem, name_of, structural_problems
from node_service.fhir.types import DEFINITION_TYPES, R4_SHAPED_TYPES, R4_TYPES

if TYPE_CHECKING:
    from fhir_core.fhirabstractmodel import FHIRAbstractModel

MAX_PROBLEMS: Final = 50

_MISSING: Final = frozenset(("missing", "model_field_validation.missing"))
_UNKNOWN: Final = frozenset(("extra_forbidden",))
_EXTENDED_VALUE: Final = re.compile(
    r"(?:^|\.)(?:modifierE|e)xtension\[\d+\]\._value(?:Base64Binary|Boolean|Canonical|Code|Date|DateTime|Decimal|Id|Instant"
    r"|Integer|Markdown|Oid|PositiveInt|String|Time|UnsignedInt|Uri|Url|Uuid)$"
)


def validate(resource: Resource) -> tuple[Problem, ...]:
    """What breaks FHIR R4 in a resource, at most ``MAX_PROBLEMS``; places are relative to the resource."""
    return tuple(islice(_problems(resource.value), MAX_PROBLEMS))


def verify_resource(resource: Resource, place: str = "") -> tuple[Finding, ...]:
    """Check a resource against FHIR R4.

    Args:
        resource: as received.
        place: where it stands, for example ``entry[3].resource``.

    Returns:
        What is accepted all the same: that only the structure could be checked, and where a definition breaks a rule.

    Raises:
        Invalid: the first problem, with its place.
    """
    problems = validate(resource)
    if problems and resource.resource_type in DEFINITION_TYPES:
        refused = tuple(islice(structural_problems(resource.value), MAX_PROBLEMS))
    else:
        refused = problems
    if refused:
        first = refused[0]
        more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
        raise Invalid(f"{first.detail}{more}", reason=first.reason, place=_inside(place, first.place))
    noted = tuple(Finding(FindingCode.BREAKS_RULE, _inside(place, problem.place)) for problem in problems)
    if resource.resource_type in R4_SHAPED_TYPES:
        return (Finding(FindingCode.STRUCTURE_ONLY, place), *noted)
    return noted


def _problems(value: JsonObject) -> Iterator[Problem]:
    resource_type = value.get("resourceType")
    if not isinstance(resource_type, str) or resource_type not in R4_TYPES:
        yield Problem("resourceType", "unknown-type", "FHIR R4 has no such resource type")
    elif resource_type in R4_SHAPED_TYPES:
        yield from structural_problems(value)
    elif resource_type == "Bundle":
        yield from _bundle_problems(value)
    else:
        yield from _model_problems(value, resource_type)


def _bundle_problems(value: JsonObject) -> Iterator[Problem]:
    """A Bundle that is a resource itself: the models know no resource of the types that R4B dropped."""
    entries = value.get("entry")
    if not isinstance(entries, list):
        yield from _model_problems(value, "Bundle")
        return
    bare: list[JsonValue] = []
    for position, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and isinstance(resource, dict):
            bare.append({key: item for key, item in entry.items() if key != "resource"} or {"id": "x"})
            yield from (
                Problem(_inside(f"entry[{position}].resource", place), reason, detail)
                for place, reason, detail in _problems(resource)
            )
        else:
            bare.append(entry)
    yield from _model_problems({**value, "entry": bare}, "Bundle")


def _model_problems(value: JsonObject, resource_type: str) -> tuple[Problem, ...]:
    contained = tuple(_contained_problems(value))
    if contained:
        return contained[:MAX_PROBLEMS]
    try:
        _model(resource_type).model_validate(_without_r4_shaped(value))
    except ValidationError as error:
        return tuple(islice(_translated(error, value), MAX_PROBLEMS))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ArithmeticError, AssertionError):
        # The models raise bare errors for some malformed structures, such as text where an object is expected.
        return tuple(islice(structural_problems(value), MAX_PROBLEMS)) or (_unreadable(),)
    return ()


def _contained_problems(value: JsonObject) -> Iterator[Problem]:
    """What is wrong with contained resources that the models cannot judge."""
    contained = value.get("contained")
    for position, one in enumerate(contained if isinstance(contained, list) else ()):
        place = f"contained[{position}]"
        resource_type = one.get("resourceType") if isinstance(one, dict) else None
        if not isinstance(one, dict) or not isinstance(resource_type, str) or resource_type not in R4_TYPES:
            yield Problem(f"{place}.resourceType", "unknown-type", "FHIR R4 has no such resource type")
        elif resource_type in R4_SHAPED_TYPES:
            yield from (Problem(f"{place}.{p.place}", p.reason, p.detail) for p in structural_problems(one))


def _without_r4_shaped(value: JsonObject) -> JsonObject:
    contained = value.get("contained")
    if not isinstance(contained, list):
        return value
    known = [one for one in contained if isinstance(one, dict) and one.get("resourceType") not in R4_SHAPED_TYPES]
    if len(known) == len(contained):
        return value
    rest = {key: item for key, item in value.items() if key != "contained"}
    return {**rest, "contained": [*known]} if known else rest


@cache
def _model(resource_type: str) -> type[FHIRAbstractModel]:
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415 - a node that validates nothing needs no models

    return get_fhir_model_class(resource_type)


def _translated(error: ValidationError, value: JsonObject) -> Iterator[Problem]:
    has_extended_value = False
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        place = _place(one["loc"])
        if one["type"] in _MISSING:
            yield Problem(place, "required", "a required element is missing")
        elif one["type"] in _UNKNOWN and _EXTENDED_VALUE.search(place):
            has_extended_value = True
        elif one["type"] in _UNKNOWN:
            yield Problem(place, "unknown-element", "FHIR R4 has no such element here")
        else:
            yield Problem(place, "wrong-value", "the value does not have the form that FHIR R4 prescribes")
    if has_extended_value:
        # The models know no extension of a primitive value within an extension, which R4 allows.
        yield from structural_problems(value)


def _place(location: tuple[int | str, ...]) -> str:
    place = ""
    for step in location:
        if isinstance(step, int):
            place += f"[{step}]"
        elif step.isdecimal():
            place += f"[{int(step)}]"
        else:
            place += "".join(f".{name_of(part)}" if not part.isdecimal() else f"[{part}]" for part in step.split("."))
    return place.removeprefix(".").removesuffix(".root")


def _inside(outer: str, inner: str) -> str:
    return ".".join(part for part in (outer, inner) if part)


def _unreadable() -> Problem:
    return Problem("", "wrong-value", "the structure is not that of FHIR R4")
