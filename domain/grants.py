"""What a grant on the ledger allows: pure decisions over the values of the contract's state.

Source: docs/formats/ledger.md, rules 4, 5, 6, 11. The contract asks :func:`decide_opening` when an access is announced;
the custodian asks :func:`decide` again for every record, by its own clock, before a key is released. The full FHIR
Consent behind the grant can only narrow the answer (:mod:`domain.consent`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from domain.decisions import Deny, Permit
from domain.entries import DissentEntry, GrantEntry
from domain.instants import check_instant
from domain.vocabulary import BREAK_GLASS_PURPOSE


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Who wants to read under a grant, what for, and when.

    Attributes:
        practitioner: pseudonym of the person, None where a program asks.
        at: the moment of the decision, by the clock of whoever decides.
    """

    organization: str
    practitioner: str | None
    purpose: str
    at: str

    def __post_init__(self) -> None:
        check_instant(self.at, "at")


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What the terms of a grant look at in a record.

    Attributes:
        permission: ``read``, ``keep`` or ``contribute``.
        recorded_at: when the custodian stored this version.
    """

    category: str
    permission: str
    recorded_at: str

    def __post_init__(self) -> None:
        check_instant(self.recorded_at, "recorded_at")


def decide_opening(grant: GrantEntry, *, registration: str, floor: int, request: AccessRequest) -> Permit | Deny:
    """Whether an access may be opened under a grant.

    Args:
        registration: status of the patient's registration.
        floor: the patient's lowest valid grant epoch (1 where the ledger has none).

    Returns:
        Deny with reason ``not-active``, ``closed``, ``below-floor``, ``other-organization``, ``other-practitioner``,
        ``purpose`` or ``out-of-period``, the first that applies.
    """
    terms = grant.terms
    if grant.status != "active" or terms is None:
        return Deny("not-active")
    if registration != "active":
        return Deny("closed")
    if grant.grant_epoch < floor:
        return Deny("below-floor")
    if request.organization != terms.grantee:
        return Deny("other-organization")
    if terms.practitioner is not None and request.practitioner != terms.practitioner:
        return Deny("other-practitioner")
    if request.purpose not in terms.purposes:
        return Deny("purpose")
    if not terms.valid_from <= request.at < terms.valid_until:
        return Deny("out-of-period")
    return Permit()


def decide(
    grant: GrantEntry,
    *,
    registration: str,
    floor: int,
    dissents: Iterable[DissentEntry],
    request: AccessRequest,
    record: RecordFacts,
) -> Permit | Deny:
    """Whether one record may be released under a grant, as far as the ledger says.

    Returns:
        Deny with a reason of :func:`decide_opening`, or ``category``, ``permission``, ``recorded-later`` (the grant
        covers what was stored before its ``recorded_until``), ``dissent``.
    """
    opening = decide_opening(grant, registration=registration, floor=floor, request=request)
    terms = grant.terms
    if isinstance(opening, Deny) or terms is None:
        return opening
    if record.category not in terms.categories:
        return Deny("category")
    if record.permission not in terms.permissions:
        return Deny("permission")
    if terms.recorded_until is not None and record.recorded_at >= terms.recorded_until:
        return Deny("recorded-later")
    if is_refused(dissents, record.category, request.purpose):
        return Deny("dissent")
    return Permit()


def decide_emergency(dissents: Iterable[DissentEntry], category: str, categories: Iterable[str]) -> Permit | Deny:
    """Whether a record of a category may be released under break-glass for the announced categories.

    Returns:
        Deny with reason ``category``, or ``dissent`` where the patient closed the break-glass door.
    """
    if category not in tuple(categories):
        return Deny("category")
    return Deny("dissent") if is_refused(dissents, category, BREAK_GLASS_PURPOSE) else Permit()


def is_refused(dissents: Iterable[DissentEntry], category: str, purpose: str) -> bool:
    """True if a live dissent covers the category and the purpose."""
    return any(
        dissent.status == "active"
        and dissent.terms is not None
        and category in dissent.terms.categories
        and purpose in dissent.terms.purposes
        for dissent in dissents
    )
