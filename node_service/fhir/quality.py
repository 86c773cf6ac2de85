"""The data-quality report of what was read: codes and places, never values. Findings refuse nothing."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.jcs import JsonObject
from node_service.fhir.clinical_date import bounds, clinical_date
from node_service.fhir.elements import objects_at, text_at
from node_service.fhir.identifiers import Identifier, IdentifierType, identifiers

MAX_FINDINGS: Final = 10_000
CLOCK_TOLERANCE: Final = timedelta(days=1)
"""A date counts as future only beyond this: sources write local dates without a time zone."""

_GENDER_DIGIT: Final = {"male": 1, "female": 0}


class FindingCode(StrEnum):
    """What can be wrong with data that is accepted all the same."""

    CHECK_DIGIT = "identifier-check-digit"
    IDENTITY_BIRTH_DATE = "identifier-contradicts-birth-date"
    IDENTITY_GENDER = "identifier-contradicts-gender"
    NO_BIRTH_DATE = "birth-date-missing"
    NO_GENDER = "gender-missing"
    CONTRADICTION = "contradictory-demographics"
    UNRESOLVED = "reference-unresolved"
    FUTURE = "date-in-future"
    DUPLICATE = "duplicate"
    STRUCTURE_ONLY = "checked-by-structure-only"
    BREAKS_RULE = "definition-breaks-rule"
    ENCRYPTED = "pdf-encrypted"
    DAMAGED = "pdf-damaged"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: its code and the place of the element, for example ``entry[0].resource.identifier[1]``."""

    code: FindingCode
    place: str


@dataclass(slots=True)
class QualityReport:
    """Counts of every code, and the first ``MAX_FINDINGS`` places by source."""

    counts: Counter[FindingCode] = field(default_factory=Counter)
    findings: list[tuple[str, Finding]] = field(default_factory=list)

    def add(self, source: str, findings: Iterable[Finding]) -> None:
        """Count findings of a source, and keep their places while there is room."""
        for finding in findings:
            self.counts[finding.code] += 1
            if len(self.findings) < MAX_FINDINGS:
                self.findings.append((source, finding))


@dataclass(frozen=True, slots=True)
class Demographics:
    """What tells whether two Patient resources can be one person; empty where not stated.

    Attributes:
        birth_date: as written.
        gender: ``male`` or ``female``; other codes contradict nothing.
        names: each name folded (compatibility forms, case, spaces).
    """

    birth_date: str = field(repr=False)
    gender: str = field(repr=False)
    names: frozenset[str] = field(repr=False)


def findings(value: JsonObject, *, place: str, now: datetime) -> Iterator[Finding]:
    """The findings of one resource on its own.

    Args:
        value: the resource.
        place: where it stands, prefix of every finding's place.
        now: a time with zone.
    """
    if value.get("resourceType") == "Patient":
        yield from _patient_findings(value, place)
    date = clinical_date(value)
    if date and date.start and date.start > now + CLOCK_TOLERANCE and value.get("resourceType") not in _PLANNED:
        yield Finding(FindingCode.FUTURE, _inside(place, date.element))


def demographics(value: JsonObject) -> Demographics:
    """The demographics of a Patient resource."""
    gender = text_at(value, "gender")
    names = (_folded_name(name) for name in objects_at(value, "name"))
    return Demographics(
        text_at(value, "birthDate"),
        gender if gender in _GENDER_DIGIT else "",
        frozenset(name for name in names if name),
    )


def contradictions(one: Demographics, other: Demographics) -> tuple[str, ...]:
    """The elements in which two Patient resources cannot be the same person.

    A partial birth date contradicts only outside its year or month. Names change, so they never contradict alone.
    """
    found = []
    first, second = bounds(one.birth_date), bounds(other.birth_date)
    if first and second and (first[1] <= second[0] or second[1] <= first[0]):
        found.append("birthDate")
    if one.gender and other.gender and one.gender != other.gender:
        found.append("gender")
    return tuple(found)


_PLANNED: Final = frozenset(
    ("Appointment", "AppointmentResponse", "CarePlan", "Coverage", "Goal", "ImmunizationRecommendation")
)
"""Types that plan: a date to come is no mistake there."""


def _patient_findings(value: JsonObject, place: str) -> Iterator[Finding]:
    birth_date, gender = text_at(value, "birthDate"), text_at(value, "gender")
    if not birth_date:
        yield Finding(FindingCode.NO_BIRTH_DATE, _inside(place, "birthDate"))
    if not gender:
        yield Finding(FindingCode.NO_GENDER, _inside(place, "gender"))
    for identifier in identifiers(value):
        inside = _inside(place, f"identifier[{identifier.index}]")
        if identifier.check_digit_fits is False:
            yield Finding(FindingCode.CHECK_DIGIT, inside)
        elif identifier.type is IdentifierType.RESIDENT_IDENTITY:
            yield from _identity_findings(identifier, birth_date, gender, inside)


def _identity_findings(identifier: Identifier, birth_date: str, gender: str, place: str) -> Iterator[Finding]:
    """A resident identity number states the birth date (digits 7–14) and the sex (17th digit odd: male)."""
    digits = identifier.value
    stated = f"{digits[6:10]}-{digits[10:12]}-{digits[12:14]}"
    if birth_date and not stated.startswith(birth_date):
        yield Finding(FindingCode.IDENTITY_BIRTH_DATE, place)
    if gender in _GENDER_DIGIT and int(digits[16]) % 2 != _GENDER_DIGIT[gender]:
        yield Finding(FindingCode.IDENTITY_GENDER, place)


def _folded_name(name: JsonObject) -> str:
    given = name.get("given")
    parts = [
        text_at(name, "family"),
        *(one for one in (given if isinstance(given, list) else ()) if isinstance(one, str)),
    ]
    text = "".join(parts) or text_at(name, "text")
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _inside(place: str, element: str) -> str:
    return f"{place}.{element}" if place else element
