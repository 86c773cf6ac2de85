"""The port to other hospitals' exchange interfaces (docs/formats/http.md, ``/exchange``)."""

from __future__ import annotations

from typing import Protocol

from node_service.client.exchange_wire import (
    ContributionDelivery,
    ExchangeRelease,
    ExchangeSearch,
    NoticeDelivery,
    NoticeReceipt,
    Released,
    RequestDelivery,
)
from node_service.client.wire import (
    RecordPage,
    RecordRef,
)


class Exchange(Protocol):
    """Calls another hospital as this hospital.

    Adapters take the address from the ledger's registry, compare it with the administrator's allow-list, use https
    outside the demo profile, follow no redirect, and bound every answer.

    Every method raises the error that the other hospital answered (``NotFound`` for whatever it denies),
    ``Denied`` where the address is not allowed, and ``Unavailable`` where nobody answers.
    """

    async def deliver_request(self, custodian: str, body: RequestDelivery) -> None:
        """Hand a sealed request to the patient's custodian."""

    async def search(self, custodian: str, body: ExchangeSearch) -> RecordPage:
        """List what may be released under an opening."""

    async def release(self, custodian: str, body: ExchangeRelease) -> Released:
        """Fetch sealed records with their keys."""

    async def read_object(self, custodian: str, access: str, digest: str, offset: int, length: int) -> bytes:
        """A range of the sealed bytes of a released object; fewer only at its end."""

    async def deliver_contribution(self, custodian: str, body: ContributionDelivery) -> RecordRef:
        """Hand over a record that this hospital sealed and signed for the patient's custodian."""

    async def deliver_notices(self, holder: str, body: NoticeDelivery) -> NoticeReceipt:
        """Tell a hospital that had records released what became of them."""
