"""Resolving references within a Bundle (FHIR R4, section 2.36.4.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs

from node_service.fhir.bundle import Entry
from node_service.fhir.elements import objects_at, text_at
from node_service.fhir.references import ReferenceKind, parse_reference

_HISTORY: Final = "/_history/"


@dataclass(frozen=True, slots=True)
class BundleIndex:
    """The entries of one Bundle by every text that refers to them.

    Attributes:
        entries: position of the entry by fullUrl, by ``Type/id``, and by ``Type|system|value`` of its identifiers;
            a name that fits two entries names neither.
        types: resource type by position.
    """

    entries: dict[str, int] = field(repr=False)
    types: dict[int, str] = field(repr=False)

    def entry_of(self, reference: str) -> int | None:
        """The position of the entry that a reference text names, if one does."""
        plain = reference.partition(_HISTORY)[0]
        if plain in self.entries:
            return self.entries[plain]
        kind, target_type, target_id = parse_reference(plain)
        if kind is ReferenceKind.ABSOLUTE:
            return None
        if kind is ReferenceKind.CONDITIONAL:
            return self.entries.get(conditional_key(plain))
        return self.entries.get(f"{target_type}/{target_id}")

    def type_of(self, reference: str) -> str:
        """The resource type behind a reference text, by its entry or by its own text; empty where unknown."""
        position = self.entry_of(reference)
        return self.types[position] if position is not None else parse_reference(reference)[1]


def index_bundle(entries: Iterable[Entry]) -> BundleIndex:
    """Index the entries of a Bundle that hold a resource."""
    found: dict[str, int] = {}
    twice: set[str] = set()
    types: dict[int, str] = {}
    for entry in entries:
        if entry.resource is None:
            continue
        types[entry.index] = entry.resource.resource_type
        for name in _names(entry):
            if found.setdefault(name, entry.index) != entry.index:
                twice.add(name)
    return BundleIndex({name: position for name, position in found.items() if name not in twice}, types)


def conditional_key(reference: str) -> str:
    """``Type|system|value`` of a conditional reference by identifier; empty for any other search."""
    target_type, _, query = reference.partition("?")
    parameters = parse_qs(query, max_num_fields=8)
    values = parameters.get("identifier", [])
    if len(parameters) != 1 or len(values) != 1:
        return ""
    system, bar, value = values[0].partition("|")
    return f"{target_type}|{system}|{value}" if bar else ""


def _names(entry: Entry) -> set[str]:
    names = {(entry.full_url or "").partition(_HISTORY)[0]}
    resource = entry.resource
    if resource is not None:
        if resource.id:
            names.add(f"{resource.resource_type}/{resource.id}")
        for identifier in objects_at(resource.value, "identifier"):
            names.add(f"{resource.resource_type}|{text_at(identifier, 'system')}|{text_at(identifier, 'value')}")
    return names - {""}
