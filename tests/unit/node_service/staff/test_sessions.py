from __future__ import annotations

from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import select, update

from domain.errors import Denied
from node_service.client.wire import StaffAccount, StaffLogin
from node_service.context import Node
from node_service.database.account_models import AccessToken, Staff
from node_service.staff import passwords
from node_service.staff.accounts import create_account
from node_service.staff.lockout import FREE_FAILURES, lock_after
from node_service.staff.sessions import authenticate, sign_in, sign_out
from tests.unit.node_service.staff.conftest import SettableClock

PASSWORD = "correct horse battery"
RIGHT = StaffLogin(username="dr.wang", password=PASSWORD)
WRONG = StaffLogin(username="dr.wang", password="wrong horse battery")


@pytest.fixture(autouse=True)
def staff(node: Node) -> str:
    account = StaffAccount(username="dr.wang", password=PASSWORD, display_name="Wang", roles=["clinician"])
    return create_account(node, account).id


def test_the_right_password_opens_a_session_of_that_person(node: Node, staff: str) -> None:
    token = sign_in(node, RIGHT)
    principal = authenticate(node, token.access_token)
    assert (principal.id, principal.roles, principal.name) == (staff, frozenset({"clinician"}), "Wang")
    assert "Wang" not in repr(principal)
    assert token.expires_in == 15 * 60


def test_the_token_itself_is_nowhere_in_the_database(node: Node) -> None:
    token = sign_in(node, RIGHT).access_token
    with node.database.reading() as session:
        (stored,) = session.scalars(select(AccessToken.token_hash))
    assert token.encode() not in stored
    assert len(stored) == 32


@pytest.mark.parametrize("login", [WRONG, StaffLogin(username="nobody", password=PASSWORD)])
def test_a_wrong_password_and_an_unknown_name_are_refused_alike(node: Node, login: StaffLogin) -> None:
    with pytest.raises(Denied) as refusal:
        sign_in(node, login)
    assert refusal.value.reason == "sign-in"


def test_an_unknown_name_costs_a_whole_password_hash(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    verify = passwords.fits

    def counting(password_hash: str | None, password: str) -> bool:
        checked.append(password)
        return verify(password_hash, password)

    monkeypatch.setattr("node_service.staff.sessions.fits", counting)
    with pytest.raises(Denied):
        sign_in(node, StaffLogin(username="nobody", password="any password at all"))
    assert checked == ["any password at all"]
    assert passwords.is_outdated(passwords._NOBODY) is False
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(passwords._NOBODY, "any password at all")


def test_a_session_ends_after_idle_time_and_lives_on_while_used(node: Node, clock: SettableClock) -> None:
    token = sign_in(node, RIGHT).access_token
    for _ in range(4):
        clock.advance(timedelta(minutes=13))
        authenticate(node, token)
    clock.advance(timedelta(minutes=15, seconds=1))
    with pytest.raises(Denied):
        authenticate(node, token)


def test_a_session_that_began_while_the_clock_was_ahead_does_not_outlast_it(node: Node, clock: SettableClock) -> None:
    clock.advance(timedelta(days=8))
    token = sign_in(node, RIGHT).access_token
    authenticate(node, token)
    clock.advance(-timedelta(days=8))
    with pytest.raises(Denied):
        authenticate(node, token)
    assert authenticate(node, sign_in(node, RIGHT).access_token)


def test_a_session_bears_a_clock_that_is_corrected_a_little(node: Node, clock: SettableClock) -> None:
    token = sign_in(node, RIGHT).access_token
    clock.advance(-timedelta(seconds=59))
    assert authenticate(node, token).roles == frozenset(sign_in(node, RIGHT).roles)


def test_a_session_ends_at_sign_out(node: Node) -> None:
    token, other = sign_in(node, RIGHT).access_token, sign_in(node, RIGHT).access_token
    sign_out(node, token)
    with pytest.raises(Denied):
        authenticate(node, token)
    authenticate(node, other)


def test_a_closed_account_has_no_session(node: Node) -> None:
    token = sign_in(node, RIGHT).access_token
    with node.database.transaction() as session:
        session.execute(update(Staff).values(active=False))
    with pytest.raises(Denied):
        authenticate(node, token)
    with pytest.raises(Denied):
        sign_in(node, RIGHT)


def test_an_account_is_locked_after_wrong_passwords_and_opens_after_the_time(node: Node, clock: SettableClock) -> None:
    for _ in range(FREE_FAILURES):
        with pytest.raises(Denied):
            sign_in(node, WRONG)
    with pytest.raises(Denied):
        sign_in(node, RIGHT)
    clock.advance(timedelta(seconds=31))
    assert sign_in(node, RIGHT)


def test_a_lock_that_began_while_the_clock_was_ahead_does_not_outlast_it(node: Node, clock: SettableClock) -> None:
    clock.advance(timedelta(days=8))
    for _ in range(FREE_FAILURES):
        with pytest.raises(Denied):
            sign_in(node, WRONG)
    clock.advance(-timedelta(days=8))
    assert sign_in(node, RIGHT)


def test_the_lock_grows_and_has_an_end() -> None:
    assert lock_after(FREE_FAILURES - 1) is None
    assert lock_after(FREE_FAILURES) == timedelta(seconds=30)
    assert lock_after(FREE_FAILURES + 1) == timedelta(minutes=1)
    assert lock_after(10_000) == timedelta(minutes=15)


@pytest.mark.parametrize("token", ["", "yst_", "x" * 10_000, "yst_" + "A" * 43])
def test_an_invented_token_is_refused(node: Node, token: str) -> None:
    with pytest.raises(Denied):
        authenticate(node, token)


def test_a_wallets_token_is_no_session_of_staff(node: Node, staff: str) -> None:
    token = sign_in(node, RIGHT).access_token
    with node.database.transaction() as session:
        session.execute(update(AccessToken).values(kind="wallet"))
    with pytest.raises(Denied):
        authenticate(node, token)
