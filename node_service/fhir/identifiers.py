"""Typed identifiers of people: which number it is, in one spelling, and whether its check digit fits.

Types come from ``identifier.type`` (HL7 v2 table 0203, Chinese and English words) and from the system (HL7 and
WS/T 483 object identifiers 2.16.156.10011.1). A wrong check digit is a finding for the quality report, never a
refusal: hospitals really hold such numbers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from domain.jcs import JsonObject
from node_service.fhir.elements import objects_at, text_at

MAX_IDENTIFIER_CHARS: Final = 256


class IdentifierType(StrEnum):
    """Which kind of number an identifier is."""

    RESIDENT_IDENTITY = "resident-identity"  # 居民身份证
    HEALTH_INSURANCE = "health-insurance"  # 医保
    HEALTH_CARD = "health-card"  # 居民健康卡
    VISIT_CARD = "visit-card"  # 就诊卡
    OUTPATIENT = "outpatient"  # 门（急）诊号
    INPATIENT = "inpatient"  # 住院号
    MEDICAL_RECORD = "medical-record"  # 病案号
    PASSPORT = "passport"  # 护照
    DRIVER_LICENCE = "driver-licence"  # 驾驶证
    SOCIAL_SECURITY = "social-security"  # 社会保障号
    NATIONAL = "national"  # of another country
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier of a person.

    Attributes:
        type: which kind of number.
        system: as written, empty if absent.
        value: in its one spelling (see :func:`normalised`).
        index: position among the identifiers of the resource.
        check_digit_fits: ``None`` where the kind has no check digit.
    """

    type: IdentifierType
    system: str = field(repr=False)
    value: str = field(repr=False)
    index: int
    check_digit_fits: bool | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two identifiers the same number: type, system, value."""
        return self.type.value, self.system, self.value


_V2_0203: Final = {
    "HC": IdentifierType.HEALTH_INSURANCE,
    "MA": IdentifierType.HEALTH_INSURANCE,
    "MC": IdentifierType.HEALTH_INSURANCE,
    "NIIP": IdentifierType.HEALTH_INSURANCE,
    "SN": IdentifierType.HEALTH_INSURANCE,
    "JHN": IdentifierType.HEALTH_CARD,
    "PNT": IdentifierType.VISIT_CARD,
    "VN": IdentifierType.OUTPATIENT,
    "MR": IdentifierType.MEDICAL_RECORD,
    "PI": IdentifierType.MEDICAL_RECORD,
    "PT": IdentifierType.MEDICAL_RECORD,
    "PPN": IdentifierType.PASSPORT,
    "DL": IdentifierType.DRIVER_LICENCE,
    "SS": IdentifierType.SOCIAL_SECURITY,
    "NI": IdentifierType.NATIONAL,
    "NN": IdentifierType.NATIONAL,
    "NNCHN": IdentifierType.RESIDENT_IDENTITY,
}
_WORDS: Final = (
    ("身份证", IdentifierType.RESIDENT_IDENTITY),
    ("居民身份", IdentifierType.RESIDENT_IDENTITY),
    ("resident identity", IdentifierType.RESIDENT_IDENTITY),
    ("医保", IdentifierType.HEALTH_INSURANCE),
    ("医疗保险", IdentifierType.HEALTH_INSURANCE),
    ("社保", IdentifierType.SOCIAL_SECURITY),
    ("社会保障", IdentifierType.SOCIAL_SECURITY),
    ("健康卡", IdentifierType.HEALTH_CARD),
    ("就诊卡", IdentifierType.VISIT_CARD),
    ("诊疗卡", IdentifierType.VISIT_CARD),
    ("门诊号", IdentifierType.OUTPATIENT),
    ("门急诊号", IdentifierType.OUTPATIENT),
    ("门（急）诊号", IdentifierType.OUTPATIENT),
    ("住院号", IdentifierType.INPATIENT),
    ("病案号", IdentifierType.MEDICAL_RECORD),
    ("病历号", IdentifierType.MEDICAL_RECORD),
    ("medical record", IdentifierType.MEDICAL_RECORD),
    ("护照", IdentifierType.PASSPORT),
    ("passport", IdentifierType.PASSPORT),
    ("驾驶证", IdentifierType.DRIVER_LICENCE),
)
_SYSTEMS: Final = {
    "2.16.156.10011.1.3": IdentifierType.RESIDENT_IDENTITY,
    "2.16.156.10011.1.11": IdentifierType.OUTPATIENT,
    "2.16.156.10011.1.12": IdentifierType.INPATIENT,
    "2.16.156.10011.1.13": IdentifierType.MEDICAL_RECORD,
    "2.16.156.10011.1.19": IdentifierType.HEALTH_CARD,
    "2.16.840.1.113883.4.1": IdentifierType.SOCIAL_SECURITY,
    "http://hl7.org/fhir/sid/us-ssn": IdentifierType.SOCIAL_SECURITY,
    "http://hl7.org/fhir/sid/us-medicare": IdentifierType.HEALTH_INSURANCE,
    "http://hl7.org/fhir/sid/us-mbi": IdentifierType.HEALTH_INSURANCE,
}
_CHINA: Final = ("china", "chn", ".cn", "2.16.156.")

_PLACEHOLDERS: Final = frozenset(("无", "暂无", "不详", "未知", "none", "null", "nil", "n/a", "na", "unk", "unknown"))
_SEPARATORS = re.compile(r"[\s\u200b\ufeff.·‐-―-]+")
_IDENTITY_18 = re.compile(r"\d{17}[\dX]")
_IDENTITY_15 = re.compile(r"\d{15}")
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CENTENARIANS: Final = ("996", "997", "998", "999")


def identifiers(value: JsonObject) -> tuple[Identifier, ...]:
    """The identifiers of a resource that have a value; a placeholder without one is passed over."""
    return tuple(_identifiers(value))


def normalised(kind: IdentifierType, written: str) -> str:
    """The one spelling of a number: compatibility forms folded (full-width digits), outer space removed.

    Identity, insurance, passport and social-security numbers lose separators and become upper case; an identity
    number of 15 digits becomes the same number in 18 (GB 11643-1999), unless its last three digits mark a person
    born before 1900. Numbers of a hospital keep their own spelling.
    """
    text = unicodedata.normalize("NFKC", written).strip()
    if kind in _HOSPITAL_NUMBERS:
        return text
    text = _SEPARATORS.sub("", text).upper()
    return widened(text) if kind is IdentifierType.RESIDENT_IDENTITY else text


def is_placeholder(written: str) -> bool:
    """Whether a value is what people write where a form demands a number that nobody has: it joins no two people."""
    text = unicodedata.normalize("NFKC", written).strip().lower()
    signs = {sign for sign in text if sign.isalnum()}
    return signs <= {"0"} or text in _PLACEHOLDERS


def identity_number_fits(number: str) -> bool:
    """Whether a resident identity number of 18 characters has a real date and the right check digit (GB 11643-1999)."""
    if not _IDENTITY_18.fullmatch(number):
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return check_character(number[:17]) == number[17]


def check_character(first_17_digits: str) -> str:
    """The check character of a resident identity number (GB 11643-1999, ISO 7064 MOD 11-2)."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, first_17_digits, strict=True))
    return "10X98765432"[total % 11]


def widened(number: str) -> str:
    """A 15-digit identity number in 18 characters; any other text as it is."""
    if not _IDENTITY_15.fullmatch(number) or number.endswith(_CENTENARIANS):
        return number
    first_17 = f"{number[:6]}19{number[6:]}"
    return first_17 + check_character(first_17)


_HOSPITAL_NUMBERS: Final = frozenset(
    (
        IdentifierType.VISIT_CARD, IdentifierType.OUTPATIENT, IdentifierType.INPATIENT,
        IdentifierType.MEDICAL_RECORD, IdentifierType.OTHER,
    )
)  # fmt: skip


def _identifiers(value: JsonObject) -> Iterator[Identifier]:
    for index, one in enumerate(objects_at(value, "identifier")):
        written, system = text_at(one, "value"), text_at(one, "system")
        if len(written) > MAX_IDENTIFIER_CHARS or is_placeholder(written):
            continue
        kind = identifier_type(one)
        number = normalised(kind, written)
        fits = identity_number_fits(number) if kind is IdentifierType.RESIDENT_IDENTITY else None
        yield Identifier(kind, system, number, index, fits)


def identifier_type(identifier: JsonObject) -> IdentifierType:
    """Which kind of number a FHIR Identifier is; words say more than codes, which say more than the system."""
    system = text_at(identifier, "system").removeprefix("urn:oid:")
    words = " ".join(_type_words(identifier))
    for word, kind in _WORDS:
        if word in words:
            return kind
    if kind_by_system := _SYSTEMS.get(system):
        return kind_by_system
    for coding in objects_at(identifier, "type.coding"):
        kind_by_code = _V2_0203.get(text_at(coding, "code"))
        if kind_by_code is IdentifierType.NATIONAL and any(sign in system.lower() for sign in _CHINA):
            return IdentifierType.RESIDENT_IDENTITY
        if kind_by_code:
            return kind_by_code
    return IdentifierType.OTHER


def _type_words(identifier: JsonObject) -> Iterator[str]:
    for concept in objects_at(identifier, "type"):
        yield text_at(concept, "text").lower()
        for coding in objects_at(concept, "coding"):
            yield text_at(coding, "display").lower()
