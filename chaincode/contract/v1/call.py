"""One invocation as the rules see it: who calls, when by the caller's claim, and the committed state, typed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from chaincode.stub import Creator, Stub, create_composite_key
from domain import entries
from domain.entries import Entry, Kind, OrganizationEntry
from domain.errors import Denied, Invalid
from domain.identifiers import check_msp_id
from domain.instants import instant

ROLE_ATTRIBUTE: Final = "yilian.role"
NODE_ROLE: Final = "node"
CLIENT_UNIT: Final = "client"
_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2999


class Put(NamedTuple):
    """A value to write and the attributes of its key; the object type follows from the value's type."""

    entry: Entry
    attributes: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """Object type and attributes."""
        return (entries.OBJECT_TYPE_OF[type(self.entry)], *self.attributes)


Changes = tuple[Put, ...]
UNCHANGED: Final[Changes] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """An invocation.

    Attributes:
        caller: MSP id from the creator's certificate, never from an argument.
        now: the transaction's own timestamp in whole seconds: the submitter's claim.
    """

    stub: Stub
    caller: str
    now: str

    def read(self, kind: type[Kind], *attributes: str) -> Kind | None:
        """The committed value of a key."""
        encoded = self.stub.get_state(create_composite_key(entries.OBJECT_TYPE_OF[kind], attributes))
        return None if encoded is None else entries.parse(kind, encoded)

    def is_active_organization(self, msp_id: str) -> bool:
        """True if the organisation is registered and neither leaving nor gone."""
        entry = self.read(OrganizationEntry, msp_id)
        return entry is not None and entry.status == "active"

    def put(self, change: Put) -> None:
        """Write a value; fields that a later program added to the present one are kept."""
        object_type, *attributes = change.parts
        key = create_composite_key(object_type, attributes)
        self.stub.put_state(key, entries.encode(change.entry, self.stub.get_state(key)))


def open_call(stub: Stub) -> Call:
    """Identify the caller and read the time (ledger.md, rule 1).

    Raises:
        Denied: the certificate is not that of a node.
        Invalid: a timestamp that cannot be written as an instant.
    """
    return Call(stub, _organization(stub.creator), _claimed_time(stub.timestamp))


def _organization(creator: Creator) -> str:
    if creator.attributes:
        allowed = creator.attributes.get(ROLE_ATTRIBUTE) == NODE_ROLE
    else:
        allowed = CLIENT_UNIT in creator.organizational_units
    if not allowed:
        raise Denied("the certificate is not that of a hospital's node", reason="role")
    return check_msp_id(creator.msp_id, "creator")


def _claimed_time(timestamp: datetime) -> str:
    if not _FIRST_YEAR <= timestamp.year <= _LAST_YEAR:
        raise Invalid("the transaction's timestamp is out of range", reason="timestamp")
    return instant(timestamp)
