"""Bodies about proofs: whose signatures count, receipts, the custodian's word (docs/formats/http.md)."""

from __future__ import annotations

from node_service.client.wire import RegistryEntry, Wire


class Registry(Wire):
    """All members as one hospital reads them; ``ledger`` is ``fabric`` or ``embedded``."""

    channel: str
    ledger: str
    members: list[RegistryEntry]


class EffectiveWord(Wire):
    """The custodian's signed word that a refusal binds (docs/formats/witness.md, "Effective")."""

    effective: str
    signature: str


class ReceiptItem(Wire):
    """A row's place in its log and its receipt as text; null while there is none."""

    incarnation: int | None
    index: int | None
    receipt: str | None


class ReceiptPage(Wire):
    items: list[ReceiptItem]
    next: str | None
