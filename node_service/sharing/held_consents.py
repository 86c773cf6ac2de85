"""The full FHIR Consents behind grants and dissents, sealed in the database until the patient or a decision asks."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy.orm import Session

from domain import jcs, leaves, wire
from domain.errors import Conflict, Denied, Invalid, Tampered
from domain.identifiers import decode_bytes
from domain.instants import instant
from node_service.context import Node
from node_service.database.models import HeldConsent

Role = Literal["custodian", "grantee"]


@dataclass(frozen=True, slots=True)
class ConsentCopy:
    """A Consent with the salt of its keyed digest and the statement that names the digest."""

    consent: jcs.JsonObject = field(repr=False)
    salt: str = field(repr=False)
    statement: str = field(repr=False)
    signature: str

    def __post_init__(self) -> None:
        if not isinstance(self.consent, dict) or self.consent.get("resourceType") != "Consent":
            raise Invalid("a FHIR Consent is expected", place="consent")
        jcs.check_signable(self.consent)
        decode_bytes(self.salt, "salt", length=leaves.SALT_BYTES)

    def verify_digest(self, expected: str) -> None:
        """Compare with the keyed digest in the signed terms.

        Raises:
            Denied: this is not the Consent that was signed for.
        """
        digest = leaves.keyed_digest(self.consent, decode_bytes(self.salt, "salt"))
        if not hmac.compare_digest(digest, expected):
            raise Denied("the Consent is not the one that was signed", reason="consent-digest")


def hold(
    node: Node,
    session: Session,
    copy: ConsentCopy,
    *,
    consent_id: str,
    kind: str,
    role: Role,
    patient: str,
    custodian: str,
) -> HeldConsent:
    """Keep a Consent; the same one again is a success without effect, and what was confirmed stays.

    Raises:
        Conflict: the patient has used the id for another Consent.
    """
    row = session.get(HeldConsent, (patient, consent_id, role))
    if row is not None and (row.custodian, row.kind) != (custodian, kind):
        raise Conflict("the id is used for another Consent", reason="consent-id")
    if row is None:
        row = HeldConsent(
            id=consent_id,
            kind=kind,
            role=role,
            patient=patient,
            custodian=custodian,
            content=node.secrets.seal_local(
                _context(patient, consent_id, role), jcs.canonical(wire.to_json(copy)), node.random
            ),
            received_at=instant(node.clock.now()),
        )
        session.add(row)
    return row


def open_copy(node: Node, row: HeldConsent) -> ConsentCopy:
    """The Consent of a row.

    Raises:
        Tampered: the row was altered or moved.
    """
    role: Role = "custodian" if row.role == "custodian" else "grantee"
    opened = node.secrets.open_local(_context(row.patient, row.id, role), row.content)
    try:
        return wire.from_json(ConsentCopy, jcs.parse_object(opened))
    except Invalid as error:
        raise Tampered("a held Consent cannot be read", reason="sealed-value") from error


def find(node: Node, session: Session, patient: str, consent_id: str, role: Role) -> ConsentCopy | None:
    """The held Consent of a patient's grant or dissent, or None."""
    row = session.get(HeldConsent, (patient, consent_id, role))
    return None if row is None else open_copy(node, row)


def _context(patient: str, consent_id: str, role: Role) -> list[str]:
    return ["held_consent", "content", role, patient, consent_id]
