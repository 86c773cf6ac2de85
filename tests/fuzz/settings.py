"""Targets: files that a hospital's staff or an auditor is given by others: rules, connections, verified heads.

A message about such a file goes to whoever gave it and may name what stands in it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeVar, cast

from domain.errors import Invalid
from domain.identifiers import encode_bytes
from network.fabric.connection import Connection, PeerAddress
from node_service.retention.file import DEFAULT
from node_service.retention.rules import Facts, LockedUntil, decide, parse_rules
from tests.fuzz.target import SECRET, Target, accepted, as_json
from yilian.log_audit import Seen

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_FACTS: Final = Facts("result", "Observation", None, frozenset(), None, _NOW, _NOW, None)
_FOLDER: Final = Path("/folder")
Value = TypeVar("Value")


class Held:
    """A file with these bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read_bytes(self) -> bytes:
        return self._content


def fuzz_rules(data: bytes) -> None:
    """Rules are refused, or decide about a record."""
    for rules in _read(partial(parse_rules, data.decode("utf-8", "replace"))):
        decision = decide(rules, _FACTS, _NOW)
        assert not isinstance(decision, LockedUntil) or decision.rule in {rule.id for rule in rules.rules}


def fuzz_connection(data: bytes) -> None:
    """A connection is refused, or names a channel's first block and peers that can be called."""
    for connection in accepted(partial(Connection.parse, data, _FOLDER)):
        assert len(bytes.fromhex(connection.genesis)) == 32
        for peer in (connection.own_peer, *connection.other_peers):
            assert 0 < int(peer.address.rpartition(":")[2]) < 1 << 16


def fuzz_seen(data: bytes) -> None:
    """An auditor's file is refused, or holds heads of logs."""
    for seen in accepted(lambda: Seen.read(cast("Path", Held(data)))):
        for (log, incarnation), head in seen.heads.items():
            assert log in ("records", "access")
            assert incarnation > 0 <= head.size
            assert len(head.root) == 32


def _read(call: Callable[[], Value]) -> tuple[Value, ...]:
    """What the call returns, or nothing where it refuses, in whatever words."""
    try:
        return (call(),)
    except Invalid:
        return ()


def _rules() -> list[bytes]:
    source = "{title_en = 'a', title_zh = 'b', article_en = 'c', article_zh = 'd'}"
    every = "settings = ['inpatient']\ncategories = ['result']\nresource_types = ['Observation']"
    small = (
        f"version = 1\nid = 'x'\n[[rules]]\nid = 'y'\nkeep_years = 30\nfrom = 'stored'\n{every}\nsource = {source}\n"
    )
    return [
        files("node_service.retention").joinpath(DEFAULT).read_bytes(),
        small.encode(),
        b"a = " + b"[" * 2_000,
        b"a = " + b"9" * 5_000,
    ]


def _connections() -> list[bytes]:
    own, other = (PeerAddress(msp, f"{msp}.example:7051", Path("ca.pem")) for msp in ("AMSP", "BMSP"))
    files_ = Path("cert.pem"), Path("key.pem")
    made = [Connection("medical", "yilian", "0" * 64, "AMSP", *files_, own, peers) for peers in ((), (other, own))]
    long = made[0].encode().replace(b":7051", b":" + b"7" * 5_000)
    return [*(one.encode() for one in made), long, b"[" * 5_000]


def _seen() -> list[bytes]:
    logs = [
        {"log": log, "incarnation": 1, "size": size, "root": encode_bytes(bytes(32))}
        for size, log in enumerate(("records", "access"))
    ]
    return [as_json({"v": 1, "msp_id": "AMSP", "logs": some, SECRET: SECRET}) for some in (logs, logs[:1], [])]


TARGETS: Final = (
    Target("rules", fuzz_rules, _rules, takes_json=False),
    Target("connection", fuzz_connection, _connections),
    Target("seen", fuzz_seen, _seen),
)
