"""The queries of the contract: names and argument types (docs/formats/ledger.md, "Queries")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from domain import jcs, vocabulary, wire
from domain.checks import check_integer, check_member, check_optional, check_sequence, check_text
from domain.entries import OBJECT_TYPES
from domain.errors import Invalid
from domain.identifiers import check_identifier, check_msp_id

MAX_ARGUMENT_BYTES: Final = 4096
MAX_PAGE_ITEMS: Final = 1000
MAX_BOOKMARK_CHARACTERS: Final = 512
MAX_KEY_ATTRIBUTES: Final = 4


@dataclass(frozen=True, slots=True)
class QueryOrganization:
    """One member."""

    msp: str

    def __post_init__(self) -> None:
        check_msp_id(self.msp, "msp")


@dataclass(frozen=True, slots=True)
class QueryOrganizations:
    """All members."""


@dataclass(frozen=True, slots=True)
class QueryPatient:
    """A registration with its floor."""

    patient: str

    def __post_init__(self) -> None:
        check_identifier(self.patient, "patient")


@dataclass(frozen=True, slots=True)
class QueryGrants:
    """A page of a patient's grants; ``after`` is the ``next`` of the page before."""

    patient: str
    after: str | None
    limit: int

    def __post_init__(self) -> None:
        check_identifier(self.patient, "patient")
        _check_page(self.after, self.limit)


@dataclass(frozen=True, slots=True)
class QueryDissents:
    """All dissents of a patient."""

    patient: str

    def __post_init__(self) -> None:
        check_identifier(self.patient, "patient")


@dataclass(frozen=True, slots=True)
class QueryAccesses:
    """One access by ``id``, or a page of all; the other fields are left out of the JSON."""

    id: str | None = None
    after: str | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        check_optional(self.id, "id", check_identifier)
        if (self.id is None) == (self.limit is None) or (self.id is not None and self.after is not None):
            raise Invalid("either id, or after and limit, are expected", place="QueryAccesses")
        if self.limit is not None:
            _check_page(self.after, self.limit)


@dataclass(frozen=True, slots=True)
class QueryEmergency:
    """One emergency with its reviews."""

    id: str

    def __post_init__(self) -> None:
        check_identifier(self.id, "id")


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """One request with the grant that answered it."""

    id: str

    def __post_init__(self) -> None:
        check_identifier(self.id, "id")


@dataclass(frozen=True, slots=True)
class QueryLog:
    """The last anchored heads of every incarnation of a hospital's logs."""

    msp: str

    def __post_init__(self) -> None:
        check_msp_id(self.msp, "msp")


@dataclass(frozen=True, slots=True)
class QueryRecord:
    """Leaf (where created by id), status and attestations of a record."""

    custodian: str
    record: str

    def __post_init__(self) -> None:
        check_msp_id(self.custodian, "custodian")
        check_identifier(self.record, "record")


@dataclass(frozen=True, slots=True)
class QueryStatement:
    """One anchored fact."""

    kind: str
    id: str

    def __post_init__(self) -> None:
        check_member(self.kind, "kind", vocabulary.STATEMENT_KINDS)
        check_identifier(self.id, "id")


@dataclass(frozen=True, slots=True)
class QueryHistory:
    """The writes of one key, newest first: object type, then attributes."""

    key: tuple[str, ...]

    def __post_init__(self) -> None:
        parts = check_sequence(self.key, "key", max_items=1 + MAX_KEY_ATTRIBUTES, min_items=2)
        check_member(parts[0], "key", OBJECT_TYPES)
        for part in parts[1:]:
            check_text(part, "key", max_characters=64)


Query = (
    QueryOrganization | QueryOrganizations | QueryPatient | QueryGrants | QueryDissents | QueryAccesses
    | QueryEmergency | QueryRequest | QueryLog | QueryRecord | QueryStatement | QueryHistory
)  # fmt: skip

NAMES: Final[Mapping[str, type[Query]]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            QueryOrganization, QueryOrganizations, QueryPatient, QueryGrants, QueryDissents, QueryAccesses,
            QueryEmergency, QueryRequest, QueryLog, QueryRecord, QueryStatement, QueryHistory,
        )
    }
)  # fmt: skip


def parse(name: str, arguments: bytes) -> Query:
    """Read a query from its name and argument bytes.

    Raises:
        Invalid: no such query, not canonical, or an argument breaks a rule.
    """
    kind = NAMES.get(name)
    if kind is None:
        raise Invalid("there is no such query", place="name", reason="unknown-query")
    fields = jcs.parse_object(arguments, max_bytes=MAX_ARGUMENT_BYTES)
    if kind is QueryAccesses:
        fields = {"id": None, "after": None, "limit": None, **fields}
    return wire.from_json(kind, fields, name)


def encode(query: Query) -> tuple[str, bytes]:
    """The name and the JCS bytes of a query's arguments, as they are passed to the contract."""
    fields = wire.to_json(query)
    if isinstance(query, QueryAccesses):
        fields = {"id": query.id} if query.id is not None else {"after": query.after, "limit": query.limit}
    return type(query).__name__, jcs.canonical(fields)


def _check_page(after: object, limit: object) -> None:
    if after is not None:
        check_text(after, "after", max_characters=MAX_BOOKMARK_CHARACTERS)
    check_integer(limit, "limit", low=1, high=MAX_PAGE_ITEMS)
