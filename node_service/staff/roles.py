"""Roles of staff, and which of them one person may hold together.

System, security and audit administrators are three different people, and none of them reads records: an administrator's
account holds that one role and no other. ``system`` is a program of the own hospital, such as an interface engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from domain.checks import check_members
from domain.errors import Invalid

CLINICAL: Final = frozenset({"clinician", "nurse", "pharmacist", "technician", "laboratory", "radiology"})
OFFICE: Final = frozenset(
    {"cashier", "registrar", "medical-records", "quality", "insurance", "public-health", "privacy-officer"}
)
ADMINISTRATORS: Final = frozenset({"system-administrator", "security-administrator", "audit-administrator"})
PROGRAMS: Final = frozenset({"system"})
ROLES: Final = CLINICAL | OFFICE | ADMINISTRATORS | PROGRAMS
_ALONE: Final = ADMINISTRATORS | PROGRAMS


def check_roles(roles: Sequence[str]) -> tuple[str, ...]:
    """Return the roles, sorted, if one account may hold them together.

    Raises:
        Invalid: none, an unknown one, one twice, or an administrator's or program's role beside another.
    """
    codes = check_members(sorted(roles), "roles", ROLES)
    if len(codes) > 1 and _ALONE.intersection(codes):
        raise Invalid("an administrator or a program has no other role", reason="roles-apart", place="roles")
    return codes
