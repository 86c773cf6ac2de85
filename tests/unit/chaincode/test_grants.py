"""Rules 4, 5, 6 and 11: grants, dissents, revocation, requests and opened accesses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.instants import later
from domain.queries import QueryAccesses, QueryDissents, QueryGrants, QueryPatient, QueryRequest
from domain.statements import GrantTerms
from domain.transactions import CloseRegistration, RequestAccess
from tests.unit.chaincode.world import (
    NOW,
    A,
    B,
    C,
    MemoryChannel,
    Refused,
    Wallet,
    after,
    an_id,
    grant_terms,
    open_access,
)


def grant_of(channel: MemoryChannel, wallet: Wallet, name: str) -> Any:
    items = channel.query(QueryGrants(wallet.patient, None, 1000))["items"]
    return next(item for item in items if item["id"] == an_id(name))


def test_a_grant_is_kept_with_its_terms_and_epochs(channel: MemoryChannel, wallet: Wallet) -> None:
    assert channel.submit(wallet.grant("g"), C)
    found = grant_of(channel, wallet, "g")
    assert (found["status"], found["custodian"], found["key_epoch"], found["grant_epoch"]) == ("active", A, 1, 1)
    assert found["terms"]["grantee"] == B
    assert channel.event() == (
        "AuthorizeAccess",
        {"keys": [f"grant/{wallet.patient}/{an_id('g')}", f"statement-used/{wallet.patient}/{an_id('g')}"]},
    )


def test_a_grant_below_the_floor_is_denied_and_one_at_the_floor_is_not(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.revoke_all("all", 3))
    with pytest.raises(Refused, match=r"403 below-floor$"):
        channel.submit(replace(wallet, grant_epoch=2).grant("g2"))
    assert channel.submit(replace(wallet, grant_epoch=3).grant("g3"))


def test_a_grant_whose_revocation_came_first_is_denied_for_ever(channel: MemoryChannel, wallet: Wallet) -> None:
    assert channel.submit(wallet.revoke("r", "g"))
    assert grant_of(channel, wallet, "g")["status"] == "tombstone"
    for _ in range(2):
        with pytest.raises(Refused, match=r"403 revoked$"):
            channel.submit(wallet.grant("g"))


@pytest.mark.parametrize(
    ("until", "accepted"),
    [
        (after(0), False),
        (after(1), True),
        (later(NOW, timedelta(days=1827)), True),
        (later(NOW, timedelta(days=1827, seconds=1)), False),
    ],
)
def test_a_grant_ends_in_the_future_and_within_five_years(
    channel: MemoryChannel, wallet: Wallet, until: str, accepted: bool
) -> None:
    transaction = wallet.grant("g", grant_terms(valid_until=until))
    if accepted:
        assert channel.submit(transaction)
    else:
        with pytest.raises(Refused, match=r"403 valid-until$"):
            channel.submit(transaction)


@pytest.mark.parametrize("grantee", [A, "StrangerMSP"])
def test_the_grantee_is_an_active_member_other_than_the_custodian(
    channel: MemoryChannel, wallet: Wallet, grantee: str
) -> None:
    with pytest.raises(Refused, match=r"403 grantee$"):
        channel.submit(wallet.grant("g", grant_terms(grantee=grantee)))


def test_revoking_ends_a_grant_and_names_the_statement(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.grant("g"))
    assert channel.submit(wallet.revoke("r", "g"), B)
    found = grant_of(channel, wallet, "g")
    assert (found["status"], found["revoked_by"], found["terms"]["grantee"]) == ("revoked", an_id("r"), B)
    assert not channel.submit(wallet.revoke("r", "g"), C)
    assert not channel.submit(wallet.revoke("another", "g"))
    assert channel.written() == {}


def test_revoking_a_tombstone_changes_nothing(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.revoke("r", "g"))
    assert not channel.submit(wallet.revoke("r2", "g"))


def test_nobody_blocks_another_patients_grant(channel: MemoryChannel, wallet: Wallet) -> None:
    other = Wallet("wang")
    channel.submit(other.enrol())
    channel.submit(other.revoke("r", "g"))
    assert channel.submit(wallet.grant("g"))


def test_a_dissent_is_withdrawn_once_and_blocked_when_withdrawn_first(channel: MemoryChannel, wallet: Wallet) -> None:
    assert channel.submit(wallet.dissent("d"))
    assert channel.submit(wallet.revoke("w", "d", "dissent"))
    assert not channel.submit(wallet.revoke("w2", "d", "dissent"))
    assert channel.submit(wallet.revoke("w3", "d2", "dissent"))
    with pytest.raises(Refused, match=r"403 revoked$"):
        channel.submit(wallet.dissent("d2"))
    items = channel.query(QueryDissents(wallet.patient))["items"]
    assert {item["id"]: (item["status"], item["withdrawn_by"]) for item in items} == {
        an_id("d"): ("withdrawn", an_id("w")),
        an_id("d2"): ("tombstone", an_id("w3")),
    }


def test_revoking_a_dissents_id_as_a_grant_leaves_the_dissent(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.dissent("d"))
    channel.submit(wallet.revoke("r", "d", "grant"))
    assert channel.query(QueryDissents(wallet.patient))["items"][0]["status"] == "active"


def test_the_floor_only_rises_and_by_bounded_steps(channel: MemoryChannel, wallet: Wallet) -> None:
    assert channel.submit(wallet.revoke_all("a", 1001))
    assert channel.written()[f"floor/{wallet.patient}"] == {"v": 1, "grant_epoch": 1001}
    assert not channel.submit(wallet.revoke_all("b", 1001))
    assert not channel.submit(wallet.revoke_all("c", 5))
    assert channel.submit(wallet.revoke_all("d", 2002))
    assert channel.written()[f"floor/{wallet.patient}"] == {"v": 1, "grant_epoch": 2001}
    assert channel.submit(wallet.revoke_all("e", 2002))


@pytest.mark.parametrize(("epoch", "accepted"), [(1, True), (1000, True), (1001, False), (1_000_000, False)])
def test_no_grant_is_accepted_that_revoking_everything_would_not_reach(
    channel: MemoryChannel, wallet: Wallet, epoch: int, accepted: bool
) -> None:
    grant = replace(wallet, grant_epoch=epoch).grant("g")
    if not accepted:
        with pytest.raises(Refused, match=r"403 above-floor$"):
            channel.submit(grant)
        return
    assert channel.submit(grant)
    assert channel.submit(wallet.revoke_all("all", 1_000_000))
    assert channel.query(QueryPatient(wallet.patient))["floor"] > epoch


def test_a_grant_answers_its_request_once(channel: MemoryChannel, wallet: Wallet) -> None:
    asked = RequestAccess(an_id("request"), after(3600))
    assert channel.submit(asked, B)
    terms = grant_terms(request=asked.id)
    channel.submit(wallet.grant("g1", terms))
    assert channel.query(QueryRequest(asked.id))["answer"] == an_id("g1")
    channel.submit(wallet.grant("g2", terms))
    assert channel.query(QueryRequest(asked.id))["answer"] == an_id("g1")


def test_a_grant_to_another_than_the_requester_answers_nothing(channel: MemoryChannel, wallet: Wallet) -> None:
    asked = RequestAccess(an_id("request"), after(3600))
    channel.submit(asked, C)
    assert channel.submit(wallet.grant("g", grant_terms(request=asked.id)))
    assert channel.query(QueryRequest(asked.id))["answer"] is None


def test_a_grant_for_a_request_that_is_not_there_is_accepted(channel: MemoryChannel, wallet: Wallet) -> None:
    assert channel.submit(wallet.grant("g", grant_terms(request=an_id("nowhere"))))
    assert not any(key.startswith("answer/") for key in channel.written())


def test_a_request_id_belongs_to_its_requester(channel: MemoryChannel) -> None:
    asked = RequestAccess(an_id("request"), after(3600))
    assert channel.submit(asked, B)
    assert not channel.submit(asked, B)
    for transaction, caller in ((asked, C), (replace(asked, valid_until=after(7200)), B)):
        with pytest.raises(Refused, match=r"409 request-id$"):
            channel.submit(transaction, caller)


@pytest.mark.parametrize(("until", "accepted"), [(0, False), (1, True), (90 * 86400, True), (90 * 86400 + 1, False)])
def test_a_request_is_valid_for_at_most_ninety_days(channel: MemoryChannel, until: int, accepted: bool) -> None:
    transaction = RequestAccess(an_id("request"), after(until))
    if accepted:
        assert channel.submit(transaction, B)
    else:
        with pytest.raises(Refused, match=r"400 invalid valid_until$"):
            channel.submit(transaction, B)


def test_an_access_is_opened_under_a_grant(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.grant("g"))
    assert channel.submit(open_access("o", wallet, "g"), B)
    found = channel.query(QueryAccesses(id=an_id("o")))
    assert (found["requester"], found["opened_at"], found["grant"]) == (B, NOW, an_id("g"))
    assert not channel.submit(open_access("o", wallet, "g"), B, after(60))


def test_an_access_id_is_used_once(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.grant("g"))
    channel.submit(open_access("o", wallet, "g"), B)
    with pytest.raises(Refused, match=r"409 access-id$"):
        channel.submit(open_access("o", wallet, "g", purpose="HRESCH"), B)
    with pytest.raises(Refused, match=r"409 access-id$"):
        channel.submit(open_access("o", wallet, "g"), C)


@pytest.mark.parametrize(
    ("caller", "changes", "reason"),
    [
        (C, {}, "other-organization"),
        (A, {}, "other-organization"),
        (B, {"purpose": "HPAYMT"}, "purpose"),
        (B, {"practitioner": "nurse"}, "other-practitioner"),
    ],
)
def test_an_access_outside_the_terms_is_denied(
    channel: MemoryChannel, wallet: Wallet, caller: str, changes: dict[str, str], reason: str
) -> None:
    channel.submit(wallet.grant("g", grant_terms(practitioner=an_id("doctor"))))
    with pytest.raises(Refused, match=f"403 {reason}$"):
        channel.submit(open_access("o", wallet, "g", **changes), caller)


def test_an_access_without_a_grant_is_not_found(channel: MemoryChannel, wallet: Wallet) -> None:
    with pytest.raises(Refused, match=r"404 not-found grant$"):
        channel.submit(open_access("o", wallet, "nothing"), B)


def test_no_access_after_revoke_revoke_all_or_closing(channel: MemoryChannel, wallet: Wallet) -> None:
    for name in ("g1", "g2"):
        channel.submit(wallet.grant(name))
    channel.submit(wallet.revoke("r", "g1"))
    with pytest.raises(Refused, match=r"403 not-active$"):
        channel.submit(open_access("o", wallet, "g1"), B)
    channel.submit(wallet.revoke_all("all", 2))
    with pytest.raises(Refused, match=r"403 below-floor$"):
        channel.submit(open_access("o", wallet, "g2"), B)
    current = replace(wallet, grant_epoch=2)
    channel.submit(current.grant("g3"))
    channel.submit(CloseRegistration(wallet.patient, "deceased"))
    with pytest.raises(Refused, match=r"403 closed$"):
        channel.submit(open_access("o", wallet, "g3"), B)


def test_no_access_under_a_tombstone(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.revoke("r", "g"))
    with pytest.raises(Refused, match=r"403 not-active$"):
        channel.submit(open_access("o", wallet, "g"), B)


def edges() -> list[tuple[int, bool]]:
    return [(99, False), (100, True), (101, True), (998, True), (999, True), (1000, False), (1001, False)]


@pytest.mark.parametrize(("at", "accepted"), edges())
def test_a_grant_is_live_from_its_first_second_to_the_last_before_its_end(
    channel: MemoryChannel, wallet: Wallet, at: int, accepted: bool
) -> None:
    terms: GrantTerms = grant_terms(valid_from=after(100), valid_until=after(1000))
    channel.submit(wallet.grant("g", terms))
    transaction = open_access("o", wallet, "g", until=after(min(at + 1, 1000)) if at < 1000 else after(at + 1))
    if accepted:
        assert channel.submit(transaction, B, after(at))
    else:
        with pytest.raises(Refused, match=r"403 out-of-period$"):
            channel.submit(transaction, B, after(at))


@pytest.mark.parametrize(("until", "accepted"), [(-1, False), (0, False), (1, True), (900, True), (901, False)])
def test_an_access_is_open_for_at_most_fifteen_minutes(
    channel: MemoryChannel, wallet: Wallet, until: int, accepted: bool
) -> None:
    channel.submit(wallet.grant("g"))
    transaction = open_access("o", wallet, "g", until=after(until))
    if accepted:
        assert channel.submit(transaction, B)
    else:
        with pytest.raises(Refused, match=r"403 valid-until$"):
            channel.submit(transaction, B)


def test_an_access_ends_with_its_grant(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.grant("g", grant_terms(valid_until=after(60))))
    with pytest.raises(Refused, match=r"403 valid-until$"):
        channel.submit(open_access("o", wallet, "g", until=after(61)), B)
    assert channel.submit(open_access("o", wallet, "g", until=after(60)), B)


def test_grants_come_in_pages(channel: MemoryChannel, wallet: Wallet) -> None:
    names = [f"g{number}" for number in range(5)]
    for name in names:
        channel.submit(wallet.grant(name))
    seen: list[str] = []
    bookmark = None
    while True:
        page = channel.query(QueryGrants(wallet.patient, bookmark, 2))
        seen += [item["id"] for item in page["items"]]
        bookmark = page["next"]
        if bookmark is None:
            break
    assert seen == sorted(an_id(name) for name in names)
