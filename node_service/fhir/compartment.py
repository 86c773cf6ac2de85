"""Whose a resource is: a patient's, the directory's, or the institution's.

Narrower than the Patient CompartmentDefinition of FHIR R4: that also lists authors and performers; a record belongs
to the one whom it is *about*. Several different patients, or none in a type that is no directory type: institution,
which is never shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from domain.jcs import JsonObject
from node_service.fhir.elements import at_path, objects_at, text_at
from node_service.fhir.references import ReferenceKind, parse_reference
from node_service.fhir.types import DIRECTORY_TYPES

_PATHS_BY_TYPES: Final = {
    "subject": "Account AdverseEvent Basic CarePlan CareTeam ChargeItem ClinicalImpression Communication "
    "CommunicationRequest Composition Condition Contract DeviceRequest DeviceUseStatement DiagnosticReport "
    "DocumentManifest DocumentReference Encounter Flag Goal GuidanceResponse ImagingStudy Invoice List MeasureReport "
    "Media MedicationAdministration MedicationDispense MedicationRequest MedicationStatement Observation Procedure "
    "QuestionnaireResponse RequestGroup RiskAssessment ServiceRequest Specimen",
    "patient": "AllergyIntolerance BodyStructure Claim ClaimResponse Consent CoverageEligibilityRequest "
    "CoverageEligibilityResponse DetectedIssue Device EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory "
    "Immunization ImmunizationEvaluation ImmunizationRecommendation MolecularSequence NutritionOrder RelatedPerson "
    "SupplyDelivery VisionPrescription",
    "beneficiary": "Coverage",
    "candidate": "EnrollmentRequest",
    "individual": "ResearchSubject",
    "for": "Task",
    "deliverTo": "SupplyRequest",
    "actor": "AppointmentResponse Schedule",
    "participant.actor": "Appointment",
    "member.entity": "Group",
    "link.target": "Person",
    "collection.source": "BiologicallyDerivedProduct",
    "securityContext": "Binary",
    "target": "Provenance VerificationResult",
    "agent.who": "AuditEvent",
    "entity.what": "AuditEvent",
    "item.resource": "Linkage",
    "entry.item": "List",
}

_FOLLOWED_BY_TYPES: Final = {
    "target": "Provenance VerificationResult",
    "focus": "Task MessageHeader",
    "basedOn": "Task",
    "securityContext": "Binary",
    "request": "EnrollmentResponse PaymentNotice",
    "source": "DeviceMetric",
    "item.resource": "Linkage",
}


def _by_type(table: dict[str, str]) -> dict[str, tuple[str, ...]]:
    result: dict[str, tuple[str, ...]] = {}
    for path, names in table.items():
        for name in names.split():
            result[name] = (*result.get(name, ()), path)
    return result


_SUBJECT_PATHS: Final = _by_type(_PATHS_BY_TYPES)
_FOLLOWED_PATHS: Final = _by_type(_FOLLOWED_BY_TYPES)
_ONLY_PATIENTS: Final = frozenset(("patient", "beneficiary", "individual"))
"""Elements that can refer to nothing but a Patient, whatever the reference looks like."""


class CompartmentKind(StrEnum):
    """Whose a record is.

    ``FOLLOWS`` = whose the resources are that it names (Provenance, Binary, Task …): the one patient of them all; the
    directory's if all are; otherwise, or if they cannot be found, the institution's.
    """

    PATIENT = "patient"
    DIRECTORY = "directory"
    INSTITUTION = "institution"
    FOLLOWS = "follows"


@dataclass(frozen=True, slots=True)
class PatientLink:
    """How a resource names its patient: by reference, or by identifier alone (FHIR R4, section 2.3.0.1).

    Attributes:
        reference: as written, empty where there is none.
        identifier: ``Reference.identifier``, or the first identifier of a contained Patient.
    """

    reference: str = field(repr=False)
    identifier: JsonObject | None = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Compartment:
    """Whose a resource is.

    Attributes:
        kind: see there.
        patient: how the patient is named; ``None`` for a Patient itself and for all other kinds.
        follows: references to the resources that decide, for ``FOLLOWS``.
    """

    kind: CompartmentKind
    patient: PatientLink | None = None
    follows: tuple[str, ...] = field(default=(), repr=False)


def named_type(reference: str) -> str:
    """The resource type that a reference names in its own text, empty where it names none."""
    return parse_reference(reference)[1]


def compartment(value: JsonObject, type_of: Callable[[str], str] = named_type) -> Compartment:
    """Whose a resource is.

    Args:
        value: the resource.
        type_of: the resource type behind a reference text, so that ``urn:uuid`` references can be looked up in their
            Bundle; empty where unknown.
    """
    resource_type = text_at(value, "resourceType")
    if resource_type == "Patient":
        return Compartment(CompartmentKind.PATIENT)
    links = _patients(value, resource_type, type_of)
    if len(links) == 1:
        return Compartment(CompartmentKind.PATIENT, links[0])
    if links:
        return Compartment(CompartmentKind.INSTITUTION)
    follows = tuple(
        reference
        for path in _FOLLOWED_PATHS.get(resource_type, ())
        for one in objects_at(value, path)
        if (reference := text_at(one, "reference"))
    )
    if follows:
        return Compartment(CompartmentKind.FOLLOWS, follows=follows)
    directory = resource_type in DIRECTORY_TYPES
    return Compartment(CompartmentKind.DIRECTORY if directory else CompartmentKind.INSTITUTION)


def _patients(value: JsonObject, resource_type: str, type_of: Callable[[str], str]) -> list[PatientLink]:
    """The different patients that a resource is about, in the order of the table."""
    found: dict[str, PatientLink] = {}
    for path in _SUBJECT_PATHS.get(resource_type, ()):
        for reference in objects_at(value, path):
            if path in _ONLY_PATIENTS or _names_patient(reference, value, type_of):
                link = _link(reference, value)
                found.setdefault(_identity(link), link)
    found.pop("", None)
    return list(found.values())


def _names_patient(reference: JsonObject, value: JsonObject, type_of: Callable[[str], str]) -> bool:
    written = text_at(reference, "reference")
    if written.startswith("#"):
        contained = _contained(value, written[1:])
        return contained is not None and contained.get("resourceType") == "Patient"
    found = type_of(written) if written else ""
    return (found or text_at(reference, "type").removeprefix("http://hl7.org/fhir/StructureDefinition/")) == "Patient"


def _link(reference: JsonObject, value: JsonObject) -> PatientLink:
    written = text_at(reference, "reference")
    identifier = reference.get("identifier")
    if not isinstance(identifier, dict) and written.startswith("#"):
        contained = _contained(value, written[1:])
        identifier = next(objects_at(contained, "identifier"), None) if contained else None
    return PatientLink(written, identifier if isinstance(identifier, dict) else None)


def _contained(value: JsonObject, anchor: str) -> JsonObject | None:
    return next((one for one in objects_at(value, "contained") if one.get("id") == anchor), None)


def _identity(link: PatientLink) -> str:
    """What two links to one person have in common; a version of a Patient is the same person."""
    kind, target_type, target_id = parse_reference(link.reference)
    if kind is ReferenceKind.RELATIVE:
        return f"{target_type}/{target_id}"
    if link.reference:
        return link.reference.partition("/_history/")[0]
    if link.identifier is None:
        return ""
    return "|".join(str(part) for name in ("system", "value") for part in at_path(link.identifier, name))
