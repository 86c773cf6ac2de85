"""The consent decision over FHIR R4 Consents: ``evaluate(consents, request) → Permit | Deny(reason)``.

Source: IHE Privacy Consent on FHIR (PCF), basic and intermediate consents. A rule matches if every criterion that it
states matches; where the request lacks the fact, a permit does not match and a deny does. A nested rule inherits
purpose, actor and period that it does not state, a nested permit the actions too. Order: nested deny, nested permit,
root, otherwise deny. A criterion that is not evaluated here (security labels, codes, foreign content classes), or a
reference in another form than ``Type/id``, makes the whole Consent ``unsupported``: it permits nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from domain.consent_rules import Consent, Rule, Unsupported, parse_consent
from domain.decisions import Deny, Permit
from domain.errors import Invalid
from domain.jcs import JsonObject
from domain.resource_facts import ResourceFacts, is_literal, may_mean

REASONS: Final = ("no-rule", "denied", "not-active", "out-of-period", "other-patient", "unsupported", "dissent")
_MOST_TELLING: Final = ("denied", "unsupported", "no-rule", "out-of-period", "not-active", "other-patient")


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """Who wants what, what for, and when.

    Attributes:
        at: the moment, with its zone.
        purpose: ``code`` or ``system|code``, None where none was given.
        actors: references to the person, the groups and the organisation that ask.
        action: code of FHIR ``consentaction``.
    """

    at: datetime
    purpose: str | None
    actors: tuple[str, ...]
    resource: ResourceFacts
    action: str = "access"

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise Invalid("a point in time needs its zone", place="at")


def evaluate(consents: Sequence[JsonObject], request: ConsentRequest, *, zone: tzinfo = UTC) -> Permit | Deny:
    """Decide one request over all Consents that may bear on it.

    A Consent whose root denies is a dissent: where it denies the request, no other Consent permits it. All others are
    independent: one that permits is enough.

    Args:
        zone: in which dates without a time are meant.

    Returns:
        Deny with one of :data:`REASONS`; ``dissent`` where another Consent would have permitted.
    """
    decisions = [_decide(consent, request, zone) for consent in consents]
    reasons = [decision.reason for _, decision in decisions if isinstance(decision, Deny)]
    if len(reasons) == len(decisions):
        return Deny(next((reason for reason in _MOST_TELLING if reason in reasons), "no-rule"))
    refusals = [decision.reason for permits, decision in decisions if not permits and isinstance(decision, Deny)]
    if "denied" in refusals:
        return Deny("dissent")
    return Deny("unsupported") if "unsupported" in refusals else Permit()


def _decide(source: JsonObject, request: ConsentRequest, zone: tzinfo) -> tuple[bool, Permit | Deny]:
    """Whether the root permits (as far as it can be told), and the Consent's own decision."""
    provision = source.get("provision")
    permits = provision is None or (isinstance(provision, dict) and provision.get("type") == "permit")
    if source.get("status") != "active":
        return permits, Deny("not-active")
    try:
        consent = parse_consent(source, zone)
    except (Unsupported, Invalid):
        return permits, Deny("unsupported")
    return permits, _apply(consent, request)


def _apply(consent: Consent, request: ConsentRequest) -> Permit | Deny:
    if not consent.is_privacy:
        return Deny("not-active")
    if request.resource.patient is None or consent.patient != request.resource.patient:
        return Deny("other-patient")
    root = consent.root
    if root is None:
        return Deny("no-rule")
    if root.period is not None and not root.period.contains(request.at):
        return Deny("out-of-period")
    nested = [_inherit(rule, root) for rule in root.nested]
    denies = [rule for rule in nested if not rule.permits]
    permits = [rule for rule in nested if rule.permits]
    for rule in (*denies, *permits, root):
        if _matches(rule, request):
            return Permit() if rule.permits else Deny("denied")
    return Deny("no-rule")


def _inherit(rule: Rule, root: Rule) -> Rule:
    return replace(
        rule,
        purposes=root.purposes if rule.purposes is None else rule.purposes,
        actors=root.actors if rule.actors is None else rule.actors,
        period=root.period if rule.period is None else rule.period,
        actions=root.actions if rule.actions is None and rule.permits else rule.actions,
    )


def _matches(rule: Rule, request: ConsentRequest) -> bool:
    """Every stated criterion matches; ``None`` from a criterion means that the request lacks the fact."""
    verdicts = (
        _period_matches(rule, request),
        _purpose_matches(rule, request),
        _actor_matches(rule, request),
        rule.actions is None or request.action in rule.actions,
        _class_matches(rule, request.resource),
        _data_period_matches(rule, request.resource),
        _data_matches(rule, request.resource),
    )
    return all(not rule.permits if verdict is None else verdict for verdict in verdicts)


def _period_matches(rule: Rule, request: ConsentRequest) -> bool:
    return rule.period is None or rule.period.contains(request.at)


def _purpose_matches(rule: Rule, request: ConsentRequest) -> bool | None:
    if rule.purposes is None:
        return True
    if request.purpose is None:
        return None
    system, _, code = request.purpose.rpartition("|")
    return any(code == given and (not system or not of or system == of) for of, given in rule.purposes)


def _actor_matches(rule: Rule, request: ConsentRequest) -> bool | None:
    if rule.actors is None:
        return True
    return bool(rule.actors & set(request.actors)) if request.actors else None


def _class_matches(rule: Rule, resource: ResourceFacts) -> bool | None:
    """The listed resource types and the listed ledger categories are alternatives."""
    if rule.types is None and rule.categories is None:
        return True
    if rule.types is not None and resource.type in rule.types:
        return True
    if rule.categories is None:
        return False
    return resource.category in rule.categories if resource.category is not None else None


def _data_period_matches(rule: Rule, resource: ResourceFacts) -> bool | None:
    if rule.data_period is None:
        return True
    if resource.clinical is None:
        return None
    if rule.permits:
        return rule.data_period.covers(resource.clinical)
    return rule.data_period.overlaps(resource.clinical)


def _data_matches(rule: Rule, resource: ResourceFacts) -> bool | None:
    """The listed data are alternatives; a resource can lack its authors, or tell them and its encounter unreadably."""
    if rule.data is None:
        return True
    loose = [other for other in resource.references if not is_literal(other)]
    unknown = False
    for meaning, reference in rule.data:
        if meaning == "authoredby":
            matches = reference in resource.authors
            unknown = unknown or not resource.authors or not all(map(is_literal, resource.authors))
        else:
            matches = reference == resource.reference or (meaning != "instance" and reference in resource.references)
            unknown = unknown or (meaning != "instance" and any(may_mean(other, reference) for other in loose))
        if matches:
            return True
    return None if unknown else False
