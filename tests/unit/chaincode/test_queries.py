"""Queries: the state as it is, in pages, with history; their arguments are as strict as those of transactions."""

from __future__ import annotations

import json

import pytest

from chaincode.contract.v1 import queries as rules
from chaincode.stub import Creator, Response
from domain import queries
from domain.errors import Invalid
from domain.identifiers import decode_bytes
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
    open_access,
    registration,
)


@pytest.mark.parametrize(
    ("query", "object_type"),
    [
        (queries.QueryOrganization("StrangerMSP"), "org"),
        (queries.QueryPatient(an_id("nobody")), "patient"),
        (queries.QueryAccesses(id=an_id("nothing")), "access"),
        (queries.QueryEmergency(an_id("nothing")), "emergency"),
        (queries.QueryRequest(an_id("nothing")), "request"),
        (queries.QueryStatement("ai-result", an_id("nothing")), "statement"),
    ],
)
def test_what_is_not_there_is_not_found(channel: MemoryChannel, query: queries.Query, object_type: str) -> None:
    with pytest.raises(Refused, match=f"404 not-found {object_type}$"):
        channel.query(query)


@pytest.mark.parametrize(
    "query",
    [
        queries.QueryGrants(an_id("nobody"), None, 10),
        queries.QueryDissents(an_id("nobody")),
        queries.QueryAccesses(limit=10),
        queries.QueryLog(C),
    ],
)
def test_lists_of_nothing_are_empty(channel: MemoryChannel, query: queries.Query) -> None:
    assert channel.query(query) == {"items": [], "next": None}


def test_all_members_are_listed_by_msp_id(channel: MemoryChannel) -> None:
    found = channel.query(queries.QueryOrganizations())
    assert [item["msp"] for item in found["items"]] == [A, B, C]
    assert found["items"][0] == {"msp": A, **channel.query(queries.QueryOrganization(A))}


def test_accesses_come_in_pages_over_all_patients(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.grant("g"))
    for number in range(5):
        channel.submit(open_access(f"o{number}", wallet, "g"), B)
    first = channel.query(queries.QueryAccesses(after=None, limit=3))
    second = channel.query(queries.QueryAccesses(after=first["next"], limit=3))
    assert (len(first["items"]), len(second["items"]), second["next"]) == (3, 2, None)
    seen = [item["id"] for item in first["items"] + second["items"]]
    assert seen == sorted(an_id(f"o{number}") for number in range(5))


def test_a_bookmark_leads_to_no_other_patients_grants(channel: MemoryChannel, wallet: Wallet) -> None:
    other = Wallet("wang")
    channel.submit(other.enrol())
    for person in (wallet, other):
        for name in ("g1", "g2"):
            channel.submit(person.grant(name))
    bookmark = channel.query(queries.QueryGrants(other.patient, None, 1))["next"]
    with pytest.raises(Refused, match=r"400 bookmark$"):
        channel.query(queries.QueryGrants(wallet.patient, bookmark, 1))


def test_the_history_of_a_key_is_newest_first(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.grant("g"), at=after(1))
    channel.submit(wallet.revoke("r", "g"), at=after(2))
    found = channel.query(queries.QueryHistory(("grant", wallet.patient, an_id("g"))))
    values = [json.loads(decode_bytes(item["value"], "value")) for item in found["items"]]
    assert [value["status"] for value in values] == ["revoked", "active"]
    assert [item["at"] for item in found["items"]] == [after(2), after(1)]
    assert found["complete"]


def test_a_deletion_is_seen_in_the_history(channel: MemoryChannel) -> None:
    stub = channel.stub()
    stub.del_state(f"\0org\0{A}\0")
    channel.commit(stub.result(Response(200)), "deleting", NOW)
    found = channel.query(queries.QueryHistory(("org", A)))
    assert found["items"][0] == {"tx_id": "deleting", "at": NOW, "value": None}


def test_a_history_is_bounded_and_says_so(channel: MemoryChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_HISTORY_ITEMS", 2)
    key = f"\0org\0{A}\0"
    channel.past[key] = channel.past[key] * 3
    found = channel.query(queries.QueryHistory(("org", A)))
    assert (len(found["items"]), found["complete"]) == (2, False)


def test_who_has_no_nodes_certificate_may_not_query(channel: MemoryChannel) -> None:
    stub_creator = Creator(A, {}, ("peer",))
    name, arguments = queries.encode(queries.QueryOrganizations())
    assert channel.simulate(name, arguments, creator=stub_creator).response.status == 403


def test_who_is_no_member_may_query(channel: MemoryChannel) -> None:
    assert channel.query(queries.QueryOrganization(A), "StrangerMSP")["url"] == registration(A).url


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("QueryAccesses", {}),
        ("QueryAccesses", {"after": None}),
        ("QueryAccesses", {"id": an_id("a"), "limit": 5}),
        ("QueryAccesses", {"id": an_id("a"), "after": "x"}),
        ("QueryAccesses", {"after": None, "limit": 0}),
        ("QueryAccesses", {"after": None, "limit": 1001}),
        ("QueryAccesses", {"after": 5, "limit": 1}),
        ("QueryGrants", {"patient": an_id("p"), "after": None, "limit": True}),
        ("QueryGrants", {"patient": an_id("p"), "after": "x" * 513, "limit": 1}),
        ("QueryHistory", {"key": []}),
        ("QueryHistory", {"key": ["org"]}),
        ("QueryHistory", {"key": ["secret", "a"]}),
        ("QueryHistory", {"key": ["org", ""]}),
        ("QueryHistory", {"key": ["org", "a", "b", "c", "d", "e"]}),
        ("QueryHistory", {"key": [["org"], "a"]}),
        ("QueryStatement", {"kind": "gossip", "id": an_id("a")}),
        ("QueryNothing", {}),
    ],
)
def test_arguments_outside_the_format_are_invalid(name: str, arguments: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        queries.parse(name, json.dumps(arguments, separators=(",", ":"), sort_keys=True).encode())


def test_every_query_is_read_back() -> None:
    for query in (
        queries.QueryAccesses(id=an_id("a")),
        queries.QueryAccesses(after="x", limit=1000),
        queries.QueryHistory(("org", A)),
        queries.QueryOrganizations(),
    ):
        assert queries.parse(*queries.encode(query)) == query
    assert queries.encode(queries.QueryAccesses(limit=1)) == ("QueryAccesses", b'{"after":null,"limit":1}')
