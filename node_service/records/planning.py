"""From received resources to drafts: which record and version each is, whose, and what its references become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import instant
from node_service.context import Node
from node_service.fhir.bundle_index import BundleIndex, index_bundle
from node_service.fhir.category import category
from node_service.fhir.clinical_date import clinical_date
from node_service.fhir.quality import Finding, FindingCode, findings
from node_service.fhir.references import Reference, ReferenceKind, reference_paths
from node_service.fhir.resource import Resource
from node_service.fhir.splice import splice
from node_service.records.drafts import FHIR_JSON, Draft
from node_service.records.identity import Item, reference_tokens, resource_token
from node_service.records.known import Known, Target, known_records, records_by_token, stored_targets
from node_service.records.owners import Owner, Owners, decide_owners
from node_service.records.persons import People
from offchain.envelope.content import Description, PlainBytes

_MAX_CLINICAL_CHARACTERS = 32
_DESCRIPTION = Description(FHIR_JSON)


@dataclass(slots=True)
class Plan:
    """What a run will write.

    Attributes:
        drafts: by number of the item, in the order of input.
        placed: record and version of every item that is or will be stored.
        unchanged: how many items are equal to the current version of their record.
        refused: items whose record belongs to somebody else or is closed, with the reason.
        displaced: numbers of those whose record is somebody else's: no reference of the run leads there.
        reserved: tokens of Patients that references name before the Patient resource comes.
    """

    people: People
    drafts: dict[int, Draft] = field(default_factory=dict)
    placed: dict[int, tuple[str, int]] = field(default_factory=dict)
    unchanged: int = 0
    refused: list[tuple[Item, str]] = field(default_factory=list)
    displaced: set[int] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    reserved: dict[bytes, str] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class _View:
    """What planning looks at: the run's own items, and what the database holds of them and their targets."""

    node: Node
    source: str
    index: BundleIndex
    items: Mapping[int, Item]
    known: Mapping[bytes, Known]
    content: Mapping[int, bytes]
    records: dict[int, str]
    targets: dict[str, Target]
    at: datetime


def plan(node: Node, session: Session, source: str, items: Sequence[Item], patient: str | None = None) -> Plan:
    """Plan a run; nothing is written.

    Args:
        node: the hospital.
        session: a view of the database.
        source: the name of the source system.
        items: valid resources, no identity of input twice.
        patient: the person to whom all patients' records of the run go, if the caller says so.

    Raises:
        NotFound: that person is unknown.
    """
    view = _view(node, session, source, items)
    made = Plan(People(node, patient))
    fresh = [item for item in items if not _is_unchanged(view, item)]
    for item in items:
        if _is_unchanged(view, item):
            known = view.known[item.source_token]
            made.placed[item.entry.index] = (known.record, known.version)
            made.unchanged += 1
    owners = _owners(session, view, items, fresh, made)
    made.findings.extend(owners.findings)
    accepted = [item for item in fresh if not _refuse(view, item, owners.by_index[item.entry.index], made)]
    for item in accepted:
        _plan_item(view, item, owners.by_index[item.entry.index], made)
    return made


def _view(node: Node, session: Session, source: str, items: Sequence[Item]) -> _View:
    index = index_bundle(item.entry for item in items)
    known = known_records(session, {item.source_token for item in items})
    outside = {
        reference.text
        for item in items
        for reference in item.resource.references
        if reference.kind is not ReferenceKind.CONTAINED and index.entry_of(reference.text) is None
    }
    view = _View(
        node=node,
        source=source,
        index=index,
        items={item.entry.index: item for item in items},
        known=known,
        content={item.entry.index: node.secrets.blind_content(item.resource.encoded) for item in items},
        records={},
        targets=stored_targets(session, node.secrets, source, outside),
        at=node.clock.now(),
    )
    _choose_records(session, view, items)
    return view


def _choose_records(session: Session, view: _View, items: Sequence[Item]) -> None:
    """The record id of each item: its own, one that a reference to a Patient reserved, or a new one."""
    patients = {
        item.entry.index: resource_token(view.node.secrets, view.source, "Patient", item.resource.id)
        for item in items
        if item.resource.resource_type == "Patient" and item.resource.id and item.source_token not in view.known
    }
    reserved = records_by_token(session, set(patients.values()))
    used = stored_targets(
        session, view.node.secrets, view.source, [f"Patient/{record}" for record in reserved.values()]
    )
    free = {token: record for token, record in reserved.items() if f"Patient/{record}" not in used}
    for item in items:
        number = item.entry.index
        if item.source_token in view.known:
            view.records[number] = view.known[item.source_token].record
        else:
            held = free.pop(patients[number], None) if number in patients else None
            view.records[number] = held or _new_record(view.node)


def _owners(session: Session, view: _View, items: Sequence[Item], fresh: Sequence[Item], made: Plan) -> Owners:
    unchanged = {
        item.entry.index: Owner(view.known[item.source_token].kind, view.known[item.source_token].patient)
        for item in items
        if item.entry.index in made.placed
    }
    return decide_owners(view.node, session, view.source, fresh, view.index, view.targets, made.people, unchanged)


def _is_unchanged(view: _View, item: Item) -> bool:
    known = view.known.get(item.source_token)
    return known is not None and known.content_token == view.content[item.entry.index]


def _refuse(view: _View, item: Item, owner: Owner, made: Plan) -> bool:
    known = view.known.get(item.source_token)
    if known is not None and (known.kind, known.patient) != (owner.kind, owner.patient):
        made.refused.append((item, "other-patient"))
        made.displaced.add(item.entry.index)
    elif known is not None and known.status != "active":
        made.refused.append((item, f"record-{known.status}"))
    else:
        return False
    return True


def _plan_item(view: _View, item: Item, owner: Owner, made: Plan) -> None:
    known = view.known.get(item.source_token)
    resolved = dict(_resolved(view, item, made))
    draft = _draft(view, item, owner, known, resolved)
    made.drafts[item.entry.index] = draft
    made.placed[item.entry.index] = (draft.record, draft.version)
    made.findings.extend(item.noted)
    made.findings.extend(findings(item.resource.value, place=item.place, now=view.at))
    made.findings.extend(_unresolved(item, resolved))


def _draft(view: _View, item: Item, owner: Owner, known: Known | None, resolved: Mapping[int, str]) -> Draft:
    resource = item.resource
    version = known.version + 1 if known else 1
    record = view.records[item.entry.index]
    stored = splice(
        resource,
        record_id=record,
        version_id=str(version),
        last_updated=instant(view.at),
        references=resolved,
    )
    return Draft(
        record=record,
        version=version,
        kind=owner.kind,
        patient=owner.patient,
        resource_type=resource.resource_type,
        category=category(resource.value),
        media_type=FHIR_JSON,
        content=PlainBytes(stored.stored, _DESCRIPTION),
        source_token=item.source_token,
        content_token=view.content[item.entry.index],
        clinical=_clinical(resource),
        undo=stored.undo,
        tokens=tuple(dict.fromkeys(reference_tokens(view.node.secrets, view.source, resource))),
        previous_leaf=known.leaf_hash if known else None,
    )


def _resolved(view: _View, item: Item, made: Plan) -> Iterator[tuple[int, str]]:
    """Position and new text of every reference that leads to a record of this hospital."""
    for position, reference in enumerate(item.resource.references):
        if reference.kind is ReferenceKind.CONTAINED:
            continue
        target = _target(view, reference, made)
        if target is not None:
            yield position, target


def _target(view: _View, reference: Reference, made: Plan) -> str | None:
    number = view.index.entry_of(reference.text)
    if number is not None and number in made.displaced:
        return None
    if number is not None:
        return f"{view.index.types[number]}/{view.records[number]}"
    known = view.targets.get(reference.text)
    if known is not None:
        return known.reference
    if reference.kind is ReferenceKind.RELATIVE and reference.target_type == "Patient":
        token = resource_token(view.node.secrets, view.source, "Patient", reference.target_id)
        record = made.reserved.setdefault(token, _new_record(view.node))
        return f"Patient/{record}"
    return None


def _unresolved(item: Item, resolved: Mapping[int, str]) -> Iterator[Finding]:
    missing = [
        position
        for position, reference in enumerate(item.resource.references)
        if position not in resolved and reference.kind is not ReferenceKind.CONTAINED
    ]
    if missing:
        paths = reference_paths(item.resource.value)
        for position in missing:
            yield Finding(FindingCode.UNRESOLVED, f"{item.place}.{paths[position]}" if item.place else paths[position])


def _clinical(resource: Resource) -> tuple[str | None, str | None]:
    """Start and end as written; longer spellings, with many digits of a second, in UTC."""
    found = clinical_date(resource.value)
    if found is None:
        return None, None
    bounds = zip(found.written, (found.start, found.before), strict=True)
    texts = [
        text if len(text) <= _MAX_CLINICAL_CHARACTERS else (bound.isoformat() if bound else "")
        for text, bound in bounds
    ]
    return texts[0] or None, texts[1] or None


def _new_record(node: Node) -> str:
    return identifier(node.random(IDENTIFIER_BYTES))
