"""Grants as a cheat holds them: the patient's own, not sent yet, or signed with a key of the cheat."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from patient_wallet.drafts import DEFAULT_VALIDITY, GrantChoice, draft_grant
from patient_wallet.keys import HospitalKeys
from patient_wallet.registration import Signed
from yilian.evil.malicious import fresh_id
from yilian.evil.theft import Stage

_KEY_BYTES: Final = 32


def sign_grant(
    stage: Stage,
    grantee: str,
    *,
    forged: bool = False,
    ago: timedelta = timedelta(),
    valid_for: timedelta = DEFAULT_VALIDITY,
) -> Signed:
    """A signed grant that is on no ledger yet; ``forged``: by a key that the cheat made up; ``ago``: signed then."""
    registration = stage.cast.wallet.registration(stage.home)
    if forged:
        keys = HospitalKeys(stage.home, 1, os.urandom(_KEY_BYTES), os.urandom(_KEY_BYTES))
        registration = replace(registration, keys=keys)
    signed_at = datetime.now(UTC) - ago
    draft = draft_grant(
        GrantChoice(grantee=grantee, practitioner=stage.practitioner, valid_for=valid_for),
        statement=fresh_id(),
        patient=registration.patient,
        custodian=stage.home,
        salt=os.urandom(_KEY_BYTES),
        now=signed_at,
    )
    return registration.sign(draft.terms, statement=draft.id, now=signed_at)
