"""The golden vectors of ledger format 1: ``python -m tests.unit.chaincode.vectors`` writes them anew.

Until release 1.0 the format may change in place, with its vectors; a difference is looked at before it is committed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from domain import leaves, merkle, paths, transactions, wire
from domain.identifiers import encode_bytes
from domain.statements import Body, Enrol, Erasure, Revoke, RevokeEverything, Rotate, Session
from tests.unit.chaincode import scenario
from tests.unit.chaincode.trace import replay
from tests.unit.chaincode.world import A, B, Wallet, a_digest, an_id, dissent_terms, grant_terms, seeded

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "ledger-v1"


def statements() -> list[dict[str, Any]]:
    """One statement of each type, with its signer's private seed and its signature."""
    wallet = Wallet("li")
    bodies: dict[str, Body] = {
        "enrol": Enrol(wallet.keys),
        "rotate": Rotate(wallet.next_epoch().keys),
        "grant": grant_terms(practitioner=an_id("doctor"), request=an_id("request")),
        "dissent": dissent_terms(),
        "revoke": Revoke("grant", an_id("grant")),
        "revoke-all": RevokeEverything(2),
        "session": Session(A, a_digest("nonce")),
        "erasure": Erasure(a_digest("records")),
    }
    found = []
    for kind, body in bodies.items():
        text, signature = wallet.signed(kind, body)
        found.append(
            {
                "type": kind,
                "private_seed": encode_bytes(seeded("key li 1")),
                "signing_key": wallet.keys.signing,
                "text": text,
                "signature": signature,
            }
        )
    return found


def arguments() -> list[dict[str, str]]:
    """The argument text of one transaction of each name."""
    found: dict[str, str] = {}
    for _, transaction, _ in scenario.steps():
        name, encoded = transactions.encode(transaction)
        found.setdefault(name, encoded.decode())
    return [{"name": name, "arguments": found[name]} for name in sorted(found)]


def record_leaf(version: int, previous: str | None = None, author: leaves.Author | None = None) -> leaves.RecordLeaf:
    """A leaf with fixed salts."""
    return leaves.RecordLeaf(
        record=an_id("record"),
        version=version,
        previous=previous,
        custodian=A,
        author=author,
        owner=leaves.owner_commitment(an_id("patient li"), "result", seeded("owner salt")),
        digest=a_digest("sealed"),
        size_bucket=14,
        day="2026-03-01",
        salt=a_digest("leaf salt"),
    )


def access_leaf() -> leaves.AccessLeaf:
    """A row with fixed salts."""
    return leaves.AccessLeaf(
        id=an_id("row"),
        at="2026-03-01T12:00:00Z",
        action="release",
        organisation=B,
        actor=an_id("doctor"),
        purpose="TREAT",
        access=an_id("access"),
        patient=an_id("patient li"),
        records=(an_id("record"),),
        outcome="ok",
        salt=a_digest("row salt"),
    )


def leaf_vectors() -> list[dict[str, Any]]:
    """Leaves, their hashes, and their paths in the log that they form."""
    first = record_leaf(1)
    author = leaves.Author(B, "k1", "Ed25519", encode_bytes(seeded("signature", 32) * 2))
    second = record_leaf(2, leaves.leaf_hash(first))
    found: list[leaves.RecordLeaf | leaves.AccessLeaf] = [first, second, record_leaf(1, author=author), access_leaf()]
    encoded = [leaves.encode(leaf) for leaf in found]
    tree = merkle.MemoryTree(merkle.leaf_hash(item) for item in encoded)
    return [
        {
            "leaf": item.decode(),
            "hash": encode_bytes(merkle.leaf_hash(item)),
            "path": wire.to_json(
                paths.leaf_path(1, index, tree.size, merkle.inclusion_proof(index, tree.size, tree.read))
            ),
            "root": encode_bytes(tree.root()),
        }
        for index, item in enumerate(encoded)
    ]


def commitments() -> dict[str, str]:
    """The commitments that are no leaf."""
    return {
        "owner": leaves.owner_commitment(an_id("patient li"), "result", seeded("owner salt")),
        "subject_tag": leaves.subject_tag(an_id("patient li"), seeded("subject salt")),
        "keyed_digest": leaves.keyed_digest({"note": "医链"}, seeded("note salt")),
        "author_message": leaves.author_message(an_id("record"), a_digest("sealed"), B, A).decode(),
    }


def invocations() -> list[dict[str, Any]]:
    """A run of the contract from an empty state: what was invoked and all that an endorser signs."""
    trace = scenario.trace()
    return [{**step, **result} for step, result in zip(trace, replay(trace), strict=True)]


def files() -> dict[str, bytes]:
    """File names and contents."""
    contents = {
        "statements.json": statements(),
        "transactions.json": arguments(),
        "leaves.json": leaf_vectors(),
        "commitments.json": commitments(),
        "invocations.json": invocations(),
    }
    return {name: json.dumps(value, indent=1).encode() + b"\n" for name, value in contents.items()}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file_name, content in files().items():
        (FOLDER / file_name).write_bytes(content)
