"""Accounts of staff."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import select

from domain.errors import Conflict, Invalid
from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import instant
from node_service.client.wire import StaffAccount, StaffMember
from node_service.context import Node
from node_service.database.account_models import Staff
from node_service.staff.passwords import hash_password
from node_service.staff.roles import check_roles

_USERNAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


def create_account(node: Node, account: StaffAccount) -> StaffMember:
    """Open an account; its id, the person's pseudonym towards other hospitals, is random.

    Raises:
        Invalid: user name, password or roles break a rule.
        Conflict: the user name is taken.
    """
    if not _USERNAME.fullmatch(account.username):
        raise Invalid("a user name has lower-case letters, digits, '.', '_', '-'", place="username")
    roles, password_hash = check_roles(account.roles), hash_password(account.password)
    with node.database.transaction() as session:
        if session.scalar(select(Staff.id).where(Staff.username == account.username)):
            raise Conflict("the user name is taken", reason="username-taken", place="username")
        member = _row(node, account, roles, password_hash)
        session.add(member)
        return _wire(member)


def list_members(node: Node) -> list[StaffMember]:
    """All accounts by user name."""
    with node.database.reading() as session:
        return [_wire(member) for member in session.scalars(select(Staff).order_by(Staff.username))]


def open_text(node: Node, column: str, staff: str, sealed: bytes | None) -> str:
    """A sealed ``display_name`` or ``department`` of an account; empty where there is none.

    Raises:
        Tampered: the value was altered, or moved here from another row.
    """
    return "" if sealed is None else node.secrets.open_local(_context(column, staff), sealed).decode()


def _row(node: Node, account: StaffAccount, roles: tuple[str, ...], password_hash: str) -> Staff:
    staff = identifier(node.random(IDENTIFIER_BYTES))

    def sealed(column: str, text: str) -> bytes:
        return node.secrets.seal_local(_context(column, staff), text.encode(), node.random)

    return Staff(
        id=staff,
        username=account.username,
        password_hash=password_hash,
        roles=list(roles),
        display_name=sealed("display_name", account.display_name),
        department=sealed("department", account.department) if account.department else None,
        active=True,
        failures=0,
        created_at=instant(node.clock.now()),
    )


def name_context(staff: str) -> list[str]:
    """What the sealed ``display_name`` of an account is bound to."""
    return _context("display_name", staff)


def _context(column: str, staff: str) -> list[str]:
    return ["staff", column, staff]


def _wire(member: Staff) -> StaffMember:
    return StaffMember(id=member.id, username=member.username, roles=member.roles, active=member.active)
