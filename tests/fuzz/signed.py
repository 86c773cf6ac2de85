"""Targets: canonical JSON and what is signed, invoked, logged or kept on the ledger."""

from __future__ import annotations

import json
from functools import partial
from typing import Final

import rfc8785

from domain import entries, jcs, leaves, queries, statements, transactions, vocabulary, wire
from domain.errors import Tampered
from domain.identifiers import encode_bytes
from domain.leaves import AccessLeaf
from tests.fuzz.target import SECRET, Target, accepted, as_json
from tests.unit.chaincode import vectors
from tests.unit.chaincode.world import A, a_digest, an_id, seeded

_TEXT: Final = {"a": [1, -1, None, True, "é", SECRET], SECRET: {"b": "𐀀", "ﬀ": 9007199254740991}}


def fuzz_jcs(data: bytes) -> None:
    """What is read strictly and written canonically is read again as the same value, from these bytes alone."""
    for value in accepted(partial(jcs.load, data, max_bytes=1 << 16, max_depth=32)):
        for encoded in accepted(partial(jcs.canonical, value)):
            assert jcs.parse(encoded) == value
            assert encoded == rfc8785.dumps(value)
    for value in accepted(partial(jcs.parse, data)):
        assert jcs.canonical(value) == data


def fuzz_statement(data: bytes) -> None:
    """A statement that is read is written as the very text."""
    text = data.decode("utf-8", "surrogateescape")
    for statement in accepted(partial(statements.parse, text)):
        assert statement.encode() == text
    item = _STATEMENTS[0]
    for _ in accepted(partial(statements.verify, text, item["signature"], item["signing_key"]), Tampered):
        assert text == item["text"], "a signature fits another text"


def fuzz_transaction(data: bytes) -> None:
    """``name`` newline ``arguments``: what is read is written as the same."""
    name, _, arguments = data.partition(b"\n")
    for transaction in accepted(partial(transactions.parse, name.decode("utf-8", "replace"), arguments)):
        assert transactions.encode(transaction) == (name.decode(), arguments)


def fuzz_query(data: bytes) -> None:
    """``name`` newline ``arguments``: what is read is written as something that is read as the same."""
    name, _, arguments = data.partition(b"\n")
    for query in accepted(partial(queries.parse, name.decode("utf-8", "replace"), arguments)):
        assert queries.parse(*queries.encode(query)) == query


def fuzz_entry(data: bytes) -> None:
    """A value of the state keeps fields that this program does not know; fields of later versions are added."""
    for kind in entries.OBJECT_TYPES.values():
        for entry in accepted(partial(entries.parse, kind, data)):
            written = json.loads(entries.encode(entry, data))
            assert {**written, **json.loads(data), "v": entries.VERSION} == written


def fuzz_leaf(data: bytes) -> None:
    """A leaf of a log has one spelling."""
    for record in accepted(partial(leaves.parse_record_leaf, data)):
        assert leaves.encode(record) == data
    for access in accepted(partial(leaves.parse_access_leaf, data)):
        assert leaves.encode(access) == data


_STATEMENTS: Final = vectors.statements()


def _transactions() -> list[bytes]:
    return [f"{item['name']}\n{item['arguments']}".encode() for item in vectors.arguments()]


def _queries() -> list[bytes]:
    one, made = an_id("q"), list[queries.Query]()
    made += [queries.QueryOrganization(A), queries.QueryOrganizations(), queries.QueryPatient(one)]
    made += [queries.QueryGrants(one, after, 10) for after in (None, SECRET)]
    made += [queries.QueryDissents(one), queries.QueryAccesses(one), queries.QueryAccesses(None, SECRET, 1000)]
    made += [queries.QueryEmergency(one), queries.QueryRequest(one), queries.QueryLog(A), queries.QueryRecord(A, one)]
    made += [queries.QueryHistory(("org", A)), queries.QueryStatement(sorted(vocabulary.STATEMENT_KINDS)[0], one)]
    return [b"\n".join((name.encode(), arguments)) for name, arguments in map(queries.encode, made)]


def _entries() -> list[bytes]:
    organization = json.loads(next(item["arguments"] for item in vectors.arguments() if "url" in item["arguments"]))
    digest, now = a_digest("x"), "2026-01-01T00:00:00Z"
    access: dict[str, object] = {
        "patient": an_id("p"), "grant": an_id("g"), "requester": A, "practitioner": an_id("d"), "purpose": "TREAT",
        "opened_at": now, "valid_until": now, "key_digest": digest, "reader_digest": digest,
    }  # fmt: skip
    emergency: dict[str, object] = {
        **{key: item for key, item in access.items() if key not in ("patient", "grant", "purpose")},
        "custodian": A, "subject_tag": digest, "reason": "unconscious", "categories": ["result"],
    }  # fmt: skip
    values: list[dict[str, object]] = [
        {**organization, "status": "active", SECRET: [SECRET]},
        {"leaf": digest}, {"digest": digest, SECRET: 1}, {"grant": an_id("g")}, access, emergency,
        {"requester": A, "valid_until": now}, {"status": "locked", "reason": "legal-hold", "until": now},
        {"outcome": "justified", "reviewer": an_id("r"), "note_digest": digest, "at": now},
        {"digest": digest, "by": A, "at": now, "statement_digest": None},
    ]  # fmt: skip
    return [as_json({"v": 1, **value}) for value in values]


def _leaves() -> list[bytes]:
    access = AccessLeaf(
        id=an_id("row"), at="2026-01-01T00:00:00Z", action="read", organisation=A, actor="system", purpose=None,
        access=None, patient=an_id("p"), records=(an_id("r"),), outcome="ok", salt=encode_bytes(seeded("salt")),
    )  # fmt: skip
    author = leaves.Author(A, "kid", "Ed25519", encode_bytes(bytes(64)))
    both = (access, vectors.record_leaf(1), vectors.record_leaf(2, a_digest("leaf"), author))
    return [as_json({"v": 1, **wire.to_json(leaf)}) for leaf in both]


TARGETS: Final = (
    Target("jcs", fuzz_jcs, lambda: [as_json(_TEXT), b'{"a":1.5,"b":[1e2]}', b"[" * 10 + b"]" * 10]),
    Target("statement", fuzz_statement, lambda: [item["text"].encode() for item in _STATEMENTS]),
    Target("transaction", fuzz_transaction, _transactions),
    Target("query", fuzz_query, _queries, takes_json=False),
    Target("entry", fuzz_entry, _entries),
    Target("leaf", fuzz_leaf, _leaves),
)
