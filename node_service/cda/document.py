"""A CDA document by its header (HL7 CDA R2, section 4.2); its body is kept as bytes and not understood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from domain.errors import Invalid
from domain.jcs import JsonObject
from node_service.cda import wst500
from node_service.cda.datatypes import Coded, InstanceIdentifier, interval, point_in_time
from node_service.cda.header_xml import Element, read_header

MAX_PATIENTS: Final = 100
MAX_AUTHORS: Final = 50
_CONFIDENTIALITY: Final = ("U", "L", "M", "N", "R", "V")
"""v3-Confidentiality from the lowest to the highest."""

_UNKNOWN_CONFIDENTIALITY: Final = "R"
"""What a code that is none of these counts as: somebody meant to say something about confidentiality."""

_GB_GENDER: Final = "2.16.156.10011.2.3.3.4"
_GENDERS: Final = {"M": "male", "F": "female", "UN": "other", "UNK": "unknown"}
_GB_GENDERS: Final = {"1": "male", "2": "female", "0": "unknown", "9": "unknown"}


@dataclass(frozen=True, slots=True)
class RelatedDocument:
    """A document that this one replaces (RPLC), appends to (APND) or transforms (XFRM)."""

    kind: str
    id: InstanceIdentifier


@dataclass(frozen=True, slots=True)
class ClinicalDocument:
    """What a header says.

    Attributes:
        template_ids: roots of the templates to which the document claims to conform.
        title: as written; of a part of WS/T 500 without one, the part's title.
        part: the part of WS/T 500, if it is one.
        effective: time of the document as a FHIR dateTime, may be empty.
        confidentiality: the strictest code anywhere in the document, empty where there is none.
        version_number: within the set, None where not stated.
        patients: as FHIR Patient resources without id: identifiers, names, gender, birth date.
        authors: names of people and devices.
        encounter: identifiers of the encounter.
        period: start and end of the encounter, else of the service that is documented; a whole life has no start,
            since its start would tell the birth date.
    """

    id: InstanceIdentifier
    code: Coded | None
    template_ids: tuple[str, ...]
    title: str = field(repr=False)
    part: int | None
    effective: str
    confidentiality: str
    language: str
    set_id: InstanceIdentifier | None
    version_number: int | None
    patients: tuple[JsonObject, ...] = field(repr=False)
    authors: tuple[str, ...] = field(repr=False)
    custodian: str = field(repr=False)
    related: tuple[RelatedDocument, ...]
    encounter: tuple[InstanceIdentifier, ...]
    period: tuple[str, str]


def parse_document(encoded: bytes) -> ClinicalDocument:
    """Read a document's header.

    Raises:
        Invalid: not well-formed, forbidden or unbounded XML, not CDA, or without an id or a patient.
    """
    read = read_header(encoded)
    root = read.root
    document_id = InstanceIdentifier.parse(root.first("id"))
    if document_id is None:
        raise Invalid("a document has an id", reason="required", place="ClinicalDocument.id")
    code = Coded.parse(root.first("code"))
    templates = tuple(one.attribute("root") for one in root.all("templateId"))
    part = wst500.part(code.code if code else "", code.system if code else "", templates)
    patients = tuple(_patients(root))
    language, title = root.first("languageCode"), root.first("title")
    written = title.text if title is not None else ""
    return ClinicalDocument(
        id=document_id,
        code=code,
        template_ids=templates,
        title=written or (wst500.TITLES[part - 1] if part else ""),
        part=part,
        effective=interval(root.first("effectiveTime"))[0],
        confidentiality=_strictest((*root.all("confidentialityCode"), *read.body_confidentiality)),
        language=language.attribute("code") if language is not None else "",
        set_id=InstanceIdentifier.parse(root.first("setId")),
        version_number=_version_number(root.first("versionNumber")),
        patients=patients,
        authors=tuple(_authors(root)),
        custodian=_organization(root.first("custodian/assignedCustodian/representedCustodianOrganization")),
        related=tuple(_related(root)),
        encounter=tuple(_identifiers(root.all("componentOf/encompassingEncounter/id"))),
        period=_period(root, patients),
    )


def _strictest(codes: tuple[Element, ...]) -> str:
    found = [code if code in _CONFIDENTIALITY else _UNKNOWN_CONFIDENTIALITY for code in map(_code, codes) if code]
    return max(found, key=_CONFIDENTIALITY.index, default="")


def _code(element: Element) -> str:
    return element.attribute("code")


def _version_number(element: Element | None) -> int | None:
    value = element.attribute("value") if element is not None else ""
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None


def _patients(root: Element) -> Iterator[JsonObject]:
    targets = list(root.all("recordTarget/patientRole"))
    if not targets:
        raise Invalid("a document has a patient", reason="required", place="ClinicalDocument.recordTarget")
    if len(targets) > MAX_PATIENTS:
        raise Invalid("a document has too many patients", reason="too-many", place="ClinicalDocument.recordTarget")
    for role in targets:
        numbers = (*_identifiers(role.all("id")), *_identifiers(role.all("patient/id")))
        found: JsonObject = {
            "resourceType": "Patient",
            "identifier": [one.as_fhir for one in numbers if one.extension],
            "name": [{"text": name} for name in map(_name, role.all("patient/name")) if name],
        }
        gender = _gender(role.first("patient/administrativeGenderCode"))
        birth = role.first("patient/birthTime")
        date = point_in_time(birth.attribute("value"))[:10] if birth is not None else ""
        yield {key: item for key, item in (found | {"gender": gender, "birthDate": date}).items() if item}


def _identifiers(elements: Iterator[Element]) -> Iterator[InstanceIdentifier]:
    for element in elements:
        found = InstanceIdentifier.parse(element)
        if found is not None:
            yield found


def _gender(element: Element | None) -> str:
    found = Coded.parse(element)
    if found is None:
        return ""
    table = _GB_GENDERS if found.system == _GB_GENDER else _GENDERS
    return table.get(found.code, "")


def _name(element: Element) -> str:
    """A person's name as one text, in the order of writing: given before family, or 姓名 as it stands."""
    if element.attribute("nullFlavor"):
        return ""
    parts = [child.text for child in element.children if child.name in ("given", "family", "prefix", "suffix")]
    return " ".join(part for part in (*parts, element.text) if part)


def _authors(root: Element) -> Iterator[str]:
    for number, author in enumerate(root.all("author/assignedAuthor")):
        if number >= MAX_AUTHORS:
            return
        name = author.first("assignedPerson/name")
        device = author.first("assignedAuthoringDevice/softwareName")
        found = _name(name) if name is not None else device.text if device is not None else ""
        if found:
            yield found


def _organization(element: Element | None) -> str:
    name = element.first("name") if element is not None else None
    return name.text if name is not None else ""


def _related(root: Element) -> Iterator[RelatedDocument]:
    for one in root.all("relatedDocument"):
        parent = InstanceIdentifier.parse(one.first("parentDocument/id"))
        if parent is not None and one.attribute("typeCode") in ("RPLC", "APND", "XFRM"):
            yield RelatedDocument(one.attribute("typeCode"), parent)


def _period(root: Element, patients: tuple[JsonObject, ...]) -> tuple[str, str]:
    start, end = interval(root.first("componentOf/encompassingEncounter/effectiveTime"))
    if not (start or end):
        start, end = interval(root.first("documentationOf/serviceEvent/effectiveTime"))
    births = {patient.get("birthDate") for patient in patients}
    return ("" if start[:10] in births else start), end
