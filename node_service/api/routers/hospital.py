"""Who this hospital is, and who the other members are."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from domain.errors import NotFound
from domain.identifiers import check_msp_id
from domain.instants import instant
from node_service.api.authentication import limit_public
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.wire import HospitalCard, RegistryEntry
from node_service.context import Node
from node_service.ledger_sync.registry import organization
from node_service.witnessing.registry_view import registry_entry

router = APIRouter(tags=["hospital"], route_class=StrictRoute)


@router.get("/hospital")
async def hospital(serving: Serving) -> HospitalCard:
    """The hospital's public card."""
    return serving.hospital


@router.get("/registry/{msp_id}", dependencies=[Depends(limit_public)])
async def member(serving: Serving, msp_id: str) -> RegistryEntry:
    """A member as this hospital reads it from the ledger, for whoever wants to compare what the member says itself."""
    return await serving.node.in_database(_member, serving.node, msp_id)


def _member(node: Node, msp_id: str) -> RegistryEntry:
    with node.database.reading() as session:
        entry = organization(session, check_msp_id(msp_id, "msp_id"))
    if entry is None:
        raise NotFound("there is no such member", place="msp_id")
    return registry_entry(msp_id, entry, instant(node.clock.now()))
