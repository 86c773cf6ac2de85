"""Validation of resources against FHIR R4 (4.0.1).

R4B (4.3.0) has models for all types that did not change; the types that did get the structural check. Messages name
place and rule, never the value: it may be a patient's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Final

from fhir.resources.R4B import get_fhir_model_class
from fhir_core.fhirabstractmodel import FHIRAbstractModel
from pydantic import ValidationError

from domain.errors import Invalid
from domain.jcs import JsonObject
from node_service.fhir.resource import Resource
from node_service.fhir.structure import Problem, name_of, structural_problems
from node_service.fhir.types import R4_SHAPED_TYPES, R4_TYPES

MAX_PROBLEMS: Final = 50

_MISSING: Final = frozenset(("missing", "model_field_validation.missing"))
_UNKNOWN: Final = frozenset(("extra_forbidden",))


def validate(resource: Resource) -> tuple[Problem, ...]:
    """What breaks FHIR R4 in a resource, at most ``MAX_PROBLEMS``; places are relative to the resource."""
    if resource.resource_type not in R4_TYPES:
        return (Problem("resourceType", "unknown-type", "FHIR R4 has no such resource type"),)
    if resource.resource_type in R4_SHAPED_TYPES:
        return tuple(islice(structural_problems(resource.value), MAX_PROBLEMS))
    return _model_problems(resource)


def verify_resource(resource: Resource, place: str = "") -> None:
    """Check a resource against FHIR R4.

    Args:
        resource: as received.
        place: where it stands, for example ``entry[3].resource``.

    Raises:
        Invalid: the first problem, with its place.
    """
    problems = validate(resource)
    if not problems:
        return
    first = problems[0]
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    inside = ".".join(part for part in (place, first.place) if part)
    raise Invalid(f"{first.detail}{more}", reason=first.reason, place=inside)


def _model_problems(resource: Resource) -> tuple[Problem, ...]:
    contained = tuple(_contained_problems(resource.value))
    if contained:
        return contained[:MAX_PROBLEMS]
    try:
        _model(resource.resource_type).model_validate(_without_r4_shaped(resource.value))
    except ValidationError as error:
        return tuple(islice(_translated(error), MAX_PROBLEMS))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ArithmeticError, AssertionError):
        # The models raise bare errors for some malformed structures, such as text where an object is expected.
        return tuple(islice(structural_problems(resource.value), MAX_PROBLEMS)) or (_unreadable(),)
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
    return get_fhir_model_class(resource_type)


def _translated(error: ValidationError) -> Iterator[Problem]:
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        place = _place(one["loc"])
        if one["type"] in _MISSING:
            yield Problem(place, "required", "a required element is missing")
        elif one["type"] in _UNKNOWN:
            yield Problem(place, "unknown-element", "FHIR R4 has no such element here")
        else:
            yield Problem(place, "wrong-value", "the value does not have the form that FHIR R4 prescribes")


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


def _unreadable() -> Problem:
    return Problem("", "wrong-value", "the structure is not that of FHIR R4")
