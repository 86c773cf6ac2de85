"""A member of staff as other hospitals and patients are told: a pseudonym, and a name sealed to the patient."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.identifiers import check_identifier, encode_bytes
from domain.leaves import SALT_BYTES
from domain.ports import RandomSource
from node_service.access_log.rows import Reader
from node_service.client.wire import ReaderCard


@dataclass(frozen=True, slots=True)
class Practitioner:
    """Who acts; ``id`` is the pseudonym."""

    id: str
    name: str = field(repr=False)
    role: str
    department: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        check_identifier(self.id, "practitioner")

    def reader(self, random: RandomSource) -> Reader:
        """The person as a reader, under a fresh salt."""
        return Reader(self.name, self.role, self.department, random(SALT_BYTES))

    def card(self, random: RandomSource) -> ReaderCard:
        """The person as the body of a message to the patient."""
        reader = self.reader(random)
        return ReaderCard(
            name=reader.name, role=reader.role, department=reader.department, salt=encode_bytes(reader.salt)
        )
