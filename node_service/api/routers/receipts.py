"""Proofs: receipts, the custodian's word that a refusal binds, and whose signatures count."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from domain import effective
from domain.receipts import Receipt
from node_service.api.authentication import Auditor, Patient, limit_public
from node_service.api.services import Serving
from node_service.api.strict_json import StrictRoute
from node_service.client.receipt_wire import EffectiveWord, ReceiptPage, Registry
from node_service.witnessing import proofs
from node_service.witnessing.effective import sign_effective
from node_service.witnessing.registry_view import fresh_registry_view

router = APIRouter(tags=["receipts"], route_class=StrictRoute)
_PUBLIC = [Depends(limit_public)]
_RECEIPT: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {}}, "description": "a receipt"}}
Place = Annotated[int, Path(ge=0, le=2**53 - 1)]


@router.get("/registry", dependencies=_PUBLIC)
async def registry(serving: Serving) -> Registry:
    """All members as this hospital reads them from the ledger, for wallets that compare several hospitals' views."""
    return await fresh_registry_view(serving.node, serving.receipts.ledger_kind)


@router.get("/wallet/statements/{patient}/{statement}/effective", dependencies=_PUBLIC)
async def statement_effective(serving: Serving, patient: str, statement: str) -> EffectiveWord:
    """The custodian's signed word that a revoke, revoke-all or dissent binds here; 404 until then."""
    signed = await serving.node.in_database(sign_effective, serving.node, patient, statement)
    return EffectiveWord.model_validate(effective.to_json(signed))


@router.get(
    "/wallet/statements/{patient}/{statement}/receipt",
    dependencies=_PUBLIC,
    response_class=Response,
    responses=_RECEIPT,
)
async def statement_receipt(serving: Serving, patient: str, statement: str) -> Response:
    """The receipt that a statement was accepted, of any hospital's patient: 503 ``not-witnessed`` until then."""
    return _answer(
        await serving.node.in_ledger(
            proofs.of_patient, serving.node, serving.receipts, patient, "statement-used", statement
        )
    )


@router.get("/wallet/receipts/access-rows")
async def access_rows(serving: Serving, patient: Patient, after: str | None = None) -> ReceiptPage:
    """Receipts of the rows of ``GET /wallet/accesses``, in the same order."""
    return await serving.node.in_ledger(proofs.access_rows, serving.node, serving.receipts, patient, after)


@router.get("/wallet/receipts/access-rows/{incarnation}/{index}", response_class=Response, responses=_RECEIPT)
async def own_access_row(serving: Serving, patient: Patient, incarnation: Place, index: Place) -> Response:
    """The receipt of one row about the patient."""
    return _answer(
        await serving.node.in_ledger(proofs.access_row, serving.node, serving.receipts, incarnation, index, patient)
    )


@router.get("/wallet/receipts/{kind}/{name}", response_class=Response, responses=_RECEIPT)
async def own_receipt(serving: Serving, patient: Patient, kind: str, name: str) -> Response:
    """The receipt of a record, grant, dissent, statement, access or emergency of the patient."""
    return _answer(await serving.node.in_ledger(proofs.of_patient, serving.node, serving.receipts, patient, kind, name))


@router.get("/api/receipts/access-rows/{incarnation}/{index}", response_class=Response, responses=_RECEIPT)
async def audited_access_row(serving: Serving, _auditor: Auditor, incarnation: Place, index: Place) -> Response:
    """The receipt of one row of the access log."""
    return _answer(await serving.node.in_ledger(proofs.access_row, serving.node, serving.receipts, incarnation, index))


@router.get("/api/receipts/{kind}/{name}", response_class=Response, responses=_RECEIPT)
async def audited_receipt(
    serving: Serving, auditor: Auditor, kind: str, name: str, patient: str | None = None
) -> Response:
    """The receipt of a record, opening, or (with ``patient``) a grant, dissent or statement."""
    return _answer(
        await serving.node.in_ledger(
            proofs.for_auditor, serving.node, serving.receipts, auditor.id, kind, name, patient
        )
    )


def _answer(receipt: Receipt) -> Response:
    return Response(receipt.encode(), media_type="application/json")
