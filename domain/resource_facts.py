"""What a consent decision looks at in a resource (FHIR R4), read from its JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Final

from domain.errors import Invalid
from domain.intervals import Interval, read_date, read_period
from domain.jcs import JsonObject, JsonValue

MAX_REFERENCES: Final = 10_000
_DATES: Final = (
    "effectiveDateTime", "effectivePeriod", "effectiveInstant", "onsetDateTime", "onsetPeriod",
    "performedDateTime", "performedPeriod", "occurrenceDateTime", "occurrencePeriod", "period", "servicedDate",
    "servicedPeriod", "billablePeriod", "started", "authoredOn", "recordedDate", "date", "created", "issued",
)  # fmt: skip
"""Elements that hold the clinical date, the first that is there counts."""
_CLINICAL_CHOICES: Final = ("effective", "onset", "performed", "occurrence", "serviced")
_LITERAL: Final = re.compile(r"[A-Z][A-Za-z]{0,63}/[A-Za-z0-9.-]{1,64}")

AUTHORS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "AllergyIntolerance": ("recorder", "asserter"),
        "CarePlan": ("author", "contributor"),
        "CareTeam": ("managingOrganization",),
        "Claim": ("enterer", "provider"),
        "ClinicalImpression": ("assessor",),
        "Communication": ("sender",),
        "Composition": ("author",),
        "Condition": ("recorder", "asserter"),
        "Consent": ("performer",),
        "DetectedIssue": ("author",),
        "DeviceRequest": ("requester",),
        "DiagnosticReport": ("performer", "resultsInterpreter"),
        "DocumentReference": ("author",),
        "ExplanationOfBenefit": ("enterer", "provider"),
        "FamilyMemberHistory": (),
        "Flag": ("author",),
        "Goal": ("expressedBy",),
        "ImagingStudy": ("interpreter",),
        "Immunization": ("performer.actor",),
        "Media": ("operator",),
        "MedicationAdministration": ("performer.actor",),
        "MedicationDispense": ("performer.actor",),
        "MedicationRequest": ("requester", "recorder"),
        "MedicationStatement": ("informationSource",),
        "NutritionOrder": ("orderer",),
        "Observation": ("performer",),
        "Procedure": ("performer.actor", "recorder", "asserter"),
        "QuestionnaireResponse": ("author",),
        "RiskAssessment": ("performer",),
        "ServiceRequest": ("requester",),
    }
)
"""Where a type names who authored it; a type that is not listed names nobody."""


@dataclass(frozen=True, slots=True)
class ResourceFacts:
    """Facts about one resource.

    Attributes:
        reference: ``Type/id``.
        patient: ``Patient/id`` whose data it is, None where it names none.
        category: ledger category, None where it has none.
        clinical: when it happened, None where it gives no date.
        authors: references to those who authored it; empty for one who is named in another way than by a reference.
        references: everything that it refers to.
    """

    reference: str
    patient: str | None
    category: str | None = None
    clinical: Interval | None = None
    authors: tuple[str, ...] = ()
    references: frozenset[str] = frozenset()

    @property
    def type(self) -> str:
        """The resource type."""
        return self.reference.partition("/")[0]


def resource_facts(resource: JsonObject, *, category: str | None = None, zone: tzinfo = UTC) -> ResourceFacts:
    """Read the facts from a resource.

    Args:
        category: its ledger category, if known.
        zone: in which dates without a time are meant.

    Raises:
        Invalid: no type or id, a clinical date that is none, or too many references.
    """
    kind, identity = resource.get("resourceType"), resource.get("id")
    if not isinstance(kind, str) or not isinstance(identity, str):
        raise Invalid("a resource with type and id is expected", place="resource")
    own = f"{kind}/{identity}"
    return ResourceFacts(
        reference=own,
        patient=own if kind == "Patient" else _patient(resource),
        category=category,
        clinical=_clinical(resource, zone),
        authors=tuple(reference for path in AUTHORS.get(kind, ()) for reference in _at(resource, path.split("."))),
        references=frozenset(_bounded(_references(resource))),
    )


def unversioned(reference: str) -> str:
    """A reference without its ``/_history/version``."""
    return reference.partition("/_history/")[0]


def is_literal(reference: str) -> bool:
    """Whether a reference without version is ``Type/id``, the one form in which two of them can be compared."""
    return _LITERAL.fullmatch(reference) is not None


def may_mean(reference: str, target: str) -> bool:
    """Whether a reference may lead to ``target`` (``Type/id``): the same, at an address, by a search, unresolved."""
    if is_literal(reference):
        return reference == target
    kind = target.partition("/")[0]
    return reference.startswith(("urn:", f"{kind}?")) or f"/{kind}/" in reference


def _patient(resource: JsonObject) -> str | None:
    for name in ("subject", "patient", "beneficiary", "individual"):
        for reference in _at(resource, [name]):
            return reference if reference.startswith("Patient/") else None
    return None


def _clinical(resource: JsonObject, zone: tzinfo) -> Interval | None:
    """None too where it is told in a form that is not read (a timing, an age, a text): no other date stands for it."""
    told = {name.lstrip("_") for name in resource if name.lstrip("_").startswith(_CLINICAL_CHOICES)}
    if any(name not in _DATES or name not in resource for name in told):
        return None
    for name in _DATES:
        if name in resource:
            value = resource[name]
            return read_period(value, zone, name) if isinstance(value, dict) else read_date(value, zone, name)
    return None


def _at(value: JsonValue, path: list[str]) -> Iterator[str]:
    """The references at a path of element names, through lists; empty for a Reference without one."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif isinstance(value, dict):
        if path:
            yield from _at(value.get(path[0]), path[1:])
        else:
            reference = value.get("reference")
            yield unversioned(reference) if isinstance(reference, str) else ""


def _references(value: JsonValue) -> Iterator[str]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            if isinstance(reference := item.get("reference"), str):
                yield unversioned(reference)
            pending.extend(item.values())


def _bounded(references: Iterator[str]) -> Iterator[str]:
    for count, reference in enumerate(references):
        if count >= MAX_REFERENCES:
            raise Invalid(f"a resource has more than {MAX_REFERENCES} references", place="resource")
        yield reference
