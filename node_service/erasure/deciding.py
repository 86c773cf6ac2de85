"""Deciding a case: what the rules allow is ordered, what has to be kept is locked until the rules end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from domain.entries import StatusEntry
from domain.errors import Conflict, NotFound
from domain.identifiers import check_identifier
from domain.instants import instant
from domain.transactions import LockRecord
from node_service.access_log.rows import Entry, record
from node_service.client import erasure_wire
from node_service.context import Node
from node_service.database.erasure_models import ErasureCase, ErasureItem, Removal
from node_service.database.models import Record
from node_service.erasure.cases import is_anchored, items_of, open_hospital_case
from node_service.erasure.family import family
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import enqueue
from node_service.retention.facts import facts_of, history_of
from node_service.retention.file import load_rules
from node_service.retention.rules import Decision, LockedUntil, MayErase, decide, stricter
from node_service.sharing.notices import notify

SYSTEM = "system"


def decide_case(node: Node, officer: str | None, case_id: str) -> None:
    """Decide every record of a case that is not decided, or whose lock has ended; may be repeated.

    Args:
        node: the hospital.
        officer: who decides; None: a lock that an officer's decision made has ended.
        case_id: the case.

    Raises:
        NotFound: there is no such case.
        Conflict: the patient's statement is not on the ledger (yet).
        Tampered, Unavailable: a record could not be opened to see what it is.
    """
    at = node.clock.now()
    while not _decided(node, officer, case_id, at):
        continue  # a relative was made meanwhile: it is looked at, too


def _decided(node: Node, officer: str | None, case_id: str, at: datetime) -> bool:
    """False, and nothing done, if a relative was made between looking and deciding."""
    with node.database.reading() as session:
        case = _case(session, case_id)
        if not is_anchored(session, case):
            raise Conflict("the statement is not on the ledger yet", reason="not-anchored", place=case_id)
        due = [item.record for item in items_of(session, case_id) if _is_due(item, at)]
        due += _relatives(session, case_id, due)
        decisions = _decisions(node, session, case.patient, due, at)
    with node.database.transaction() as session:
        case = _case(session, case_id)
        made = _relatives(session, case_id, due)
        if not decisions.keys() >= set(made):
            return False
        session.add_all(ErasureItem(case=case_id, record=one, named=False, state="requested") for one in made)
        session.flush()
        if officer is not None:
            case.decided_by, case.decided_at = officer, instant(at)
        case.is_open = True
        _apply(node, session, case, decisions, at)
    return True


def order_erasure(node: Node, officer: str, body: erasure_wire.ErasureOrder) -> str:
    """The hospital erases records of one patient by itself: at once where its rules allow; return the case's id.

    Raises:
        NotFound: one of the records is absent, nobody's, or another patient's than the first one's.
        Tampered, Unavailable: as :func:`decide_case`.
    """
    records = sorted({check_identifier(one, "records") for one in body.records})
    with node.database.transaction() as session:
        first = session.get(Record, records[0])
        if first is None or first.patient is None:
            raise NotFound("there is no such record", reason="no-record")
        case = open_hospital_case(node, session, first.patient, records)
    decide_case(node, officer, case)
    return case


def _case(session: Session, case_id: str) -> ErasureCase:
    case = session.get(ErasureCase, check_identifier(case_id, "case"))
    if case is None:
        raise NotFound("there is no such case", reason="no-case")
    return case


def _is_due(item: ErasureItem, at: datetime) -> bool:
    return item.state == "requested" or (item.state == "locked" and (item.until or "") <= instant(at))


def _relatives(session: Session, case_id: str, records: Sequence[str]) -> list[str]:
    """What stands and falls with these records and was made after the case was written down."""
    known = {item.record for item in items_of(session, case_id)}
    found: set[str] = set()
    for record_id in records:
        if record_id not in found:
            members = family(session, session.get_one(Record, record_id))
            found.update(one.id for one in members if one.status != "erased")
    return sorted(found - known)


def _decisions(node: Node, session: Session, patient: str, records: Sequence[str], at: datetime) -> dict[str, Decision]:
    """Records that stand and fall together share the strictest decision among them."""
    rules, history = load_rules(node.settings.retention_path), history_of(node, session, patient)
    decided: dict[str, Decision] = {}
    for record_id in records:
        if record_id in decided:
            continue
        members = [one for one in family(session, session.get_one(Record, record_id)) if one.status != "erased"]
        decision: Decision = MayErase()
        for one in members:
            by_rules = decide(rules, facts_of(node, session, one.id, history, at), at)
            decision = stricter(decision, stricter(by_rules, _hold(node, session, one.id, at)))
        decided.update((one.id, decision) for one in members)
        decided.setdefault(record_id, decision)
    return {one: decided[one] for one in records}


def _hold(node: Node, session: Session, record_id: str, at: datetime) -> Decision:
    """A lock on the ledger binds whatever the rules say."""
    entry = projection.entry(session, StatusEntry, node.msp_id, record_id)
    if entry is None or entry.until is None or entry.until <= instant(at):
        return MayErase()
    return LockedUntil(entry.until, f"hold-{entry.reason or 'lock'}")


def _apply(node: Node, session: Session, case: ErasureCase, decisions: Mapping[str, Decision], at: datetime) -> None:
    for record_id, decision in decisions.items():
        item = session.get_one(ErasureItem, (case.id, record_id))
        match decision:
            case MayErase():
                item.state, item.until, item.rule = "ordered", None, None
                order_removal(session, record_id, "erase", case.decided_by, instant(at))
            case LockedUntil(until, rule):
                item.state, item.until, item.rule = "locked", until, rule
                _lock(node, session, record_id, until)
    for outcome in ("ordered", "locked"):
        ids = tuple(sorted(one for one, decision in decisions.items() if _outcome(decision) == outcome))
        if ids:
            actor = case.decided_by or SYSTEM
            record(node, session, Entry("erase", node.msp_id, actor, case.patient, ids, outcome=outcome))
            notify(node, session, [f"patient:{case.patient}"], f"erasure-{outcome}", [case.id])


def _outcome(decision: Decision) -> str:
    return "ordered" if isinstance(decision, MayErase) else "locked"


def _lock(node: Node, session: Session, record_id: str, until: str) -> None:
    """What may not be erased yet is at least no longer released: the lock on the ledger says so to everybody."""
    row = session.get_one(Record, record_id)
    if row.status == "active":
        row.status = "locked"
    entry = projection.entry(session, StatusEntry, node.msp_id, record_id)
    held = entry is not None and (entry.status not in ("active", "locked") or (entry.until or "") >= until)
    if not held:
        enqueue(node, session, LockRecord(record_id, "retention", until))


def order_removal(
    session: Session, record_id: str, action: str, by: str | None, at: str, reason: str | None = None
) -> None:
    """Order the removal of a record, once; an erasure takes the place of a retraction."""
    present = session.get(Removal, record_id)
    if present is not None and (present.action == action or present.action == "erase"):
        return
    if present is not None:
        reason = reason or present.reason  # should the erasure be held, the retraction goes on
    session.merge(
        Removal(
            record=record_id, action=action, state="ordered", reason=reason,
            ordered_by=by, ordered_at=at, tx_id=None, forgotten_at=None, final_by=None, final_at=None, done_at=None,
        )
    )  # fmt: skip
