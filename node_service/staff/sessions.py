"""Sessions of staff: opaque bearer tokens (RFC 6750) of which only the SHA-256 is kept, ending after idle time."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, select, update

from domain.errors import Denied
from domain.identifiers import encode_bytes
from domain.instants import instant, moment
from node_service.client.wire import StaffLogin, Token
from node_service.context import Node
from node_service.database.account_models import AccessToken, Staff
from node_service.lifetimes import is_live, latest
from node_service.staff.accounts import open_text
from node_service.staff.lockout import LONGEST, lock_after
from node_service.staff.passwords import fits
from node_service.staff.principal import StaffPrincipal

_KIND: Final = "staff"
_PREFIX: Final = "yst_"
_TOKEN_BYTES: Final = 32
_MAX_TOKEN_CHARACTERS: Final = 128
_RENEWAL_DIVISOR: Final = 15
"""A session is prolonged when this fraction of the idle time is gone: not one durable write per request."""

_LIVE: Final = select(AccessToken.expires_at, Staff.id, Staff.roles, Staff.display_name, Staff.department).where(
    AccessToken.token_hash == bindparam("token_hash"),
    AccessToken.kind == _KIND,
    AccessToken.expires_at > bindparam("now"),
    AccessToken.expires_at <= bindparam("latest"),
    Staff.id == AccessToken.subject,
    Staff.active.is_(True),
)


def sign_in(node: Node, login: StaffLogin) -> Token:
    """Open a session.

    Raises:
        Denied: user name or password are wrong, or the account is closed or locked; it is not said which.
    """
    with node.database.reading() as session:
        member = session.scalar(select(Staff).where(Staff.username == login.username))
    right = fits(member.password_hash if member else None, login.password)
    now = node.clock.now()
    if member is None or not member.active or _is_locked(member, now):
        raise _refusal()
    if not right:
        _count_failure(node, member.id, now)
        raise _refusal()
    return _issue(node, member, now)


def authenticate(node: Node, token: str) -> StaffPrincipal:
    """Whose session this is; it is prolonged by being used.

    Raises:
        Denied: no such session, it ended, or the account was closed.
        Tampered: the account's row was altered.
    """
    token_hash, now = _hash(token), node.clock.now()
    with node.database.rows() as connection:
        asked = {"token_hash": token_hash, "now": instant(now), "latest": latest(now, _idle_time(node))}
        row = connection.execute(_LIVE, asked).one_or_none()
    if row is None:
        raise Denied("there is no such session, or it ended", reason="session")
    _prolong(node, token_hash, moment(row.expires_at), now)
    name = open_text(node, "display_name", row.id, row.display_name)
    return StaffPrincipal(row.id, frozenset(row.roles), name, open_text(node, "department", row.id, row.department))


def sign_out(node: Node, token: str) -> None:
    """End the session, if it is there; sessions that ended by themselves are cleared away too."""
    with node.database.transaction() as session:
        session.execute(delete(AccessToken).where(AccessToken.token_hash == _hash(token), AccessToken.kind == _KIND))
        session.execute(delete(AccessToken).where(AccessToken.expires_at <= instant(node.clock.now())))


def _issue(node: Node, member: Staff, now: datetime) -> Token:
    token, idle = _PREFIX + encode_bytes(node.random(_TOKEN_BYTES)), _idle_time(node)
    with node.database.transaction() as session:
        session.execute(update(Staff).where(Staff.id == member.id).values(failures=0, locked_until=None))
        session.add(AccessToken(token_hash=_hash(token), kind=_KIND, subject=member.id, expires_at=instant(now + idle)))
    return Token(
        access_token=token,
        token_type="Bearer",  # noqa: S106 - the scheme's name, no secret
        expires_in=int(idle.total_seconds()),
        subject=member.id,
        roles=member.roles,
    )


def _count_failure(node: Node, staff: str, now: datetime) -> None:
    with node.database.transaction() as session:
        member = session.get_one(Staff, staff)
        member.failures += 1
        closed_for = lock_after(member.failures)
        if closed_for is not None:
            member.locked_until = instant(now + closed_for)


def _prolong(node: Node, token_hash: bytes, expires_at: datetime, now: datetime) -> None:
    idle = _idle_time(node)
    if now + idle - expires_at < idle / _RENEWAL_DIVISOR:
        return
    with node.database.transaction() as session:
        session.execute(
            update(AccessToken).where(AccessToken.token_hash == token_hash).values(expires_at=instant(now + idle))
        )


def _is_locked(member: Staff, now: datetime) -> bool:
    return member.locked_until is not None and is_live(member.locked_until, now, LONGEST)


def _idle_time(node: Node) -> timedelta:
    return timedelta(minutes=node.settings.staff_session_minutes)


def _hash(token: str) -> bytes:
    if len(token) > _MAX_TOKEN_CHARACTERS:
        raise Denied("there is no such session, or it ended", reason="session")
    return hashlib.sha256(token.encode()).digest()


def _refusal() -> Denied:
    return Denied("user name or password are wrong, or the account is locked", reason="sign-in")
