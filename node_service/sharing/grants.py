"""The patient's own view: grants, dissents, and what a grant would release today."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy.orm import Session

from domain import jcs, messages, statements
from domain import wire as wire_values
from domain.decisions import Deny
from domain.entries import DissentEntry, FloorEntry, GrantEntry
from domain.grants import AccessRequest, decide_opening
from domain.instants import instant, moment
from node_service.access_log.rows import Entry, record_alone, wrap_key
from node_service.client import wire
from node_service.context import Node
from node_service.ledger_sync import projection
from node_service.records.entries import page_of_patient
from node_service.sharing import held_consents
from node_service.sharing.candidates import judge, readable
from node_service.sharing.consent_content import check_consent, time_zone
from node_service.sharing.openings import GrantBasis, LiveOpening, dissents_of, registration_of
from node_service.sharing.sealed_messages import to_wire
from offchain.envelope.messages import seal_message

ANY_PRACTITIONER = "a" * 26
"""Stands for whoever the grantee lets, where terms name nobody."""


def list_grants(node: Node, patient: str) -> wire.GrantPage:
    """Grants and dissents of a patient as the ledger has them, with the Consents sealed back to the wallet."""
    with node.database.reading() as session:
        floor = projection.entry(session, FloorEntry, patient)
        lowest = 1 if floor is None else floor.grant_epoch
        registration = registration_of(session, patient)
        grants = [
            _entry(
                node, session, patient, names[1], entry.status, entry.terms, _is_live(node, entry, registration, lowest)
            )
            for names, entry in projection.typed_states(session, GrantEntry, patient)
        ]
        dissents = [
            _entry(node, session, patient, names[1], entry.status, entry.terms, entry.status == "active")
            for names, entry in projection.typed_states(session, DissentEntry, patient)
        ]
    return wire.GrantPage(grants=grants, dissents=dissents, floor=lowest)


def preview(node: Node, patient: str, body: wire.PreviewRequest) -> wire.Preview:
    """What a grant of these terms would release today (or once it begins), by the very decision at release.

    Raises:
        Invalid: terms or Consent break a rule.
        Unavailable: the access row cannot be written.
    """
    terms = wire_values.from_json(statements.GrantTerms, jcs.parse_object(jcs.canonical(body.terms)), "terms")
    check_consent(body.consent, patient, time_zone(node.settings))
    with node.database.reading() as session:
        judge_now = judge(node, session, _as_if_open(node, session, patient, terms, body.consent))
        if terms.valid_from > judge_now.at_text:
            judge_now = replace(judge_now, at=moment(terms.valid_from), at_text=terms.valid_from)
        entries = list(_all_entries(node, session, patient))
        released = readable(node, session, judge_now, entries)
    record_alone(node, Entry("search", node.msp_id, "patient", patient))
    counts = Counter(entry.category for entry in released)
    return wire.Preview(
        released=[entry.record for entry in released],
        withheld=len(entries) - len(released),
        by_category=dict(sorted(counts.items())),
    )


def _as_if_open(
    node: Node, session: Session, patient: str, terms: statements.GrantTerms, consent: jcs.JsonObject
) -> LiveOpening:
    """An opening under the grant as it would be, for the purpose and at the moment that the terms name."""
    floor = projection.entry(session, FloorEntry, patient)
    lowest = 1 if floor is None else floor.grant_epoch
    return LiveOpening(
        id=ANY_PRACTITIONER,
        caller=terms.grantee,
        patient=patient,
        practitioner=terms.practitioner or ANY_PRACTITIONER,
        purpose=terms.purposes[0],
        valid_until=terms.valid_until,
        key_digest="",
        reader_digest="",
        dissents=dissents_of(session, patient),
        basis=GrantBasis(GrantEntry("active", node.msp_id, terms, 1, lowest, None), lowest, consent, ANY_PRACTITIONER),
    )


def _all_entries(node: Node, session: Session, patient: str) -> Iterator[wire.RecordEntry]:
    after: str | None = None
    while True:
        page = page_of_patient(node, session, patient, after=after)
        yield from page.items
        after = page.next
        if after is None:
            return


def _is_live(node: Node, grant: GrantEntry, registration: str, floor: int) -> bool:
    terms = grant.terms
    if terms is None:
        return False
    request = AccessRequest(terms.grantee, terms.practitioner, terms.purposes[0], instant(node.clock.now()))
    decision = decide_opening(grant, registration=registration, floor=floor, request=request)
    return not isinstance(decision, Deny)


def _entry(
    node: Node,
    session: Session,
    patient: str,
    consent_id: str,
    status: str,
    terms: statements.GrantTerms | statements.DissentTerms | None,
    live: bool,
) -> wire.GrantEntry:
    return wire.GrantEntry(
        id=consent_id,
        status=status,
        live=live,
        terms=None if terms is None else wire_values.to_json(terms),
        consent=_sealed_consent(node, session, patient, consent_id),
    )


def _sealed_consent(node: Node, session: Session, patient: str, consent_id: str) -> wire.SealedMessage | None:
    copy, key = held_consents.find(node, session, patient, consent_id, "custodian"), wrap_key(session, patient)
    if copy is None or key is None:
        return None
    content = jcs.canonical({"consent": copy.consent, "salt": copy.salt})
    return to_wire(seal_message(key, messages.held_consent(consent_id, patient), content))
