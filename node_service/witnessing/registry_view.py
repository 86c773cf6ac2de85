"""The members of the channel as this node reads them from the ledger, for whoever compares several nodes' views."""

from __future__ import annotations

from typing import Final

from domain.entries import OrganizationEntry
from domain.errors import Unavailable
from domain.instants import instant
from node_service.client.receipt_wire import Registry
from node_service.client.wire import RegistryEntry
from node_service.context import Node
from node_service.ledger_sync.registry import organizations, valid_keys
from node_service.witnessing.members import active_members

MIN_OTHERS: Final = 2


async def fresh_registry_view(node: Node, ledger_kind: str) -> Registry:
    """As :func:`registry_view`, unless every other member's witness knows of blocks that this node does not get.

    A hospital that left gets no further block, not even the one by which it left. Its old view would keep wallets that
    compare it with others' from believing anybody. All others have to say so, two of them at least: what one hospital
    says must silence nobody, for wallets would believe that one alone then.

    Raises:
        Unavailable: the own projection is behind what all others know.
    """
    ahead = await _least_height_of_all_others(node)
    if ahead is not None:
        await node.commits.projected(ahead, node.settings.freshness_timeout_s)
    return await node.in_database(registry_view, node, ledger_kind)


async def _least_height_of_all_others(node: Node) -> int | None:
    """How many blocks each other member's witness has at least; None unless all were heard, two or more."""
    try:
        voices = await node.voices.ask(frozenset((node.msp_id,)))
    except Unavailable:
        return None
    others = await node.in_database(_others, node)
    heard = {voice.msp: voice.block + 1 for voice in voices if voice.msp in others}
    return min(heard.values()) if len(others) >= MIN_OTHERS and heard.keys() == others else None


def _others(node: Node) -> set[str]:
    with node.database.reading() as session:
        return active_members(session).keys() - {node.msp_id}


def registry_view(node: Node, ledger_kind: str) -> Registry:
    """All members with the keys that are valid now."""
    at = instant(node.clock.now())
    with node.database.reading() as session:
        members = organizations(session)
    return Registry(
        channel=node.ledger.channel,
        ledger=ledger_kind,
        members=[registry_entry(msp_id, entry, at) for msp_id, entry in sorted(members.items())],
    )


def registry_entry(msp_id: str, entry: OrganizationEntry, at: str) -> RegistryEntry:
    """One member with the keys that are valid at a time."""
    keys = {use: [key.key for key in valid_keys(entry, use, at)] for use in ("seal", "signing", "witness")}
    return RegistryEntry(
        msp_id=msp_id,
        url=entry.url,
        status=entry.status,
        seal_keys=keys["seal"],
        signing_keys=keys["signing"],
        witness_keys=keys["witness"],
    )
