"""Data types of CDA (HL7 version 3 data types, release 1) as far as a header uses them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from domain.errors import Invalid
from domain.jcs import JsonObject
from node_service.cda.header_xml import Element

MAX_ROOT_CHARACTERS: Final = 128
MAX_EXTENSION_CHARACTERS: Final = 256
_ROOT = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.-]{0,126}[0-9A-Za-z])?")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
_POINT = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d\d)(?:(?P<day>\d\d)"
    r"(?:(?P<hour>\d\d)(?:(?P<minute>\d\d)(?:(?P<second>\d\d)(?:\.\d{1,9})?)?)?)?)?)?(?P<zone>[+-]\d{4})?",
    re.ASCII,
)
_SYSTEMS: Final = {
    "2.16.840.1.113883.4.1": "http://hl7.org/fhir/sid/us-ssn",
    "2.16.840.1.113883.4.572": "http://hl7.org/fhir/sid/us-medicare",
    "2.16.840.1.113883.4.927": "http://hl7.org/fhir/sid/us-mbi",
    "2.16.840.1.113883.6.1": "http://loinc.org",
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "2.16.840.1.113883.5.25": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
}
"""Object identifiers for which FHIR R4 prescribes another name (section 4.2.1)."""


@dataclass(frozen=True, slots=True)
class InstanceIdentifier:
    """II: a root (OID or UUID), and an extension unless the root names the thing itself."""

    root: str
    extension: str = field(default="", repr=False)

    @classmethod
    def parse(cls, element: Element | None) -> InstanceIdentifier | None:
        """None where there is none, or a placeholder: a null flavour, or an extension that is there and empty."""
        if element is None or element.attribute("nullFlavor"):
            return None
        root, extension = element.attribute("root"), element.attribute("extension")
        if not _ROOT.fullmatch(root) or ("extension" in element.attributes and not extension):
            return None
        if len(extension) > MAX_EXTENSION_CHARACTERS:
            raise Invalid("an extension has at most 256 characters", reason="wrong-value", place=element.name)
        return cls(root, extension)

    @property
    def as_fhir(self) -> JsonObject:
        """As FHIR writes it (FHIR R4, section 2.24.0.10.1)."""
        if self.extension:
            return {"system": system_of(self.root), "value": self.extension}
        return {"system": "urn:ietf:rfc:3986", "value": f"urn:{_kind(self.root)}:{self.root}"}


@dataclass(frozen=True, slots=True)
class Coded:
    """CE: a code with its system and how it was displayed."""

    code: str
    system: str = ""
    display: str = field(default="", repr=False)

    @classmethod
    def parse(cls, element: Element | None) -> Coded | None:
        """None where there is none, or only a null flavour."""
        if element is None or not element.attribute("code"):
            return None
        return cls(element.attribute("code"), element.attribute("codeSystem"), element.attribute("displayName"))

    @property
    def as_fhir(self) -> JsonObject:
        """As a FHIR Coding."""
        found: JsonObject = {"system": system_of(self.system)} if _ROOT.fullmatch(self.system) else {}
        found["code"] = " ".join(self.code.split())
        return found | ({"display": self.display} if self.display else {})


def system_of(root: str) -> str:
    """The FHIR name of an object identifier or UUID."""
    known = _SYSTEMS.get(root)
    return f"urn:{_kind(root)}:{root}" if known is None else known


def _kind(root: str) -> str:
    """Which uniform resource name a root is: a reserved name of HL7 is none of the registered ones."""
    if _UUID.fullmatch(root.lower()):
        return "uuid"
    return "oid" if _OID.fullmatch(root) else "hl7ii"


def point_in_time(written: str) -> str:
    """A TS as a FHIR dateTime, empty where it is none.

    FHIR has no time of day without a zone (R4, section 2.24.0.1), so where the zone is missing the day is kept.
    """
    found = _POINT.fullmatch(written)
    if found is None:
        return ""
    parts = [found[name] for name in ("year", "month", "day") if found[name]]
    try:
        datetime.strptime("".join((*parts, "0101"[2 * len(parts) - 2 :])), "%Y%m%d")  # noqa: DTZ007 - a date
        if found["minute"]:
            datetime.strptime(f"{found['hour']}{found['minute']}{found['second'] or '00'}", "%H%M%S")  # noqa: DTZ007
    except ValueError:
        return ""
    day = "-".join(parts)
    if not (found["zone"] and found["minute"]):
        return day
    zone = found["zone"]
    return f"{day}T{found['hour']}:{found['minute']}:{found['second'] or '00'}{zone[:3]}:{zone[3:]}"


def interval(element: Element | None) -> tuple[str, str]:
    """Start and end of an IVL_TS as FHIR dateTimes, empty where open; a single point is both."""
    if element is None:
        return "", ""
    if single := point_in_time(element.attribute("value")):
        return single, single
    low, high = element.first("low"), element.first("high")
    return (
        point_in_time(low.attribute("value")) if low else "",
        point_in_time(high.attribute("value")) if high else "",
    )
