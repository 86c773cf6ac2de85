"""Principals: whom a leaf of a policy means (Fabric msp/mspimpl.go, SatisfiesPrincipal).

Fabric reads a principal only when a member is compared with it, so a policy with one that nobody can read is in force
and that leaf matches nobody. A member writes the policies of its own group alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain.errors import Invalid
from network.blocks.identity import parse_identity
from network.blocks.member import Member
from network.blocks.protos import msp_principal, parse_into

Matcher = Callable[[Member], bool]


def compile_principal(principal: Any) -> Matcher:
    """Whether a member is whom ``MSPPrincipal`` means; nobody is where it cannot be read."""
    try:
        matchers = [_MATCHERS[leaf.principal_classification](leaf.principal) for leaf in _leaves(principal)]
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever a library raises over a member's bytes
        return _nobody
    return lambda member: all(matches(member) for matches in matchers)


def _nobody(_member: Member) -> bool:
    return False


def _leaves(principal: Any) -> list[Any]:
    """The principals that are all asked for, where one is a combination; these are nested as deep as bytes allow."""
    combined = msp_principal.MSPPrincipal.Classification.Value("COMBINED")
    leaves, open_ones = [], [principal]
    while open_ones:
        one = open_ones.pop()
        if one.principal_classification != combined:
            leaves.append(one)
            continue
        parts = parse_into(msp_principal.CombinedPrincipal(), one.principal, "CombinedPrincipal").principals
        if not parts:
            raise Invalid("a combination of no principals", reason="bad-policy")
        open_ones.extend(parts)
    return leaves


def _role(raw: bytes) -> Matcher:
    message = parse_into(msp_principal.MSPRole(), raw, "MSPRole")
    msp_id, role = message.msp_identifier, message.role
    return lambda member: member.identity.msp_id == msp_id and role in member.membership.roles


def _unit(raw: bytes) -> Matcher:
    message = parse_into(msp_principal.OrganizationUnit(), raw, "OrganizationUnit")
    msp_id, unit = message.msp_identifier, message.organizational_unit_identifier
    certifiers = message.certifiers_identifier
    return lambda member: (
        member.identity.msp_id == msp_id
        and unit in member.identity.organizational_units
        and certifiers == member.membership.certifiers
    )


def _identity(raw: bytes) -> Matcher:
    expected = parse_identity(raw)
    return lambda member: member.identity.msp_id == expected.msp_id and member.membership.is_also(expected.certificate)


def _anonymity(raw: bytes) -> Matcher:
    """Everybody is known by name; the opposite is for MSPs of another kind."""
    message = parse_into(msp_principal.MSPIdentityAnonymity(), raw, "MSPIdentityAnonymity")
    nominal = msp_principal.MSPIdentityAnonymity.MSPIdentityAnonymityType.Value("NOMINAL")
    is_nominal = message.anonymity_type == nominal
    return lambda _member: is_nominal


_KIND = msp_principal.MSPPrincipal.Classification.Value
_MATCHERS: dict[int, Callable[[bytes], Matcher]] = {
    _KIND("ROLE"): _role,
    _KIND("ORGANIZATION_UNIT"): _unit,
    _KIND("IDENTITY"): _identity,
    _KIND("ANONYMITY"): _anonymity,
}
