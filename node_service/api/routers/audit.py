"""The hospital's own auditor: heads of its logs, proofs that they only grow, rows of the access log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from node_service.access_log import auditing
from node_service.api.authentication import AuditAdministrator
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.audit_wire import LogConsistency, LogHeads, LogName, LogRowPage

router = APIRouter(prefix="/audit", tags=["audit"], route_class=StrictRoute)

_MAX_SIZE = 2**53 - 1
Incarnation = Annotated[int, Query(ge=1, le=2**31 - 1)]
Index = Annotated[int, Query(ge=0, le=_MAX_SIZE)]


@router.get("/logs")
async def logs(serving: Serving, _auditor: AuditAdministrator) -> LogHeads:
    """The heads of both logs, by incarnation, as held and as anchored."""
    return await serving.node.in_ledger(auditing.heads, serving.node)


@router.get("/logs/{log}/consistency")
async def consistency(
    serving: Serving,
    _auditor: AuditAdministrator,
    log: LogName,
    old_size: Annotated[int, Query(alias="from", ge=0, le=_MAX_SIZE)] = 0,
    new_size: Annotated[int, Query(alias="to", ge=0, le=_MAX_SIZE)] = 0,
    incarnation: Incarnation = 1,
) -> LogConsistency:
    """The proof that the log of size ``to`` continues that of size ``from``."""
    node = serving.node
    return await node.in_database(auditing.consistency, node, log, incarnation, old_size, new_size)


@router.get("/logs/access/rows")
async def rows(
    serving: Serving,
    auditor: AuditAdministrator,
    start: Annotated[Index, Query(alias="from")] = 0,
    incarnation: Incarnation = 1,
) -> LogRowPage:
    """A thousand rows as they are hashed; the reading is logged itself."""
    return await serving.node.in_database(auditing.rows, serving.node, auditor.id, incarnation, start)
