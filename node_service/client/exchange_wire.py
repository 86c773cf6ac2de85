"""Bodies of the exchange between hospitals (docs/formats/http.md, ``/exchange``); binary values as in ``wire``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domain.jcs import MAX_SAFE_INTEGER
from node_service.client.wire import SealedMessage, SealedRecord, Wire


class ExchangeToken(Wire):
    """SMART Backend Services token request (RFC 7523)."""

    grant_type: Literal["client_credentials"]
    client_assertion_type: Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    client_assertion: str = Field(max_length=8192, repr=False)


class RequestDelivery(Wire):
    """A sealed request; ``block`` holds its entry, as the requester's own peer tells: see :class:`Opening`."""

    id: str
    patient: str
    valid_until: str
    message: SealedMessage
    block: int | None = Field(default=None, ge=0, le=MAX_SAFE_INTEGER)


class Opening(Wire):
    """Under which committed entry, about whom; ``subject_salt`` opens an emergency's subject tag.

    ``block`` is the newest that the reader has seen, the entry's or a later one: the custodian, whose peer may have it
    a moment later, decides on a view that has it, so that a release of what was closed by then is its fault.
    """

    access: str
    patient: str
    subject_salt: str | None = None
    block: int | None = Field(default=None, ge=0, le=MAX_SAFE_INTEGER)
    reader: SealedMessage | None = None


class ExchangeSearch(Wire):
    opening: Opening
    resource_types: list[str] = Field(default_factory=list)
    categories: list[str] = Field(default_factory=list)
    after: str | None = None
    limit: int = Field(default=1000, ge=1, le=1000)


class ExchangeRelease(Wire):
    opening: Opening
    public_key: str
    records: list[str] = Field(min_length=1, max_length=1000)


class Released(Wire):
    """Sealed records; ``session`` is the HPKE-wrapped session key under which each item's ``wrap`` is made."""

    session: str
    items: list[SealedRecord]


class ReleaseNotice(Wire):
    """What became of a record of the sender's own that it had released to the receiver.

    ``version`` is the new one where the record was superseded, else the last one.
    """

    id: str
    record: str
    event: Literal["superseded", "retracted", "erased"]
    version: int


class NoticeDelivery(Wire):
    notices: list[ReleaseNotice] = Field(min_length=1, max_length=200)


class NoticeReceipt(Wire):
    """Ids of notices that were taken, and of those about records that the receiver never had from the sender."""

    accepted: list[str]
    unknown: list[str]


class ContributionDelivery(Wire):
    """A record that another hospital sealed and signed for the patient's custodian."""

    opening: Opening
    record: str
    object_id: str
    kid: str
    signature: str
    data_key: SealedMessage
    chunks: list[str]
    sealed: str
