"""What the wallet tells its person about grants, requests and who read."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain import leaves
from domain.receipts import VerifiedReceipt
from node_service.client import wire


@dataclass(frozen=True, slots=True)
class Access:
    """One line of "who read my record": the custodian's log row, with the reader's name if it was sealed to us.

    All of it is what the custodian says, but for ``receipt``: the row stands in the custodian's log on the ledger, by
    the signatures of members that take no part in it. ``claimed_anchored``: the custodian gave a place in its log.
    ``reader_unreadable``: a name was sent that does not open. The reading hospital sealed it, so it could be anything;
    one such line must not hide the others.
    """

    row: leaves.AccessLeaf
    reader: wire.ReaderCard | None = field(repr=False)
    claimed_anchored: bool
    reader_unreadable: bool = False
    receipt: VerifiedReceipt | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """An access request that a clinician sealed to this wallet; ``content`` is None where it does not open."""

    id: str
    requester: str
    content: wire.AccessRequestContent | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant that is valid on the ledger; ``delivered`` tells whether the grantee has its package already."""

    patient: str
    id: str
    tx_id: str
    block: int
    delivered: bool
