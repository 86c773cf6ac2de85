"""A version of a record before it is sealed, and after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from domain.checks import check_integer, check_member
from domain.errors import Invalid
from domain.identifiers import check_identifier
from domain.leaves import Author
from domain.vocabulary import CATEGORIES
from node_service.fhir.splice import Splice
from offchain.envelope.composite import Manifest
from offchain.envelope.content import PlainBytes
from offchain.envelope.keys import DataKey
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.wraps import KeyBinding

KINDS: Final = ("patient", "directory", "institution")
FHIR_JSON: Final = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Draft:
    """One version of one record, ready to be sealed.

    Attributes:
        record: its id, chosen by this hospital.
        version: 1 for a new record, else one more than the current one.
        kind: whose it is: a patient's, the directory's, the institution's.
        patient: patient id at this hospital, for kind ``patient`` and no other.
        content: what is sealed, with media type and file name; a manifest for composite records.
        media_type: as lists show it.
        source_token: blind identity of the input; unique over all records.
        content_token: blind token of the received bytes.
        clinical: start and end of the clinical date as written, None where open.
        undo: splices from the stored bytes back to the received ones, where something was spliced.
        tokens: further blind tokens by which references find the record.
        previous_leaf: leaf hash of the version before, None for version 1.
        author: the organisation that contributed the record, and its signature.
        opened: the record's row is there before its first version, as with a series whose members came first.
        derived_from: the record of the HL7 v2, CDA or PDF source that this record was made from.
    """

    record: str
    version: int
    kind: str
    patient: str | None
    resource_type: str
    category: str
    media_type: str
    content: PlainBytes | Manifest = field(repr=False)
    source_token: bytes = field(repr=False)
    content_token: bytes = field(repr=False)
    clinical: tuple[str | None, str | None] = (None, None)
    undo: tuple[Splice, ...] = field(default=(), repr=False)
    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    previous_leaf: bytes | None = field(default=None, repr=False)
    author: Author | None = None
    opened: bool = False
    derived_from: str | None = None

    def __post_init__(self) -> None:
        check_identifier(self.record, "record")
        check_integer(self.version, "version", low=1)
        check_member(self.kind, "kind", KINDS)
        check_member(self.category, "category", CATEGORIES)
        if self.derived_from is not None:
            check_identifier(self.derived_from, "derived_from")
        if (self.kind == "patient") != (self.patient is not None):
            raise Invalid("a patient's record, and no other, names the patient", place="patient")
        if (self.version == 1) != (self.previous_leaf is None):
            raise Invalid("version 1, and no other, has no previous leaf", place="previous_leaf")

    @property
    def owner(self) -> str:
        """What the leaf's owner commitment commits to: the patient id, or the word of the kind."""
        return self.patient if self.patient is not None else self.kind


@dataclass(frozen=True, slots=True)
class SealedVersion:
    """A draft with its sealed object and data key."""

    draft: Draft
    object_id: str
    key: DataKey = field(repr=False)
    sealed: SealedBytes = field(repr=False)

    @property
    def binding(self) -> KeyBinding:
        """What the wrapped data key is for."""
        return KeyBinding(self.object_id, self.draft.record, self.draft.version)
