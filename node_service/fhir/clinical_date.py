"""The clinical date of a resource: when what it tells happened. Never a birth date.

The access rules compare it with ``dataPeriod`` (access-and-consent.md). It stays in clear beside the sealed record,
so only elements that date an event of care are in the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from domain.jcs import JsonObject, JsonValue
from node_service.fhir.elements import at_path, text_at

_ELEMENTS_BY_TYPES: Final = {
    "effectiveDateTime effectivePeriod effectiveInstant effectiveTiming issued": "Observation DiagnosticReport",
    "onsetDateTime onsetPeriod recordedDate": "Condition AllergyIntolerance",
    "performedDateTime performedPeriod": "Procedure",
    "period": "Encounter EpisodeOfCare CarePlan CareTeam Flag Coverage",
    "authoredOn": "MedicationRequest ServiceRequest DeviceRequest SupplyRequest RequestGroup Task",
    "occurrenceDateTime occurrencePeriod occurrenceTiming": "Immunization",
    "effectiveDateTime effectivePeriod dateAsserted": "MedicationStatement",
    "effectiveDateTime effectivePeriod": "MedicationAdministration",
    "whenHandedOver whenPrepared": "MedicationDispense",
    "billablePeriod created": "Claim ExplanationOfBenefit",
    "created": "ClaimResponse CoverageEligibilityRequest CoverageEligibilityResponse EnrollmentRequest "
    "EnrollmentResponse PaymentNotice PaymentReconciliation DocumentManifest VisionPrescription",
    "started": "ImagingStudy",
    "createdDateTime createdPeriod issued": "Media",
    "context.period date": "DocumentReference",
    "date": "Composition FamilyMemberHistory Invoice List AdverseEvent ImmunizationEvaluation "
    "ImmunizationRecommendation",
    "effectiveDateTime effectivePeriod date": "ClinicalImpression",
    "occurrenceDateTime occurrencePeriod": "RiskAssessment ChargeItem SupplyDelivery",
    "occurrenceDateTime occurrencePeriod occurrenceTiming authoredOn": "CommunicationRequest",
    "identifiedDateTime identifiedPeriod": "DetectedIssue",
    "startDate statusDate": "Goal",
    "sent received": "Communication",
    "collection.collectedDateTime collection.collectedPeriod receivedTime": "Specimen",
    "authored": "QuestionnaireResponse",
    "occurrenceDateTime": "GuidanceResponse",
    "dateTime": "NutritionOrder Consent",
    "timingDateTime timingPeriod timingTiming recordedOn": "DeviceUseStatement",
    "start": "Appointment AppointmentResponse",
    "servicePeriod": "Account",
    "applies issued": "Contract",
    "occurredDateTime occurredPeriod recorded": "Provenance",
    "period recorded": "AuditEvent",
    "period date": "MeasureReport ResearchSubject",
}
_ELEMENTS: Final = {name: path.split() for path, names in _ELEMENTS_BY_TYPES.items() for name in names.split()}

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>\.\d+)?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)
_END: Final = {"Appointment": "end", "AppointmentResponse": "end"}


@dataclass(frozen=True, slots=True)
class ClinicalDate:
    """A stretch of time, in UTC, as precise as it was written.

    Attributes:
        element: where it was found, for example ``effectiveDateTime``.
        start: its first instant; ``None`` = open.
        before: the first instant behind it (a day ends where the next one starts); ``None`` = open.
        written: start and end as written, empty where open.
    """

    element: str
    start: datetime | None
    before: datetime | None
    written: tuple[str, str]


def clinical_date(value: JsonObject) -> ClinicalDate | None:
    """The clinical date of a resource, or ``None`` if it has none that can be read."""
    resource_type = text_at(value, "resourceType")
    for element in _ELEMENTS.get(resource_type, ()):
        for found in at_path(value, element):
            start, end = _written(found, text_at(value, _END.get(resource_type, "")))
            if interval := _interval(element, start, end):
                return interval
    return None


def bounds(written: str) -> tuple[datetime, datetime] | None:
    """First instant and first instant behind a FHIR date, dateTime or instant; ``None`` if it is none.

    A text without time zone is read as UTC (FHIR R4, section 2.24.0.1, requires the zone with a time).
    """
    match = _DATE.fullmatch(written)
    if match is None:
        return None
    try:
        start = _start(match)
        return start.astimezone(UTC), _behind(match, start).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _interval(element: str, start: str, end: str) -> ClinicalDate | None:
    first, last = bounds(start), bounds(end)
    if first is None and last is None:
        return None
    return ClinicalDate(
        element,
        start=first[0] if first else None,
        before=last[1] if last else None,
        written=(start if first else "", end if last else ""),
    )


def _written(found: JsonValue, end: str) -> tuple[str, str]:
    """Start and end as written in a date, Period or Timing."""
    if isinstance(found, str):
        return found, end or found
    if not isinstance(found, dict):
        return "", ""
    if "start" in found or "end" in found:
        return text_at(found, "start"), text_at(found, "end")
    for bound in at_path(found, "repeat.boundsPeriod"):
        return _written(bound, "")
    events = sorted(_dated(at_path(found, "event")))
    return (events[0][1], events[-1][1]) if events else ("", "")


def _dated(values: Iterator[JsonValue]) -> Iterator[tuple[datetime, str]]:
    for written in values:
        if isinstance(written, str) and (interval := bounds(written)):
            yield interval[0], written


def _start(match: re.Match[str]) -> datetime:
    fraction = (match["fraction"] or ".0")[1:7].ljust(6, "0")
    return datetime(
        int(match["year"]), int(match["month"] or 1), int(match["day"] or 1),
        int(match["hour"] or 0), int(match["minute"] or 0), min(int(match["second"] or 0), 59), int(fraction),
        tzinfo=_zone(match["zone"]),
    )  # fmt: skip


def _behind(match: re.Match[str], start: datetime) -> datetime:
    if match["month"] is None:
        return start.replace(year=start.year + 1)
    if match["day"] is None:
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    if match["hour"] is None:
        return start + timedelta(days=1)
    if match["second"] is None:
        return start + timedelta(minutes=1)
    digits = len(match["fraction"] or ".") - 1
    return start + timedelta(microseconds=10 ** max(6 - digits, 0))


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)
