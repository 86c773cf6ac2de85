"""What is known about a document besides its bytes, and the FHIR DocumentReference that says it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from domain.jcs import JsonObject

DOCUMENT: Final = "Document"
REFERENCE: Final = "DocumentReference"
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_RELATIONS: Final = {"RPLC": "replaces", "APND": "appends", "XFRM": "transforms"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a DocumentReference says of a document (FHIR R4, section 12.5).

    Attributes:
        identifier: the document's own identifier.
        coding: its kind.
        effective: when it was written, a FHIR dateTime, may be empty like every text here.
        confidentiality: code of v3-Confidentiality.
        related: type code (RPLC, APND, XFRM) and identifier of documents to which it stands in relation.
        period: of the care that it tells about.
    """

    identifier: JsonObject | None = field(default=None, repr=False)
    coding: JsonObject | None = field(default=None, repr=False)
    title: str = field(default="", repr=False)
    effective: str = ""
    confidentiality: str = ""
    language: str = ""
    authors: tuple[str, ...] = field(default=(), repr=False)
    custodian: str = field(default="", repr=False)
    related: tuple[tuple[str, JsonObject], ...] = field(default=(), repr=False)
    encounters: tuple[JsonObject, ...] = field(default=(), repr=False)
    period: tuple[str, str] = ("", "")

    @property
    def clinical(self) -> tuple[str, str]:
        """Start and end of what the document tells about; when it was written, where it does not say."""
        return self.period if any(self.period) else (self.effective, self.effective)


@dataclass(frozen=True, slots=True)
class Reference:
    """One version of a DocumentReference.

    Attributes:
        source: record of the document itself.
        subject: record of the Patient resource, if there is one.
    """

    record: str
    version: int
    at: str
    source: str
    media_type: str
    size_bytes: int
    subject: str | None

    def encode(self, facts: Facts) -> bytes:
        """The resource; what is not known is absent."""
        security: JsonObject = {"system": CONFIDENTIALITY, "code": facts.confidentiality}
        meta: JsonObject = {"versionId": str(self.version), "lastUpdated": self.at}
        if facts.confidentiality:
            meta["security"] = [security]
        body: JsonObject = {
            "resourceType": REFERENCE,
            "id": self.record,
            "meta": meta,
            "masterIdentifier": facts.identifier,
            "status": "current",
            "type": _present({"coding": [facts.coding] if facts.coding else None, "text": facts.title}),
            "subject": {"reference": f"Patient/{self.subject}"} if self.subject else None,
            "date": self.at,
            "author": [{"display": author} for author in facts.authors],
            "custodian": {"display": facts.custodian} if facts.custodian else None,
            "relatesTo": [
                {"code": _RELATIONS[kind], "target": {"type": REFERENCE, "identifier": identifier}}
                for kind, identifier in facts.related
            ],
            "description": facts.title,
            "securityLabel": [{"coding": [security]}] if facts.confidentiality else None,
            "content": [{"attachment": self._attachment(facts)}],
            "context": _context(facts),
        }
        return json.dumps(_present(body), ensure_ascii=False, separators=(",", ":")).encode()

    def _attachment(self, facts: Facts) -> JsonObject:
        return _present(
            {
                "contentType": self.media_type,
                "language": facts.language,
                "url": f"{DOCUMENT}/{self.source}",
                "size": self.size_bytes,
                "title": facts.title,
                "creation": facts.effective,
            }
        )


def _context(facts: Facts) -> JsonObject:
    start, end = facts.clinical
    return _present(
        {
            "encounter": [{"type": "Encounter", "identifier": one} for one in facts.encounters],
            "period": _present({"start": start, "end": end}),
        }
    )


def _present(value: JsonObject) -> JsonObject:
    """Without what is empty: FHIR has no empty values."""
    return {key: item for key, item in value.items() if item}
