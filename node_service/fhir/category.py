"""The ledger category of a resource: one of the closed list of ``domain.vocabulary.CATEGORIES``."""

from __future__ import annotations

from typing import Final

from domain.jcs import JsonObject, JsonValue
from node_service.fhir.elements import objects_at, text_at
from node_service.fhir.types import DIRECTORY_TYPES

_TYPES_BY_CATEGORY = {
    "problem": "AdverseEvent BodyStructure ClinicalImpression Condition DetectedIssue FamilyMemberHistory Flag Goal "
    "RiskAssessment",
    "allergy": "AllergyIntolerance",
    "medication": "MedicationAdministration MedicationDispense MedicationRequest MedicationStatement",
    "result": "DiagnosticReport MolecularSequence Observation QuestionnaireResponse Specimen VisionPrescription "
    "GuidanceResponse",
    "imaging": "ImagingStudy",
    "document": "Binary Composition DocumentManifest DocumentReference Media",
    "encounter": "CarePlan CareTeam Communication CommunicationRequest DeviceRequest DeviceUseStatement Encounter "
    "EpisodeOfCare NutritionOrder Procedure RequestGroup ServiceRequest SupplyDelivery SupplyRequest Task",
    "immunization": "Immunization ImmunizationEvaluation ImmunizationRecommendation",
    "billing": "Account ChargeItem Claim ClaimResponse Contract Coverage CoverageEligibilityRequest "
    "CoverageEligibilityResponse EnrollmentRequest EnrollmentResponse ExplanationOfBenefit Invoice PaymentNotice "
    "PaymentReconciliation",
}
_CATEGORY: Final = dict.fromkeys(DIRECTORY_TYPES, "directory") | {
    name: category for category, names in _TYPES_BY_CATEGORY.items() for name in names.split()
}

_IMAGING_CODES: Final = frozenset(("imaging", "RAD", "RUS", "RX", "CT", "CUS", "NMR", "NMS", "OUS", "VUS", "XRC"))
"""Of observation-category and HL7 v2 table 0074 (diagnostic service sections)."""


def category(value: JsonObject) -> str:
    """The ledger category of a resource; types that concern no care, such as Patient or ValueSet: administrative."""
    resource_type = str(value.get("resourceType"))
    if resource_type in ("Observation", "DiagnosticReport", "Media") and _is_imaging(value):
        return "imaging"
    if resource_type in ("Device", "BiologicallyDerivedProduct") and _has_patient(value):
        return "encounter"
    return _CATEGORY.get(resource_type, "administrative")


def _has_patient(value: JsonObject) -> bool:
    collection = value.get("collection")
    return "patient" in value or (isinstance(collection, dict) and "source" in collection)


def _is_imaging(value: JsonObject) -> bool:
    return any(code in _IMAGING_CODES for name in ("category", "modality") for code in _codes(value.get(name)))


def _codes(concepts: JsonValue) -> list[str]:
    listed = concepts if isinstance(concepts, list) else [concepts]
    return [text_at(coding, "code") for concept in listed for coding in objects_at(concept, "coding")]
