"""The FHIR R4 Consents that a wallet writes behind its grants and dissents (the statement carries their digest).

Three presets: only these records, everything up to today, also new ones until expiry. "Up to today" is cut by the
grant's ``recorded_until``, because when a custodian stored a record is no clinical fact that a Consent could name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from domain import vocabulary
from domain.checks import check_member, check_members
from domain.consent_rules import ACTION_SYSTEM, CATEGORY_SYSTEM, SCOPE_SYSTEM
from domain.errors import Invalid
from domain.identifiers import check_identifier
from domain.instants import check_instant
from domain.jcs import JsonObject, JsonValue
from domain.resource_facts import is_literal

PRESETS: Final = ("these-records", "up-to-today", "also-new")
_ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_PARTICIPATION_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_ACTION_OF: Final = {"read": "access", "keep": "collect", "contribute": "correct"}


def action_of(permission: str) -> str:
    """The FHIR ``consentaction`` code of a grant's permission."""
    return _ACTION_OF[check_member(permission, "permission", vocabulary.PERMISSIONS)]


def recorded_until(preset: str, now: str) -> str | None:
    """What the grant's terms say for a preset: ``up-to-today`` cuts at the moment of signing."""
    return now if check_member(preset, "preset", PRESETS) == "up-to-today" else None


@dataclass(frozen=True, slots=True)
class Parties:
    """Whose data at which hospital; FHIR ids are the ledger's ids."""

    id: str
    patient: str
    custodian: str
    written_at: str

    def __post_init__(self) -> None:
        check_instant(self.written_at, "written_at")


def wallet_consent(
    parties: Parties,
    *,
    preset: str,
    grantee: str,
    practitioner: str | None,
    categories: Sequence[str],
    purposes: Sequence[str],
    permissions: Sequence[str],
    valid_from: str,
    valid_until: str,
    records: Sequence[str] = (),
    withheld: Sequence[str] = (),
) -> JsonObject:
    """A Consent that permits.

    Args:
        records: ``Type/record id`` of the only records, for ``these-records`` and for nothing else.
        withheld: ``Type/record id`` of records that stay out whatever else is said.

    Raises:
        Invalid: a code that is not known, a record not named by type and id, or records and preset do not belong
            together.
    """
    if (check_member(preset, "preset", PRESETS) == "these-records") != bool(records):
        raise Invalid("records are named for the preset these-records, and for no other", place="records")
    check_members(permissions, "permissions", vocabulary.PERMISSIONS)
    provision: JsonObject = {
        "type": "permit",
        "period": {"start": check_instant(valid_from, "valid_from"), "end": check_instant(valid_until, "valid_until")},
        "actor": [_actor(f"Practitioner/{practitioner}" if practitioner else f"Organization/{grantee}")],
        "action": [{"coding": [_coding(ACTION_SYSTEM, action_of(permission))]} for permission in permissions],
        "purpose": _purposes(purposes, vocabulary.PURPOSES),
        "class": _classes(categories),
    }
    if records:
        provision["data"] = _instances(records)
    if withheld:
        provision["provision"] = [{"type": "deny", "data": _instances(withheld)}]
    return {**_head(parties, "OPTIN"), "provision": provision}


def wallet_dissent(parties: Parties, *, categories: Sequence[str], purposes: Sequence[str]) -> JsonObject:
    """A Consent that denies; purpose BTG closes the break-glass door too.

    Raises:
        Invalid: a code that is not known.
    """
    known = (*vocabulary.PURPOSES, vocabulary.BREAK_GLASS_PURPOSE)
    provision: JsonObject = {"type": "deny", "purpose": _purposes(purposes, known), "class": _classes(categories)}
    return {**_head(parties, "OPTOUT"), "provision": provision}


def _head(parties: Parties, rule: str) -> JsonObject:
    return {
        "resourceType": "Consent",
        "id": parties.id,
        "status": "active",
        "scope": {"coding": [_coding(SCOPE_SYSTEM, "patient-privacy")]},
        "category": [{"coding": [_coding("http://loinc.org", "59284-0")]}],
        "patient": {"reference": f"Patient/{parties.patient}"},
        "dateTime": parties.written_at,
        "performer": [{"reference": f"Patient/{parties.patient}"}],
        "organization": [{"reference": f"Organization/{parties.custodian}"}],
        "policyRule": {"coding": [_coding(_ACT_CODE, rule)]},
    }


def _purposes(purposes: Sequence[str], known: Sequence[str]) -> list[JsonValue]:
    return [_coding(_ACT_REASON, code) for code in check_members(purposes, "purposes", known)]


def _classes(categories: Sequence[str]) -> list[JsonValue]:
    codes = check_members(categories, "categories", vocabulary.CATEGORIES)
    return [_coding(CATEGORY_SYSTEM, code) for code in codes]


def _instances(references: Iterable[str]) -> list[JsonValue]:
    return [{"meaning": "instance", "reference": {"reference": _checked(reference)}} for reference in references]


def _checked(reference: str) -> str:
    """A record that is named in another way would be released although it is withheld."""
    check_identifier(reference.partition("/")[2], "records")
    if not is_literal(reference):
        raise Invalid("a record is named by type and id", place="records")
    return reference


def _actor(reference: str) -> JsonValue:
    return {"role": {"coding": [_coding(_PARTICIPATION_TYPE, "IRCP")]}, "reference": {"reference": reference}}


def _coding(system: str, code: str) -> JsonValue:
    return {"system": system, "code": code}
