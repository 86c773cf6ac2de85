"""The members of the channel as this node reads them from the ledger, for whoever compares several nodes' views."""

from __future__ import annotations

from domain.entries import OrganizationEntry
from domain.errors import Unavailable
from domain.instants import instant
from node_service.client.receipt_wire import Registry
from node_service.client.wire import RegistryEntry
from node_service.context import Node
from node_service.ledger_sync.registry import organizations, valid_keys
from node_service.witnessing.freshness import wait_until_fresh
from node_service.witnessing.voices import NO_WITNESS


async def fresh_registry_view(node: Node, ledger_kind: str) -> Registry:
    """As :func:`registry_view`, unless others know of blocks that this node does not get.

    A hospital that left gets no further block, not even the one by which it left. Its old view would keep wallets that
    compare it with others' from believing anybody. Where no witness is heard, the own view is all there is.

    Raises:
        Unavailable: the own projection is behind.
        Tampered: a witness has another ledger.
    """
    try:
        await wait_until_fresh(node)
    except Unavailable as error:
        if error.reason != NO_WITNESS:
            raise
    return await node.in_database(registry_view, node, ledger_kind)


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
