"""Grants and dissents before they are signed: what the patient chose, as terms and as FHIR Consent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from domain import leaves, wallet_consent
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.jcs import JsonObject
from domain.statements import DissentTerms, GrantTerms
from domain.vocabulary import CATEGORIES
from node_service.client.wire import ConsentedStatement

DEFAULT_PRESET: Final = "up-to-today"
DEFAULT_VALIDITY: Final = timedelta(days=30)
_BACKDATING: Final = timedelta(seconds=60)
"""A grant begins a minute ago, so that clocks which differ a little agree that it is live."""


@dataclass(frozen=True, slots=True)
class GrantChoice:
    """What the patient chose.

    Attributes:
        preset: ``these-records``, ``up-to-today`` (default) or ``also-new``.
        records, withheld: ``Type/record id``.
        keep: the reader may copy into its own custody; contribute: it may add to the patient's records here.
    """

    grantee: str
    preset: str = DEFAULT_PRESET
    practitioner: str | None = None
    categories: Sequence[str] = CATEGORIES
    purposes: Sequence[str] = ("TREAT",)
    keep: bool = False
    contribute: bool = False
    valid_for: timedelta = DEFAULT_VALIDITY
    records: Sequence[str] = ()
    withheld: Sequence[str] = ()
    request: str | None = None

    @property
    def permissions(self) -> tuple[str, ...]:
        """Sorted permission codes."""
        chosen = {"read"} | ({"keep"} if self.keep else set()) | ({"contribute"} if self.contribute else set())
        return tuple(sorted(chosen))


@dataclass(frozen=True, slots=True)
class Draft:
    """Terms and Consent that belong together by the keyed digest; the salt goes to custodian and grantee only."""

    id: str
    terms: GrantTerms | DissentTerms
    consent: JsonObject = field(repr=False)
    salt: bytes = field(repr=False)

    @property
    def salt_text(self) -> str:
        """Base64url of the salt."""
        return encode_bytes(self.salt)

    def signed(self, statement: str, signature: str) -> ConsentedStatement:
        """What the custodian gets: the signed statement with the Consent behind its digest."""
        return ConsentedStatement(statement=statement, signature=signature, consent=self.consent, salt=self.salt_text)


def draft_grant(
    choice: GrantChoice, *, statement: str, patient: str, custodian: str, salt: bytes, now: datetime
) -> Draft:
    """Write the Consent and the terms of a choice.

    Raises:
        Invalid: a code is not known, or records and preset do not belong together.
    """
    valid_from, valid_until = instant(now - _BACKDATING), instant(now + choice.valid_for)
    consent = wallet_consent.wallet_consent(
        wallet_consent.Parties(statement, patient, custodian, instant(now)),
        preset=choice.preset,
        grantee=choice.grantee,
        practitioner=choice.practitioner,
        categories=sorted(choice.categories),
        purposes=sorted(choice.purposes),
        permissions=choice.permissions,
        valid_from=valid_from,
        valid_until=valid_until,
        records=choice.records,
        withheld=choice.withheld,
    )
    terms = GrantTerms(
        grantee=choice.grantee,
        practitioner=choice.practitioner,
        categories=tuple(sorted(choice.categories)),
        purposes=tuple(sorted(choice.purposes)),
        permissions=choice.permissions,
        valid_from=valid_from,
        valid_until=valid_until,
        recorded_until=wallet_consent.recorded_until(choice.preset, instant(now + timedelta(seconds=1))),
        consent_digest=leaves.keyed_digest(consent, salt),
        request=choice.request,
    )
    return Draft(statement, terms, consent, salt)


def draft_dissent(
    categories: Sequence[str],
    purposes: Sequence[str],
    *,
    statement: str,
    patient: str,
    custodian: str,
    salt: bytes,
    now: datetime,
) -> Draft:
    """Write the Consent and the terms of a refusal that no grant overcomes.

    Raises:
        Invalid: a code is not known.
    """
    parties = wallet_consent.Parties(statement, patient, custodian, instant(now))
    chosen, why = tuple(sorted(categories)), tuple(sorted(purposes))
    consent = wallet_consent.wallet_dissent(parties, categories=chosen, purposes=why)
    return Draft(statement, DissentTerms(chosen, why, leaves.keyed_digest(consent, salt)), consent, salt)
