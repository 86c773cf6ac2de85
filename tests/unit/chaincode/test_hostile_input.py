"""Whatever bytes come, the contract answers: it never raises, and what it refuses leaves no trace."""

from __future__ import annotations

import json
from typing import Any

import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import queries, transactions
from tests.unit.chaincode import vectors
from tests.unit.chaincode.world import MemoryChannel, Wallet, three_hospitals

NAMES = (*transactions.NAMES, *queries.NAMES)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ARGUMENTS = {item["name"]: json.loads(item["arguments"]) for item in vectors.arguments()}


def scene() -> MemoryChannel:
    channel = three_hospitals()
    channel.submit(Wallet("li").enrol())
    return channel


SCENE = scene()


def answers(name: str, arguments: bytes) -> None:
    result = SCENE.simulate(name, arguments)
    assert result.response.status in (200, 400, 403, 404, 409)
    if result.response.status != 200:
        assert set(json.loads(result.response.message)) == {"detail", "place", "reason"}
        assert (result.writes, result.event) == ((), None)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES) | TEXTS, st.binary(max_size=200))
def test_any_bytes_are_answered(name: str, arguments: bytes) -> None:
    answers(name, arguments)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_of_one_argument_is_answered(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(ARGUMENTS)))
    field = data.draw(st.sampled_from(sorted(ARGUMENTS[name])))
    value = data.draw(JSON)
    answers(name, rfc8785.dumps({**ARGUMENTS[name], field: value}))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_of_a_nested_argument_is_answered(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["Anchor", "RegisterOrganization", "UpdateOrganization"]))
    arguments = json.loads(json.dumps(ARGUMENTS[name]))
    owner = (
        arguments["keys"][0] if "keys" in arguments else arguments[data.draw(st.sampled_from(["records", "access"]))]
    )
    owner[data.draw(st.sampled_from(sorted(owner)))] = data.draw(JSON)
    answers(name, rfc8785.dumps(arguments))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_signed_statement_is_answered(data: st.DataObject) -> None:
    """Signed by the patient's own wallet, so that nothing but the rules stands between it and the state."""
    wallet = Wallet("li")
    item = data.draw(st.sampled_from(vectors.statements()))
    fields = json.loads(item["text"])
    owner = data.draw(st.sampled_from([fields, fields["body"]]))
    owner[data.draw(st.sampled_from(sorted(owner)))] = data.draw(JSON)
    text = rfc8785.dumps(fields).decode()
    name = data.draw(st.sampled_from(["RegisterPatient", "AuthorizeAccess", "Dissent", "RevokeAccess", "RevokeAll"]))
    answers(name, rfc8785.dumps({"statement": text, "signature": wallet.sign(text)}))
