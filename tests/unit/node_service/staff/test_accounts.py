from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import Conflict, Invalid, Tampered
from node_service.client.wire import StaffAccount
from node_service.context import Node
from node_service.database.account_models import Staff
from node_service.staff.accounts import create_account, list_members, open_text

PASSWORD = "correct horse battery"


def account(
    username: str = "dr.wang", roles: tuple[str, ...] = ("clinician",), password: str = PASSWORD
) -> StaffAccount:
    return StaffAccount(
        username=username, password=password, display_name="王医生 Wang", department="心内科", roles=list(roles)
    )


def test_an_account_keeps_its_roles_and_gets_a_random_pseudonym(node: Node) -> None:
    first, second = create_account(node, account()), create_account(node, account("dr.li", ("nurse", "registrar")))
    assert first.id != second.id
    assert second.roles == ["nurse", "registrar"]
    assert [member.username for member in list_members(node)] == ["dr.li", "dr.wang"]


def test_a_taken_user_name_is_a_conflict(node: Node) -> None:
    create_account(node, account())
    with pytest.raises(Conflict):
        create_account(node, account())


@pytest.mark.parametrize(
    "roles",
    [(), ("surgeon-general",), ("clinician", "clinician"), ("system-administrator", "clinician"), ("system", "nurse")],
)
def test_roles_that_one_person_may_not_hold_are_refused(node: Node, roles: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        create_account(node, account(roles=roles))


def test_two_administrators_roles_are_never_one_person(node: Node) -> None:
    with pytest.raises(Invalid) as refusal:
        create_account(node, account(roles=("system-administrator", "audit-administrator")))
    assert refusal.value.reason == "roles-apart"


@pytest.mark.parametrize("username", ["", "Dr.Wang", "王", "-x", "a b", "a\n"])
def test_a_user_name_of_another_form_is_refused(node: Node, username: str) -> None:
    with pytest.raises(Invalid):
        create_account(node, account(username))


def test_names_are_sealed_in_the_database_and_open_for_their_row_only(node: Node, tmp_path: Path) -> None:
    first, second = create_account(node, account()), create_account(node, account("dr.li"))
    with node.database.reading() as session:
        sealed = session.get_one(Staff, first.id).display_name
    assert open_text(node, "display_name", first.id, sealed) == "王医生 Wang"
    for column, staff in (("display_name", second.id), ("department", first.id)):
        with pytest.raises(Tampered):
            open_text(node, column, staff, sealed)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("node.db*"))
    assert "王医生".encode() not in stored
    assert PASSWORD.encode() not in stored


def test_no_name_or_password_shows_in_a_repr() -> None:
    assert "王医生" not in repr(account())
    assert PASSWORD not in repr(account())
