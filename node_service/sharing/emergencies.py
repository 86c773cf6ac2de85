"""Break-glass at the custodian: at most so many patients an hour, the patient told before the answer.

What exceeds the limit is held for the duty officer. The patient's refusal (a dissent that names BTG) was decided
before (:mod:`node_service.sharing.openings`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from domain.errors import Conflict, Denied, NotFound, Unavailable
from domain.instants import instant
from node_service.access_log.rows import Entry, record
from node_service.context import Node
from node_service.database.models import EmergencyAdmission
from node_service.sharing.notices import notify
from node_service.sharing.openings import EmergencyBasis, LiveOpening
from offchain.envelope.messages import SealedMessage

DUTY_OFFICER: Final = "role:privacy-officer"
LIMIT_PERIOD: Final = timedelta(hours=1)
_OPEN: Final = ("admitted", "approved")


def admit(node: Node, live: LiveOpening, reader: SealedMessage | None) -> None:
    """Let an emergency in, once, and tell patient and privacy officer; a grant passes without effect.

    When this returns, the patient's notice is durable.

    Raises:
        Denied: the reader's name was not sealed to the patient, or the duty officer refused.
        Unavailable: held for the duty officer (``held``), or the database cannot write.
    """
    if not isinstance(live.basis, EmergencyBasis):
        return
    if reader is None:
        raise Denied("an emergency brings the reader's name, sealed to the patient", reason="no-reader")
    with node.database.transaction() as session:
        admission = session.get(EmergencyAdmission, live.id) or _decide(node, session, live, reader)
        status = admission.status
    if status == "refused":
        raise Denied("the duty officer refused", reason="refused")
    if status not in _OPEN:
        raise Unavailable("the emergency is held for the duty officer", reason="held")


def decide_held(node: Node, officer: str, emergency: str, *, approve: bool) -> None:
    """The duty officer's decision about a held emergency.

    Raises:
        NotFound: no such emergency here.
        Conflict: it is not held.
    """
    with node.database.transaction() as session:
        admission = session.get(EmergencyAdmission, emergency)
        if admission is None:
            raise NotFound("there is no such emergency")
        if admission.status != "held":
            raise Conflict("the emergency is not held", reason=admission.status)
        admission.status, admission.decided_by = ("approved" if approve else "refused"), officer
        if approve:
            _tell(node, session, admission)


def _decide(node: Node, session: Session, live: LiveOpening, reader: SealedMessage) -> EmergencyAdmission:
    admission = EmergencyAdmission(
        id=live.id,
        requester=live.caller,
        practitioner=live.practitioner,
        patient=live.patient,
        status="held" if _is_over_limit(node, session, live) else "admitted",
        at=instant(node.clock.now()),
    )
    session.add(admission)
    if admission.status == "held":
        notify(node, session, [DUTY_OFFICER], "emergency-held", [live.id])
    else:
        _tell(node, session, admission)
    held_for = "ok" if admission.status == "admitted" else "held"
    record(
        node,
        session,
        Entry(
            action="break-glass",
            organisation=live.caller,
            actor=live.practitioner,
            patient=live.patient,
            purpose=live.purpose,
            access=live.id,
            outcome=held_for,
            reader=reader,
        ),
    )
    return admission


def _tell(node: Node, session: Session, admission: EmergencyAdmission) -> None:
    recipients = [f"patient:{admission.patient}", DUTY_OFFICER]
    notify(node, session, recipients, "break-glass", [admission.id])


def _is_over_limit(node: Node, session: Session, live: LiveOpening) -> bool:
    """Other patients within the hour; the same patient again does not count twice.

    Pseudonyms of practitioners are the requester's word, so the hospital as a whole has a limit too.
    """
    by_hospital = select(func.count(EmergencyAdmission.patient.distinct())).where(
        EmergencyAdmission.requester == live.caller,
        EmergencyAdmission.at > instant(node.clock.now() - LIMIT_PERIOD),
        EmergencyAdmission.patient != live.patient,
    )
    by_practitioner = by_hospital.where(EmergencyAdmission.practitioner == live.practitioner)
    settings = node.settings
    return (
        session.execute(by_practitioner).scalar_one() >= settings.emergencies_per_practitioner_hour
        or session.execute(by_hospital).scalar_one() >= settings.emergencies_per_hospital_hour
    )
