"""Organisations of the channel and their published keys, from the projection: the one place that tells of them.

What an organisation published says what it is; whether it is a member still says the channel's configuration. Nobody
writes on the ledger that a hospital left, least of all the hospital itself, so it is read here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from sqlalchemy.orm import Session

from domain.entries import OrganizationEntry
from domain.errors import NotFound
from domain.transactions import OrganizationKey
from node_service.ledger_sync import projection

ACTIVE: Final = "active"
LEFT: Final = "left"


def organization(session: Session, msp_id: str) -> OrganizationEntry | None:
    """An organisation as the ledger knows it, ``left`` if the channel has it no more; None for strangers."""
    entry = projection.entry(session, OrganizationEntry, msp_id)
    return None if entry is None else _present(msp_id, entry, projection.channel_members(session))


def active_organization(session: Session, msp_id: str) -> OrganizationEntry | None:
    """A member that takes part; None for one that is leaving or has left, and for strangers."""
    entry = organization(session, msp_id)
    return entry if entry is not None and entry.status == ACTIVE else None


def organizations(session: Session) -> dict[str, OrganizationEntry]:
    """All organisations by MSP id, also those that left."""
    members = projection.channel_members(session)
    return {
        names[0]: _present(names[0], entry, members)
        for names, entry in projection.typed_states(session, OrganizationEntry)
    }


def active_organizations(session: Session) -> frozenset[str]:
    """The MSP ids of all members that take part."""
    return frozenset(msp_id for msp_id, entry in organizations(session).items() if entry.status == ACTIVE)


def organization_key(session: Session, msp_id: str, use: str, kid: str | None, at: str) -> OrganizationKey:
    """A key that an organisation published for a use: the one named, or the newest that is valid ``at``.

    Raises:
        NotFound: the organisation, or such a key valid at that time, is not in the registry.
    """
    member = organization(session, msp_id)
    valid = [key for key in valid_keys(member, use, at) if kid in (None, key.kid)] if member else []
    if member is None or member.status == LEFT or not valid:
        raise NotFound("the organisation has published no such key", reason="no-key", place=msp_id)
    return max(valid, key=lambda key: (key.valid_from, key.kid))


def valid_keys(member: OrganizationEntry, use: str, at: str) -> list[OrganizationKey]:
    """The keys that a member published for a use and that are valid ``at``."""
    return [
        key
        for key in member.keys
        if key.use == use and key.valid_from <= at and (key.valid_until is None or at < key.valid_until)
    ]


def _present(msp_id: str, entry: OrganizationEntry, members: Collection[str] | None) -> OrganizationEntry:
    return entry if members is None or msp_id in members else replace(entry, status=LEFT)
