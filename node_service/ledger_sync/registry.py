"""Organisations of the channel and their published keys, from the projection."""

from __future__ import annotations

from sqlalchemy.orm import Session

from domain.entries import OrganizationEntry
from domain.errors import NotFound
from domain.transactions import OrganizationKey
from node_service.ledger_sync import projection


def organization(session: Session, msp_id: str) -> OrganizationEntry | None:
    """A member as the ledger knows it, None where it is not registered."""
    return projection.entry(session, OrganizationEntry, msp_id)


def organizations(session: Session) -> dict[str, OrganizationEntry]:
    """All members by MSP id."""
    return {names[0]: entry for names, entry in projection.typed_states(session, OrganizationEntry)}


def organization_key(session: Session, msp_id: str, use: str, kid: str | None, at: str) -> OrganizationKey:
    """A key that an organisation published for a use: the one named, or the newest that is valid ``at``.

    Raises:
        NotFound: the organisation, or such a key valid at that time, is not in the registry.
    """
    member = organization(session, msp_id)
    valid = [key for key in valid_keys(member, use, at) if kid in (None, key.kid)] if member else []
    if member is None or member.status == "left" or not valid:
        raise NotFound("the organisation has published no such key", reason="no-key", place=msp_id)
    return max(valid, key=lambda key: (key.valid_from, key.kid))


def valid_keys(member: OrganizationEntry, use: str, at: str) -> list[OrganizationKey]:
    """The keys that a member published for a use and that are valid ``at``."""
    return [
        key
        for key in member.keys
        if key.use == use and key.valid_from <= at and (key.valid_until is None or at < key.valid_until)
    ]
