"""Reviews of a broken glass by the privacy officers of both hospitals; the note stays sealed in the own database."""

from __future__ import annotations

from sqlalchemy.orm import Session

from domain import jcs, leaves
from domain.checks import check_member
from domain.entries import ReviewEntry
from domain.errors import Conflict, Denied, NotFound
from domain.identifiers import check_identifier, encode_bytes
from domain.instants import instant
from domain.transactions import ReviewBreakGlass
from domain.vocabulary import REVIEW_OUTCOMES
from node_service.access_log.rows import Entry, record
from node_service.client.wire import Committed, ReviewBody
from node_service.context import Node
from node_service.database.models import EmergencyAdmission, EmergencyReview, OpenedAccess
from node_service.ledger_sync import projection
from node_service.ledger_sync.submission import submit_and_wait
from node_service.sharing.notices import notify


async def review(node: Node, officer: str, emergency: str, body: ReviewBody) -> Committed:
    """Keep the verdict and put it on the ledger; the same verdict again is a success.

    Raises:
        Invalid: no such outcome.
        NotFound: this hospital has no part in such an emergency.
        Denied: nobody reviews what they opened themselves.
        Conflict: another verdict of this hospital is there.
        Unavailable, OutcomeUnknown: review again with the same words.
    """
    check_identifier(emergency, "emergency")
    check_member(body.outcome, "outcome", REVIEW_OUTCOMES)
    transaction, is_new = await node.in_database(_keep, node, officer, emergency, body)
    done = await submit_and_wait(node, transaction)
    if is_new:
        await node.in_database(_tell, node, officer, emergency)
    return Committed(id=emergency, tx_id=done.tx_id, block=done.block)


def _keep(node: Node, officer: str, emergency: str, body: ReviewBody) -> tuple[ReviewBreakGlass, bool]:
    """Write the verdict down once, with a fresh salt; and whether the ledger has none of this hospital yet."""
    context = ["emergency_review", "note", emergency]
    with node.database.transaction() as session:
        _check_part(session, officer, emergency)
        is_new = projection.entry(session, ReviewEntry, emergency, node.msp_id) is None
        row = session.get(EmergencyReview, emergency)
        if row is not None:
            known = jcs.parse_object(node.secrets.open_local(context, row.note))
            if (row.reviewer, row.outcome, known.get("note")) != (officer, body.outcome, body.note):
                raise Conflict("this hospital has reviewed already", reason="reviewed")
            return ReviewBreakGlass(emergency, row.outcome, officer, str(known.get("digest"))), is_new
        salt = node.random(leaves.SALT_BYTES)
        digest = leaves.keyed_digest(body.note, salt)
        note = jcs.canonical({"note": body.note, "salt": encode_bytes(salt), "digest": digest})
        session.add(
            EmergencyReview(
                emergency=emergency,
                reviewer=officer,
                outcome=body.outcome,
                note=node.secrets.seal_local(context, note, node.random),
                reviewed_at=instant(node.clock.now()),
            )
        )
    return ReviewBreakGlass(emergency, body.outcome, officer, digest), is_new


def _check_part(session: Session, officer: str, emergency: str) -> None:
    opened = session.get(OpenedAccess, emergency)
    own = opened is not None and opened.kind == "emergency"
    if not own and session.get(EmergencyAdmission, emergency) is None:
        raise NotFound("there is no such emergency")
    if opened is not None and opened.practitioner == officer:
        raise Denied("nobody reviews what they opened themselves", reason="self-review")


def _tell(node: Node, officer: str, emergency: str) -> None:
    """At the custodian the verdict is a row of the patient's log, and a notice."""
    with node.database.transaction() as session:
        admission = session.get(EmergencyAdmission, emergency)
        patient = None if admission is None else admission.patient
        record(node, session, Entry("review", node.msp_id, officer, patient, access=emergency))
        if patient is not None:
            notify(node, session, [f"patient:{patient}"], "break-glass-reviewed", [emergency])
