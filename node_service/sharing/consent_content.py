"""A FHIR Consent behind a statement: read once at the door, so that what can never permit anything is not accepted."""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo

from domain.consent_rules import Rule, Unsupported, parse_consent
from domain.errors import Invalid
from domain.jcs import JsonObject
from node_service.settings import Settings


def check_consent(consent: JsonObject, patient: str, zone: tzinfo) -> None:
    """Check that a Consent is active, about this patient, and says only what is evaluated.

    Raises:
        Invalid: it does not.
    """
    if consent.get("status") != "active":
        raise Invalid("the Consent is not active", place="consent.status", reason="not-active")
    try:
        parsed = parse_consent(consent, zone)
    except Unsupported:
        raise Invalid(
            "the Consent says something that is not evaluated", place="consent", reason="unsupported"
        ) from None
    if not parsed.is_privacy or parsed.root is None:
        raise Invalid("a privacy Consent with a provision is expected", place="consent.scope")
    if parsed.patient != patient_reference(patient):
        raise Invalid("the Consent is about another patient", place="consent.patient", reason="other-patient")


def looks_into_content(consent: JsonObject, zone: tzinfo) -> bool:
    """True if the decision needs facts that only the opened resource tells: its dates, authors, references."""
    try:
        root = parse_consent(consent, zone).root
    except (Unsupported, Invalid):
        return False
    return root is not None and any(_looks(rule) for rule in (root, *root.nested))


def patient_reference(patient: str) -> str:
    """How a Consent names the patient: the random id at the custodian."""
    return f"Patient/{patient}"


def time_zone(settings: Settings) -> tzinfo:
    """In which dates without a time are meant."""
    return ZoneInfo(settings.time_zone)


def _looks(rule: Rule) -> bool:
    return rule.data_period is not None or any(meaning != "instance" for meaning, _ in rule.data or ())
