"""The decision about one record: the grant's terms, then the full FHIR Consent behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from domain import consent, grants
from domain.consent import ConsentRequest
from domain.decisions import Deny
from domain.entries import GrantEntry
from domain.grants import AccessRequest, RecordFacts
from domain.identifiers import encode_bytes
from domain.resource_facts import ResourceFacts
from domain.statements import GrantTerms
from domain.wallet_consent import Parties, wallet_consent
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import MSP_ID, fresh_identifier

_DECISIONS: Final = 2_000
_GRANTEE: Final = "SouthMSP"
_FROM, _AT, _UNTIL = "2026-03-01T08:00:00Z", "2026-03-01T12:00:00Z", "2026-04-01T08:00:00Z"
_CATEGORIES: Final = ("medication", "result")


@contextmanager
def case(_place: Place) -> Iterator[Comparison]:
    """As at release, with grant, dissents and Consent at hand; nothing is kept from one decision to the next."""
    patient, practitioner = fresh_identifier(), fresh_identifier()
    grant = GrantEntry("active", MSP_ID, _terms(practitioner), 1, 1, None)
    full = wallet_consent(
        Parties(fresh_identifier(), patient, MSP_ID, _FROM),
        preset="also-new",
        grantee=_GRANTEE,
        practitioner=practitioner,
        categories=_CATEGORIES,
        purposes=("TREAT",),
        permissions=("read",),
        valid_from=_FROM,
        valid_until=_UNTIL,
    )
    asked = AccessRequest(_GRANTEE, practitioner, "TREAT", _AT)
    facts = ResourceFacts(f"Observation/{fresh_identifier()}", f"Patient/{patient}", "result")
    actors = (f"Practitioner/{practitioner}", f"Organization/{_GRANTEE}")
    request = ConsentRequest(datetime.fromisoformat(_AT), "TREAT", actors, facts)
    record = RecordFacts("result", "read", _FROM)

    def decide() -> float:
        for _ in range(_DECISIONS):
            terms = grants.decide(grant, registration="active", floor=1, dissents=(), request=asked, record=record)
            if isinstance(terms, Deny) or isinstance(consent.evaluate([full], request, zone=UTC), Deny):
                raise AssertionError("the grant permits this record")
        return _DECISIONS

    yield Comparison(
        operation="decision about one record",
        unit="decision",
        ours=Side("grants.decide + consent.evaluate", decide),
        goal=Goal(Figure.SECONDS, 50e-6),
        note="the Consent is parsed anew for every record",
    )


def _terms(practitioner: str) -> GrantTerms:
    return GrantTerms(
        grantee=_GRANTEE,
        practitioner=practitioner,
        categories=_CATEGORIES,
        purposes=("TREAT",),
        permissions=("read",),
        valid_from=_FROM,
        valid_until=_UNTIL,
        recorded_until=None,
        consent_digest=encode_bytes(bytes(32)),
        request=None,
    )
