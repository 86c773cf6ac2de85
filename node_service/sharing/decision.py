"""The decision about one record, the same at search, release, object ranges and in the patient's preview."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from domain import consent, grants, resource_facts
from domain.consent import ConsentRequest
from domain.decisions import Deny, Permit
from domain.errors import Invalid
from domain.grants import AccessRequest, RecordFacts
from domain.jcs import JsonObject
from domain.resource_facts import ResourceFacts
from domain.wallet_consent import action_of
from node_service.sharing.consent_content import patient_reference
from node_service.sharing.openings import EmergencyBasis, GrantBasis, LiveOpening

READABLE = "active"


@dataclass(frozen=True, slots=True)
class Candidate:
    """The current version of a record, as far as a decision looks at it.

    Attributes:
        status: of the record, by database and ledger; the stricter one.
    """

    record: str
    version: int
    kind: str
    patient: str | None
    resource_type: str
    category: str
    status: str
    stored_at: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides records under one opening at one moment.

    Attributes:
        registration: status of the patient's registration.
        content: opens a candidate's resource, asked only where the Consent looks into it; None: no FHIR resource.
    """

    opening: LiveOpening
    registration: str
    at: datetime
    at_text: str
    zone: tzinfo
    looks_into_content: bool
    content: Callable[[Candidate], JsonObject | None]

    def decide(self, candidate: Candidate, permission: str = "read") -> Permit | Deny:
        """Whether the record may be released; also a record that is not the patient's is only a Deny."""
        if candidate.kind != "patient" or candidate.patient != self.opening.patient:
            return Deny("other-patient")
        if candidate.status != READABLE:
            return Deny(candidate.status)
        basis = self.opening.basis
        if isinstance(basis, EmergencyBasis):
            return grants.decide_emergency(self.opening.dissents, candidate.category, basis.categories)
        return self._decide_grant(basis, candidate, permission)

    def permitted(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Those that may be released, in order."""
        return [candidate for candidate in candidates if isinstance(self.decide(candidate), Permit)]

    def _decide_grant(self, basis: GrantBasis, candidate: Candidate, permission: str) -> Permit | Deny:
        asked: AccessRequest = self.opening.asked(self.at_text)
        by_terms = grants.decide(
            basis.grant,
            registration=self.registration,
            floor=basis.floor,
            dissents=self.opening.dissents,
            request=asked,
            record=RecordFacts(candidate.category, permission, candidate.stored_at),
        )
        if isinstance(by_terms, Deny):
            return by_terms
        actors = (f"Practitioner/{asked.practitioner}", f"Organization/{asked.organization}")
        try:
            facts = self._facts(candidate)
        except Invalid:
            return Deny("unreadable")
        request = ConsentRequest(self.at, asked.purpose, actors, facts, action_of(permission))
        return consent.evaluate([basis.consent], request, zone=self.zone)

    def _facts(self, candidate: Candidate) -> ResourceFacts:
        """Facts of the row; dates, authors and references out of the resource where the Consent asks for them.

        Whose data it is and under which id is what this hospital filed, not what the content says.

        Raises:
            Invalid: the content cannot tell them; no references known is not the same as no references.
        """
        reference = f"{candidate.resource_type}/{candidate.record}"
        patient = patient_reference(self.opening.patient)
        if not self.looks_into_content:
            return ResourceFacts(reference, patient, candidate.category)
        resource = self.content(candidate)
        if resource is None:
            raise Invalid("the Consent looks at what only a FHIR resource tells", place="resource")
        read = resource_facts.resource_facts(resource, category=candidate.category, zone=self.zone)
        return ResourceFacts(reference, patient, candidate.category, read.clinical, read.authors, read.references)
