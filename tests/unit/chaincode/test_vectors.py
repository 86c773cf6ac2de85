"""Ledger format 1 is what the golden vectors say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain import leaves, merkle, paths, statements, transactions, wire
from domain.errors import Tampered
from domain.identifiers import decode_bytes, encode_bytes
from tests.unit.chaincode import vectors
from tests.unit.chaincode.trace import replay


def stored(name: str) -> Any:
    return json.loads((vectors.FOLDER / name).read_bytes())


@pytest.mark.parametrize("name", sorted(vectors.files()))
def test_the_program_still_writes_the_golden_bytes(name: str) -> None:
    assert (vectors.FOLDER / name).read_bytes() == vectors.files()[name]


def test_every_statement_type_verifies_and_encodes_to_its_own_text() -> None:
    found = stored("statements.json")
    assert {item["type"] for item in found} == set(statements.TYPES)
    for item in found:
        statement = statements.verify(item["text"], item["signature"], item["signing_key"])
        assert (statement.type, statement.encode()) == (item["type"], item["text"])


def test_every_transaction_reads_and_encodes_to_its_own_arguments() -> None:
    found = stored("transactions.json")
    assert {item["name"] for item in found} == set(transactions.NAMES)
    for item in found:
        transaction = transactions.parse(item["name"], item["arguments"].encode())
        assert transactions.encode(transaction) == (item["name"], item["arguments"].encode())


def test_every_leaf_reads_hashes_and_lies_under_its_root() -> None:
    for item in stored("leaves.json"):
        encoded = item["leaf"].encode()
        read = leaves.parse_access_leaf if '"action"' in item["leaf"] else leaves.parse_record_leaf
        assert leaves.encode(read(encoded)) == encoded
        assert encode_bytes(merkle.leaf_hash(encoded)) == item["hash"]
        path = wire.from_json(paths.LeafPath, item["path"])
        paths.verify_leaf(encoded, path, item["root"])
        with pytest.raises(Tampered):
            paths.verify_leaf(encoded[:-1] + b" ", path, item["root"])
        assert len(decode_bytes(item["root"], "root")) == 32


def test_the_stored_invocations_replay_to_the_stored_results() -> None:
    found = stored("invocations.json")
    steps = [{name: item[name] for name in ("name", "arguments", "caller", "at", "channel")} for item in found]
    results = json.loads(json.dumps(replay(steps)))
    assert [{**step, **result} for step, result in zip(steps, results, strict=True)] == found
