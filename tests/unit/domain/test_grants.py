"""The decision on a grant's terms, the life cycles, the paths and the entries."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from domain import entries, lifecycles
from domain.decisions import Deny, Permit
from domain.entries import DissentEntry, GrantEntry
from domain.errors import Conflict, Invalid
from domain.grants import AccessRequest, RecordFacts, decide, decide_emergency, decide_opening
from domain.paths import LeafPath, leaf_path
from tests.unit.chaincode.world import NOW, A, B, C, a_digest, after, an_id, dissent_terms, grant_terms

GRANT = GrantEntry("active", A, grant_terms(practitioner=an_id("doctor")), 1, 3, None)
UNLIMITED = grant_terms(practitioner=an_id("doctor"), recorded_until=None)
REQUEST = AccessRequest(B, an_id("doctor"), "TREAT", NOW)
RECORD = RecordFacts("result", "read", after(-1))
DISSENT = DissentEntry("active", A, dissent_terms(categories=("result",), purposes=("BTG", "HRESCH")), 1, None)


def decision(
    grant: GrantEntry = GRANT,
    request: AccessRequest = REQUEST,
    record: RecordFacts = RECORD,
    floor: int = 3,
    registration: str = "active",
    dissents: tuple[DissentEntry, ...] = (DISSENT,),
) -> Permit | Deny:
    return decide(
        grant, registration=registration, floor=floor, dissents=dissents, request=request, record=record
    )  # fmt: skip


def test_what_fits_every_term_is_permitted() -> None:
    assert decision() == Permit()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grant": replace(GRANT, status="revoked")}, "not-active"),
        ({"grant": replace(GRANT, status="tombstone", terms=None)}, "not-active"),
        ({"registration": "closed"}, "closed"),
        ({"floor": 4}, "below-floor"),
        ({"request": replace(REQUEST, organization=C)}, "other-organization"),
        ({"request": replace(REQUEST, organization=A)}, "other-organization"),
        ({"request": replace(REQUEST, practitioner=an_id("nurse"))}, "other-practitioner"),
        ({"request": replace(REQUEST, practitioner=None)}, "other-practitioner"),
        ({"request": replace(REQUEST, purpose="HPAYMT")}, "purpose"),
        ({"request": replace(REQUEST, purpose="BTG")}, "purpose"),
        ({"request": replace(REQUEST, at=after(-61))}, "out-of-period"),
        ({"request": replace(REQUEST, at=after(86400))}, "out-of-period"),
        ({"record": replace(RECORD, category="imaging")}, "category"),
        ({"record": replace(RECORD, permission="keep")}, "permission"),
        ({"record": replace(RECORD, recorded_at=NOW)}, "recorded-later"),
        ({"record": replace(RECORD, recorded_at=after(1))}, "recorded-later"),
        ({"request": replace(REQUEST, purpose="HRESCH")}, "dissent"),
    ],
)
def test_each_term_denies_alone(changes: dict[str, Any], reason: str) -> None:
    assert decision(**changes) == Deny(reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"floor": 1},
        {"request": replace(REQUEST, at=after(-60))},
        {"request": replace(REQUEST, at=after(86399))},
        {"grant": replace(GRANT, terms=grant_terms()), "request": replace(REQUEST, practitioner=None)},
        {"grant": replace(GRANT, terms=UNLIMITED), "record": replace(RECORD, recorded_at=after(9))},
        {"request": replace(REQUEST, purpose="HRESCH"), "dissents": (replace(DISSENT, status="withdrawn"),)},
        {"request": replace(REQUEST, purpose="HRESCH"), "record": replace(RECORD, category="medication")},
        {"request": replace(REQUEST, purpose="HRESCH"), "dissents": ()},
        {"dissents": (replace(DISSENT, status="tombstone", terms=None),)},
    ],
)  # fmt: skip
def test_edges_that_are_permitted(changes: dict[str, Any]) -> None:
    assert decision(**changes) == Permit()


def test_opening_does_not_look_at_records_or_dissents() -> None:
    request = replace(REQUEST, purpose="HRESCH")
    assert decide_opening(GRANT, registration="active", floor=3, request=request) == Permit()


def test_break_glass_opens_the_announced_categories_unless_a_dissent_closes_the_door() -> None:
    assert decide_emergency([], "result", ("allergy", "result")) == Permit()
    assert decide_emergency([], "result", ("allergy",)) == Deny("category")
    assert decide_emergency([DISSENT], "result", ("result",)) == Deny("dissent")
    assert decide_emergency([DISSENT], "allergy", ("allergy",)) == Permit()
    assert decide_emergency([replace(DISSENT, status="withdrawn")], "result", ("result",)) == Permit()


ALLOWED: dict[str, tuple[Mapping[tuple[str, str], str], str]] = {
    "registration": (
        lifecycles.REGISTRATION,
        "absent-enrol>active active-rotate>active active-close>closed",
    ),
    "grant": (
        lifecycles.GRANT,
        "absent-authorize>active absent-revoke>tombstone active-revoke>revoked revoked-revoke>revoked "
        "tombstone-revoke>tombstone",
    ),
    "dissent": (
        lifecycles.DISSENT,
        "absent-dissent>active absent-withdraw>tombstone active-withdraw>withdrawn withdrawn-withdraw>withdrawn "
        "tombstone-withdraw>tombstone",
    ),
    "record": (
        lifecycles.RECORD,
        "active-retract>retracted active-lock>locked active-erase>erased locked-lock>locked locked-retract>retracted "
        "locked-erase>erased retracted-erase>erased",
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_every_pair_of_state_and_event_is_allowed_or_forbidden_as_written_here(name: str) -> None:
    cycle, written = ALLOWED[name]
    allowed = {tuple(item.partition(">")[0].split("-")): item.partition(">")[2] for item in written.split()}
    states = {state for state, _ in cycle} | set(cycle.values())
    for pair in itertools.product(states, {event for _, event in cycle}):
        if pair in allowed:
            assert lifecycles.after(cycle, *pair) == allowed[pair]
        else:
            with pytest.raises(Conflict) as caught:
                lifecycles.after(cycle, *pair)
            assert caught.value.reason == pair[0]


def test_entries_skip_unknown_fields_and_keep_them_when_written() -> None:
    newer = b'{"leaf":"' + a_digest("leaf").encode() + b'","v":1,"w":[1]}'
    entry = entries.parse(entries.RecordEntry, newer)
    assert entry == entries.RecordEntry(a_digest("leaf"))
    assert entries.encode(entry, newer) == newer
    assert entries.encode(entry) == newer.replace(b',"w":[1]', b"")


@pytest.mark.parametrize("value", [b'{"leaf":"x","v":1}', b'{"v":1}', b'{"leaf":"', b"[]"])
def test_a_malformed_entry_is_invalid(value: bytes) -> None:
    with pytest.raises(Invalid):
        entries.parse(entries.RecordEntry, value)


@pytest.mark.parametrize("version", ["", ',"v":0', ',"v":true', ',"v":"1"'])
def test_an_entry_names_its_version(version: str) -> None:
    with pytest.raises(Invalid):
        entries.parse(entries.RecordEntry, f'{{"leaf":"{a_digest("leaf")}"{version}}}'.encode())


def test_a_tombstone_and_nothing_else_has_no_terms() -> None:
    for grant in ({"status": "tombstone"}, {"terms": None}):
        with pytest.raises(Invalid):
            replace(GRANT, **grant)
    for dissent in ({"status": "tombstone"}, {"terms": None}):
        with pytest.raises(Invalid):
            replace(DISSENT, **dissent)


def test_incarnations_sort_as_numbers() -> None:
    texts = [entries.incarnation_attribute(number) for number in (1, 2, 10, 9_999_999_999)]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {10}


@pytest.mark.parametrize(("index", "size", "incarnation"), [(1, 1, 1), (-1, 1, 1), (0, 0, 1), (0, 1, 0)])
def test_a_path_lies_within_its_tree(index: int, size: int, incarnation: int) -> None:
    with pytest.raises(Invalid):
        LeafPath(incarnation, index, size, ())
    assert leaf_path(1, 0, 1, [bytes(32)]).hashes[0] == "A" * 43
