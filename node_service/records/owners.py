"""Whose each received resource is: which person's, the directory's, or the institution's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from node_service.context import Node
from node_service.fhir.bundle_index import BundleIndex
from node_service.fhir.compartment import Compartment, CompartmentKind, PatientLink, compartment
from node_service.fhir.quality import Finding, FindingCode
from node_service.fhir.references import ReferenceKind, parse_reference
from node_service.records.identity import Item, person_source_token, stated_identifier
from node_service.records.known import Target
from node_service.records.persons import Card, Claim, People, claim_of_patient

_FOLLOWED_STEPS = 4


@dataclass(frozen=True, slots=True)
class Owner:
    """Kind of a record, with the patient where it is a patient's."""

    kind: str
    patient: str | None = None


INSTITUTION = Owner("institution")


@dataclass(slots=True)
class Owners:
    """Owners by number of the item, and what was noticed on the way."""

    by_index: dict[int, Owner] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Case:
    item: Item
    compartment: Compartment
    claim: Claim | None


def decide_owners(
    node: Node,
    session: Session,
    source: str,
    items: Sequence[Item],
    index: BundleIndex,
    targets: Mapping[str, Target],
    people: People,
    decided: Mapping[int, Owner],
) -> Owners:
    """Decide all items of a run: Patient resources first, then those about a patient, then those that follow others."""
    cases = [_case(node, source, item, index, targets) for item in items]
    people.load(session, [case.claim for case in cases if case.claim is not None])
    owners = Owners(dict(decided))
    for case in sorted(cases, key=lambda one: one.item.resource.resource_type != "Patient"):
        if case.compartment.kind is not CompartmentKind.FOLLOWS:
            owners.by_index[case.item.entry.index] = _owner(case, index, targets, people, owners)
    following = [case for case in cases if case.compartment.kind is CompartmentKind.FOLLOWS]
    for _ in range(_FOLLOWED_STEPS):
        for case in following:
            if case.item.entry.index not in owners.by_index:
                _follow(case, index, targets, owners)
    for case in following:
        owners.by_index.setdefault(case.item.entry.index, INSTITUTION)
    return owners


def _case(node: Node, source: str, item: Item, index: BundleIndex, targets: Mapping[str, Target]) -> _Case:
    found = compartment(item.resource.value, index.type_of)
    if found.kind is not CompartmentKind.PATIENT:
        return _Case(item, found, None)
    if found.patient is None:
        return _Case(item, found, claim_of_patient(node, source, item.resource.value))
    return _Case(item, found, _claim_of_link(node, source, found.patient, index, targets))


def _claim_of_link(
    node: Node, source: str, link: PatientLink, index: BundleIndex, targets: Mapping[str, Target]
) -> Claim | None:
    """What a mere reference says about a person; None where it leads to a Patient of the run or of the store."""
    target = targets.get(link.reference)
    if index.entry_of(link.reference) is not None or (target is not None and target.patient is not None):
        return None
    stated = claim_of_patient(node, source, stated_identifier(link.identifier) if link.identifier else {})
    kind, _, patient_id = parse_reference(link.reference)
    if kind is ReferenceKind.CONTAINED or not link.reference:
        return stated
    name = patient_id if kind is ReferenceKind.RELATIVE else link.reference.removeprefix("urn:uuid:")
    return Claim(person_source_token(node.secrets, source, name), stated.identifier_tokens, Card())


def _owner(case: _Case, index: BundleIndex, targets: Mapping[str, Target], people: People, owners: Owners) -> Owner:
    match case.compartment.kind:
        case CompartmentKind.DIRECTORY:
            return Owner("directory")
        case CompartmentKind.PATIENT:
            return Owner("patient", _patient(case, index, targets, people, owners))
        case _:
            return INSTITUTION


def _patient(case: _Case, index: BundleIndex, targets: Mapping[str, Target], people: People, owners: Owners) -> str:
    if case.claim is not None:
        decided = people.decide(case.claim)
        if decided.contradiction:
            owners.findings.append(Finding(FindingCode.CONTRADICTION, case.item.place))
        return decided.patient
    reference = case.compartment.patient.reference if case.compartment.patient else ""
    position = index.entry_of(reference)
    named = owners.by_index.get(position) if position is not None else None
    if named is not None and named.patient is not None:
        return people.chosen(named.patient)
    target = targets.get(reference)
    if target is not None and target.patient is not None:
        return people.chosen(target.patient)
    return people.decide(Claim(None, (), Card())).patient


def _follow(case: _Case, index: BundleIndex, targets: Mapping[str, Target], owners: Owners) -> None:
    """Those whom all followed resources belong to; different owners, or one that is not known: the institution."""
    named = list(_followed(case, index, targets, owners))
    if not named or any(owner is None for owner in named):
        return
    first = named[0]
    same = first is not None and first.kind == "patient" and all(owner == first for owner in named)
    owners.by_index[case.item.entry.index] = first if same and first is not None else INSTITUTION


def _followed(case: _Case, index: BundleIndex, targets: Mapping[str, Target], owners: Owners) -> Iterator[Owner | None]:
    for reference in case.compartment.follows:
        position = index.entry_of(reference)
        target = targets.get(reference)
        if position is not None:
            yield owners.by_index.get(position)
        elif target is not None and target.kind is not None:
            yield Owner(target.kind, target.patient)
        else:
            yield INSTITUTION
