"""One-time codes: handed out after the person was identified at the counter; only a keyed hash is kept."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Final

from sqlalchemy.orm import Session

from domain.errors import Conflict, Denied, NotFound
from domain.identifiers import check_identifier
from domain.instants import instant
from node_service.client.wire import EnrolmentCodeIssued, HospitalCard
from node_service.context import Node
from node_service.database.models import EnrolmentCode, Person
from node_service.lifetimes import is_live

LIFETIME: Final = timedelta(minutes=10)
MAX_FAILURES: Final = 5
MAX_CODE_CHARACTERS: Final = 64
_CODE_BYTES: Final = 10  # 80 bits: 16 characters of base32
_GROUP: Final = 4


def issue_code(node: Node, patient: str, issued_by: str, hospital: HospitalCard) -> EnrolmentCodeIssued:
    """A fresh code for a person whose identity was checked.

    Raises:
        NotFound: there is no such person.
        Conflict: the person has a wallet already, or the registration is closed.
    """
    check_identifier(patient, "patient")
    code = base64.b32encode(node.random(_CODE_BYTES)).decode()
    expires_at = instant(node.clock.now() + LIFETIME)
    with node.database.transaction() as session:
        person = session.get(Person, patient)
        if person is None:
            raise NotFound("there is no such person")
        if person.status not in ("unclaimed", "enrolling"):
            raise Conflict("the person is enrolled or closed", reason=person.status)
        session.add(
            EnrolmentCode(
                code_hash=code_hash(node, code), patient=patient, issued_by=issued_by, expires_at=expires_at, failures=0
            )
        )
    shown = "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))
    return EnrolmentCodeIssued(code=shown, expires_at=expires_at, hospital=hospital)


def live_code(node: Node, session: Session, code: str) -> EnrolmentCode:
    """The row of a code that may be used.

    A code that was used stays good for repeating the very same enrolment until it expires, so that a wallet that lost
    the answer can ask again; :mod:`node_service.sharing.enrolment` compares.

    Raises:
        Denied: unknown, expired, or failed too often; all look the same.
    """
    row = session.get(EnrolmentCode, code_hash(node, code)) if len(code) <= MAX_CODE_CHARACTERS else None
    if row is None or not is_live(row.expires_at, node.clock.now(), LIFETIME) or row.failures >= MAX_FAILURES:
        raise Denied("the code is not accepted", reason="enrolment-code")
    return row


def count_failure(node: Node, code: str) -> None:
    """Note that an enrolment with this code failed."""
    with node.database.transaction() as session:
        row = session.get(EnrolmentCode, code_hash(node, code))
        if row is not None:
            row.failures += 1


def code_hash(node: Node, code: str) -> bytes:
    """HMAC of the code as it is typed: case, hyphens and blanks do not count."""
    return node.secrets.blind("enrolment-code", code.upper().replace("-", "").replace(" ", ""))
