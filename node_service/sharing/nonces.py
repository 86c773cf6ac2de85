"""Values that are accepted once: ``jti`` of assertions and proofs, ids of sessions."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from domain.errors import Denied
from domain.identifiers import encode_bytes
from domain.instants import instant
from node_service.database.account_models import UsedNonce

KEPT_LONGER: Final = timedelta(hours=1)
"""Than a right clock asks for: one that is ahead by less forgets nothing that could be replayed afterwards."""


def use_once(session: Session, scope: str, value: str, now: datetime, keep: timedelta) -> None:
    """Note that a value was used; what expired is forgotten on the way.

    ``keep`` is at least as long as anything that carries the value could still be accepted. Only a hash of the value
    is kept, so its length is bounded whatever came from outside.

    Raises:
        Denied: it was used before (``replayed``).
    """
    session.execute(delete(UsedNonce).where(UsedNonce.expires_at < instant(now - KEPT_LONGER)))
    digest = encode_bytes(hashlib.sha256(value.encode()).digest())
    row = UsedNonce(scope=scope, value=digest, state="used", expires_at=instant(now + keep + timedelta(seconds=1)))
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise Denied("this was used before", reason="replayed") from None
