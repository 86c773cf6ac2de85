"""Who the witnesses are, out of the ledger's registry; their addresses are believed within the own limits only."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from domain.checkpoints import WitnessKeys
from domain.entries import OrganizationEntry
from domain.errors import Denied
from domain.identifiers import decode_bytes
from node_service.addresses import check_address
from node_service.ledger_sync.registry import ACTIVE, organizations, valid_keys
from node_service.settings import Settings

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Witness:
    """A member's witness: where it answers, and its present keys."""

    msp_id: str
    url: str
    keys: tuple[bytes, ...]


def active_members(session: Session) -> dict[str, OrganizationEntry]:
    """The active members by MSP id."""
    return {msp_id: entry for msp_id, entry in organizations(session).items() if entry.status == ACTIVE}


def witness_keys(session: Session, at: str) -> WitnessKeys:
    """The witness keys of every active member that are valid at a time."""
    return {msp_id: _keys(entry, at) for msp_id, entry in active_members(session).items()}


def other_witnesses(session: Session, settings: Settings, at: str) -> list[Witness]:
    """The witnesses of the other active members that may be called."""
    found = []
    for msp_id, entry in active_members(session).items():
        keys = _keys(entry, at)
        if msp_id == settings.msp_id or entry.witness_url is None or not keys:
            continue
        try:
            found.append(Witness(msp_id, check_address(settings, entry.witness_url), keys))
        except Denied as error:
            _LOG.warning("the witness of %s is not asked: %s", msp_id, error.reason)
    return found


def _keys(entry: OrganizationEntry, at: str) -> tuple[bytes, ...]:
    return tuple(decode_bytes(key.key, "witness") for key in valid_keys(entry, "witness", at))
