"""What patients sign, what is invoked, what is logged: strict reading of every field."""

from __future__ import annotations

import dataclasses
import hmac
import json
from hashlib import sha256
from typing import Any

import pytest

from domain import leaves, statements, transactions, wire
from domain.errors import Invalid, Tampered
from domain.identifiers import encode_bytes
from tests.unit.chaincode import vectors
from tests.unit.chaincode.world import A, Wallet, a_digest, an_id, grant_terms
from tests.unit.domain.test_ed25519 import SMALL_ORDER

STATEMENTS = vectors.statements()
ARGUMENTS = vectors.arguments()
WRONG: list[object] = [[], {}, True, 1.5, -1, "", "\u0000", ["a", "a"], "x" * 20_000]
WRONG_ARGUMENTS: list[object] = [[[]], {"a": 1}, True, 1.5, -1, ""]


def respelled(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def with_change(text: str, path: tuple[str, ...], value: object) -> str:
    fields = json.loads(text)
    target = fields
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    return respelled(fields)


def fields_of(text: str) -> list[tuple[str, ...]]:
    fields = json.loads(text)
    return [(name,) for name in fields] + [("body", name) for name in fields.get("body", {})]


@pytest.mark.parametrize("item", STATEMENTS, ids=lambda item: item["type"])
def test_a_statement_without_one_of_its_fields_or_with_one_more_is_invalid(item: dict[str, str]) -> None:
    for path in fields_of(item["text"]):
        fields = json.loads(item["text"])
        owner = fields["body"] if len(path) == 2 else fields
        del owner[path[-1]]
        with pytest.raises(Invalid):
            statements.parse(respelled(fields))
    for path in (("more",), ("body", "more")):
        with pytest.raises(Invalid):
            statements.parse(with_change(item["text"], path, 1))


@pytest.mark.parametrize("item", STATEMENTS, ids=lambda item: item["type"])
def test_no_field_of_a_statement_takes_another_type(item: dict[str, str]) -> None:
    for path in fields_of(item["text"]):
        for value in WRONG:
            with pytest.raises(Invalid):
                statements.parse(with_change(item["text"], path, value))


@pytest.mark.parametrize("item", STATEMENTS, ids=lambda item: item["type"])
def test_every_changed_field_breaks_the_signature(item: dict[str, str]) -> None:
    changed = item["text"].replace('"channel":"medical"', '"channel":"medicaL"')
    assert changed != item["text"]
    with pytest.raises(Tampered):
        statements.verify(changed, item["signature"], item["signing_key"])
    with pytest.raises(Tampered):
        statements.verify(item["text"], item["signature"], Wallet("wang").keys.signing)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("v",), 2),
        (("contract",), "other"),
        (("type",), "sell"),
        (("type",), "dissent"),
        (("key_epoch",), 0),
        (("grant_epoch",), 1_000_001),
        (("patient",), "a" * 26 + "a"),
        (("body", "purposes"), ["TREAT", "HRESCH"]),
        (("body", "purposes"), ["TREAT", "TREAT"]),
        (("body", "purposes"), ["BTG"]),
        (("body", "categories"), []),
        (("body", "permissions"), ["own"]),
        (("body", "valid_until"), "2020-01-01T00:00:00Z"),
        (("body", "grantee"), "a/b"),
    ],
)
def test_a_grant_outside_the_format_is_invalid(path: tuple[str, ...], value: object) -> None:
    text = next(item["text"] for item in STATEMENTS if item["type"] == "grant")
    with pytest.raises(Invalid):
        statements.parse(with_change(text, path, value))


def test_a_grant_that_ends_when_it_begins_is_invalid() -> None:
    with pytest.raises(Invalid):
        grant_terms(valid_from="2026-01-01T00:00:00Z", valid_until="2026-01-01T00:00:00Z")


def test_a_statement_is_canonical_text() -> None:
    text = STATEMENTS[0]["text"]
    for other in (text + " ", " " + text, text.replace(":", ": ", 1), text.encode(), None, "\ud800"):
        with pytest.raises(Invalid):
            statements.parse(other)


@pytest.mark.parametrize("point", SMALL_ORDER, ids=lambda item: item.hex()[:8])
def test_nobody_enrols_with_a_small_order_key(point: bytes) -> None:
    text = next(item["text"] for item in STATEMENTS if item["type"] == "enrol")
    keys = json.loads(text)["body"]["keys"]
    forged = with_change(text, ("body", "keys"), {**keys, "signing": encode_bytes(point)})
    with pytest.raises(Invalid):
        statements.parse(forged)


@pytest.mark.parametrize("item", ARGUMENTS, ids=lambda item: item["name"])
def test_arguments_without_one_of_their_fields_or_with_one_more_are_invalid(item: dict[str, str]) -> None:
    fields = json.loads(item["arguments"])
    for name in fields:
        fewer = {other: value for other, value in fields.items() if other != name}
        with pytest.raises(Invalid):
            transactions.parse(item["name"], respelled(fewer).encode())
    with pytest.raises(Invalid):
        transactions.parse(item["name"], respelled({**fields, "more": 1}).encode())


@pytest.mark.parametrize("item", ARGUMENTS, ids=lambda item: item["name"])
def test_no_argument_takes_another_type(item: dict[str, str]) -> None:
    for name in json.loads(item["arguments"]):
        for value in WRONG_ARGUMENTS:
            changed = with_change(item["arguments"], (name,), value).encode()
            with pytest.raises(Invalid):
                transactions.parse(item["name"], changed)


def test_record_ids_are_sorted_and_bounded() -> None:
    for records in ((), tuple(sorted((an_id("a"), an_id("b")), reverse=True)), (an_id("a"), an_id("a"))):
        with pytest.raises(Invalid):
            transactions.EraseRecord(records)
    many = tuple(sorted(an_id(str(number)) for number in range(201)))
    assert transactions.EraseRecord(many[:200])
    with pytest.raises(Invalid):
        transactions.EraseRecord(many)


@pytest.mark.parametrize("url", ["", "ftp://a", "//a", "https://", "https://a b", "https://é", "https://" + "a" * 300])
def test_an_address_is_http_in_ascii(url: str) -> None:
    with pytest.raises(Invalid):
        transactions.check_url(url, "url")


def test_an_unknown_transaction_is_invalid() -> None:
    with pytest.raises(Invalid) as caught:
        transactions.parse("Steal", b"{}")
    assert caught.value.reason == "unknown-transaction"


def test_missing_fields_are_named_in_order_whatever_the_hash_seed() -> None:
    with pytest.raises(Invalid) as caught:
        wire.from_json(transactions.CreateRecord, {}, "x")
    assert caught.value.place == "x.leaf"


def test_only_version_one_has_no_previous_leaf() -> None:
    first = vectors.record_leaf(1)
    for version, previous in ((1, a_digest("leaf")), (2, None), (0, None)):
        with pytest.raises(Invalid):
            dataclasses.replace(first, version=version, previous=previous)


@pytest.mark.parametrize(
    ("leaf", "name", "value"),
    [
        (vectors.record_leaf(1), "day", "2026-02-30"),
        (vectors.record_leaf(1), "size_bucket", 64),
        (vectors.record_leaf(1), "salt", a_digest("s")[:-1]),
        (vectors.record_leaf(1), "custodian", ""),
        (vectors.access_leaf(), "action", "peek"),
        (vectors.access_leaf(), "actor", "Dr. Li"),
        (vectors.access_leaf(), "records", ("x",)),
        (vectors.access_leaf(), "outcome", "because of X"),
    ],
)
def test_a_leaf_outside_the_format_is_invalid(leaf: Any, name: str, value: object) -> None:
    with pytest.raises(Invalid):
        dataclasses.replace(leaf, **{name: value})


def test_a_leaf_of_another_version_is_invalid() -> None:
    encoded = leaves.encode(vectors.record_leaf(1))
    with pytest.raises(Invalid):
        leaves.parse_record_leaf(encoded.replace(b'"v":1', b'"v":2'))
    with pytest.raises(Invalid):
        leaves.parse_access_leaf(encoded)


def test_commitments_depend_on_every_part() -> None:
    salt = bytes(32)
    commitments = {
        leaves.owner_commitment(an_id("p"), "result", salt),
        leaves.owner_commitment(an_id("q"), "result", salt),
        leaves.owner_commitment(an_id("p"), "imaging", salt),
        leaves.owner_commitment(an_id("p"), "result", bytes([1]) * 32),
        leaves.subject_tag(an_id("p"), salt),
        leaves.keyed_digest([an_id("p"), "result"], salt),
        leaves.keyed_digest([an_id("p"), "result"], bytes([1]) * 32),
    }
    assert len(commitments) == 7
    with pytest.raises(Invalid):
        leaves.owner_commitment(an_id("p"), "result", b"short")


def test_commitments_are_over_the_documented_bytes() -> None:
    """docs/formats/ledger.md, "Leaves": anybody computes them again from these texts."""
    salt, text = bytes(range(32)), encode_bytes(bytes(range(32)))

    def committed(*parts: str) -> str:
        return encode_bytes(sha256(json.dumps(parts, separators=(",", ":")).encode()).digest())

    assert leaves.owner_commitment("p", "result", salt) == committed("owner", "p", "result", text)
    assert leaves.subject_tag("p", salt) == committed("subject", "p", text)
    assert leaves.keyed_digest({"a": 1}, salt) == encode_bytes(hmac.digest(salt, b'{"a":1}', "sha256"))
    assert leaves.author_message("r", "d", "A", "B") == b'["contribution","r","d","A","B"]'


def test_a_contribution_is_signed_for_one_record_author_and_custodian() -> None:
    base = leaves.author_message(an_id("r"), a_digest("d"), A, "BMSP")
    assert base != leaves.author_message(an_id("r"), a_digest("d"), "BMSP", A)
    assert base.startswith(b'["contribution"')
