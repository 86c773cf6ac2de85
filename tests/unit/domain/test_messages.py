"""What sealed messages are bound to: another wording would no longer open what was sealed before."""

from __future__ import annotations

from domain import messages


def test_messages_are_bound_to_their_kind_and_ids_in_the_documented_order() -> None:
    assert messages.access_request("r", "p") == ["access-request", "r", "p"]
    assert messages.grant_package("B") == ["grant-package", "B"]
    assert messages.reader("a", "p") == ["reader", "a", "p"]
    assert messages.held_consent("g", "p") == ["held-consent", "g", "p"]
    assert messages.contribution("a", "r") == ["contribution", "a", "r"]
