"""Who is signed in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from domain.errors import Denied


@dataclass(frozen=True, slots=True)
class StaffPrincipal:
    """A member of staff with a live session.

    Attributes:
        id: the pseudonym that other hospitals and the ledger see.
        name, department: as patients are told who read.
    """

    id: str
    roles: frozenset[str]
    name: str = field(repr=False)
    department: str = field(default="", repr=False)

    def require(self, allowed: Collection[str]) -> None:
        """Let pass whoever has one of the roles.

        Raises:
            Denied: none of them.
        """
        if self.roles.isdisjoint(allowed):
            raise Denied("your role does not allow this", reason="role")
