"""The identity of input, as blind tokens: what came before under the same name is the same record or person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from domain.jcs import JsonObject
from node_service.fhir.bundle import Entry
from node_service.fhir.elements import objects_at, text_at
from node_service.fhir.identifiers import Identifier, IdentifierType
from node_service.fhir.quality import Finding
from node_service.fhir.resource import Resource
from node_service.fhir.types import DIRECTORY_TYPES
from node_service.secrets import NodeSecrets

_EVERYWHERE = frozenset(
    (IdentifierType.RESIDENT_IDENTITY, IdentifierType.SOCIAL_SECURITY, IdentifierType.PASSPORT, IdentifierType.NATIONAL)
)
"""Numbers that mean the same person whoever wrote them; all others are numbers of their source."""


@dataclass(frozen=True, slots=True)
class Item:
    """One received resource with its identity of input; ``entry.index`` is its number within the run.

    ``noted``: what validation accepted although something is wrong or could not be checked.
    """

    entry: Entry
    resource: Resource = field(repr=False)
    source_token: bytes = field(repr=False)
    place: str
    noted: tuple[Finding, ...] = ()


def content_digest(content: bytes) -> str:
    """SHA-256 in hexadecimal; goes only into blind tokens."""
    return hashlib.sha256(content).hexdigest()


def resource_token(secrets: NodeSecrets, source: str, resource_type: str, resource_id: str) -> bytes:
    """A resource by the id that it has at its source."""
    return secrets.blind("resource", source, resource_type, resource_id)


def entry_token(secrets: NodeSecrets, source: str, bundle: str, name: str) -> bytes:
    """An entry that a Bundle creates: its fullUrl, or its place where there is none, within this very Bundle."""
    return secrets.blind("entry", source, bundle, name)


def anonymous_token(secrets: NodeSecrets, source: str, resource: Resource) -> bytes:
    """A resource that came alone and without an id: its content is all that it can be known by."""
    return secrets.blind("anonymous", source, resource.resource_type, content_digest(resource.encoded))


def bundle_token(secrets: NodeSecrets, source: str, bundle: str) -> bytes:
    """A received Bundle by its digest."""
    return secrets.blind("bundle", source, bundle)


def reference_tokens(secrets: NodeSecrets, source: str, resource: Resource) -> Iterator[bytes]:
    """The tokens by which later references find a resource: id at its source, business identifiers."""
    if resource.id is not None:
        yield resource_token(secrets, source, resource.resource_type, resource.id)
    if resource.resource_type in DIRECTORY_TYPES or resource.resource_type == "Patient":
        for one in objects_at(resource.value, "identifier"):
            if value := text_at(one, "value"):
                yield identifier_token(secrets, f"{resource.resource_type}|{text_at(one, 'system')}|{value}")


def identifier_token(secrets: NodeSecrets, key: str) -> bytes:
    """A resource by a business identifier ``Type|system|value``, as a conditional reference names it."""
    return secrets.blind("identifier", key)


def document_reference_token(secrets: NodeSecrets, document: str) -> bytes:
    """What describes a stored document, by the document's record id."""
    return secrets.blind("document-reference", document)


def person_source_token(secrets: NodeSecrets, source: str, patient_id: str) -> bytes:
    """A person by the Patient id at a source."""
    return secrets.blind("person-source", source, patient_id)


def person_identifier_token(secrets: NodeSecrets, source: str, identifier: Identifier) -> bytes | None:
    """A person by a typed identifier, exact; None for a number whose check digit shows that it is none."""
    if identifier.check_digit_fits is False:
        return None
    system = identifier.system
    if not system and identifier.type not in _EVERYWHERE:
        system = f"source:{source}"
    return secrets.blind("person-identifier", identifier.type.value, system, identifier.value)


def stated_identifier(value: JsonObject) -> JsonObject:
    """A resource that states only one identifier, as a logical reference does."""
    return {"identifier": [value]}
