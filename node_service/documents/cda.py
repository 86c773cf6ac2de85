"""Taking CDA documents in: what their header says becomes their DocumentReference."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from domain.errors import Invalid
from node_service.cda.datatypes import InstanceIdentifier
from node_service.cda.document import ClinicalDocument, parse_document
from node_service.client.wire import IngestReport
from node_service.context import Node
from node_service.documents.facts import Facts
from node_service.documents.taking import Arrival, take_document
from node_service.records.ingest import Also

CDA_MEDIA_TYPE: Final = "application/xml"
XML_TYPES: Final = ("application/xml", "text/xml")
_REPLACES: Final = "RPLC"
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def ingest_cda(
    node: Node, body: bytes, media_type: str, source: str, patient: str | None = None, *, also: Also | None = None
) -> IngestReport:
    """Take in a CDA R2 document: C-CDA, WS/T 500, or any other by its header.

    Identity: (source, ``setId``), else (source, ``id``); a document that replaces another by ``relatedDocument`` is
    its next version, too. An ``id`` without extension whose root is no UUID is often the same in all documents of a
    sender: its bytes belong to the identity then, so that no document hides another.

    Args:
        node: the hospital.
        body: the received bytes, kept as they are.
        media_type: XML.
        source: name of the source system; ids count within it.
        patient: the person whose document it is; None: found by the identifiers of ``recordTarget``.
        also: written in the same transaction.

    Raises:
        Invalid: another media type, or not a CDA document that can be read.
        NotFound: ``patient`` is unknown.
        Unavailable: store, custody or database.
    """
    if media_type.partition(";")[0].strip().lower() not in XML_TYPES:
        raise Invalid("application/xml is expected", reason="media-type", place="Content-Type")
    document = parse_document(body)

    def token(kind: str, one: InstanceIdentifier) -> bytes:
        return node.secrets.blind(kind, source, one.root.lower(), one.extension)

    own = token("cda-document", document.id)
    if not document.id.extension and not _UUID.fullmatch(document.id.root):
        own = node.secrets.blind("cda-content", source, document.id.root, hashlib.sha256(body).hexdigest())
    arrival = Arrival(
        source=source,
        media_type=CDA_MEDIA_TYPE,
        content=body,
        facts=_facts(document),
        names=(token("cda-set", document.set_id), own) if document.set_id else (own,),
        replaced=tuple(token("cda-document", one.id) for one in document.related if one.kind == _REPLACES),
        patients=document.patients,
        version_number=document.version_number if document.set_id else None,
        version_of=lambda content: parse_document(content).version_number,
    )
    return take_document(node, arrival, patient, also=also)


def _facts(document: ClinicalDocument) -> Facts:
    return Facts(
        identifier=document.id.as_fhir,
        coding=document.code.as_fhir if document.code else None,
        title=document.title or (document.code.display if document.code else ""),
        effective=document.effective,
        confidentiality=document.confidentiality,
        language=document.language,
        authors=document.authors,
        custodian=document.custodian,
        related=tuple((one.kind, one.id.as_fhir) for one in document.related),
        encounters=tuple(one.as_fhir for one in document.encounter),
        period=document.period,
    )
