"""Bodies about erasure, retraction and locks (docs/formats/http.md); values as in ``wire``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from node_service.client.wire import RecordRef, SignedStatementBody, Wire


class ErasureRequest(SignedStatementBody):
    """Statement ``erasure`` with the sorted record ids and the salt behind its digest; only the custodian gets them."""

    records: list[str] = Field(min_length=1, max_length=200)
    salt: str = Field(repr=False)


class ErasureOrder(Wire):
    """The hospital's own wish that records of one patient be erased, as soon as its rules allow."""

    records: list[str] = Field(min_length=1, max_length=200)


class AttestedCopy(Wire):
    """A hospital that had the record, and what it says became of its copies; None: destroyed."""

    msp_id: str
    retained_until: str | None


class MissingAttestation(Wire):
    """A hospital that had the record and has not attested: ``not-told``, ``told``, or ``unknown-there``."""

    msp_id: str
    reason: str


class WaitingStore(Wire):
    """A store of the custodian, down since then, where the sealed objects may still lie."""

    store: str
    since: str


class ErasureItem(Wire):
    """One record of a case: requested, locked, erasing, erased; locked ones name the rule and its end."""

    record: str
    named: bool
    state: Literal["requested", "locked", "erasing", "erased"]
    until: str | None = None
    rule: str | None = None
    erased_at: str | None = None
    final_by: str | None = None
    final_at: str | None = None
    attested: list[AttestedCopy] = Field(default_factory=list)
    missing: list[MissingAttestation] = Field(default_factory=list)
    waiting: list[WaitingStore] = Field(default_factory=list)


class ErasureCertificate(Wire):
    """The JCS text of ``domain.erasure.Certificate`` and the custodian's signature over it."""

    text: str
    signature: str


class ErasureCase(Wire):
    """A patient's statement (its id is the case's) or the hospital's own order, and how far it is."""

    id: str
    kind: Literal["statement", "hospital"]
    patient: str
    created_at: str
    anchored: bool
    decided_at: str | None
    items: list[ErasureItem]
    certificate: ErasureCertificate | None


class ErasureCasePage(Wire):
    items: list[ErasureCase]
    next: str | None


class RetractionBody(Wire):
    """Why a record is wrong; with ``patient`` its content is filed anew under that person."""

    reason: str
    patient: str | None = None


class Retraction(Wire):
    """What was retracted (the record, its source and siblings), and what was filed anew in its place."""

    retracted: list[str]
    filed: list[RecordRef]


class LockBody(Wire):
    """Keep a record from release and erasure until a time."""

    reason: str
    until: str
