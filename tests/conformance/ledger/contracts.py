"""What runs on the ledgers under test: the contract of drawers, and beside it the product's own."""

from __future__ import annotations

from chaincode.contract import v1
from chaincode.stub import Response, Stub
from tests.conformance.ledger.drawers import NAMES, drawers


def product_and_drawers(stub: Stub, name: str, arguments: bytes, /) -> Response:
    """The contract of drawers for its names, the product's for all others."""
    return drawers(stub, name, arguments) if name in NAMES else v1.invoke(stub, name, arguments)
