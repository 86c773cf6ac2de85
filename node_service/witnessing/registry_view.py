"""The members of the channel as this node reads them from the ledger, for whoever compares several nodes' views."""

from __future__ import annotations

from domain.entries import OrganizationEntry
from domain.instants import instant
from node_service.client.receipt_wire import Registry
from node_service.client.wire import RegistryEntry
from node_service.context import Node
from node_service.ledger_sync.registry import organizations, valid_keys


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
