"""A durable row of the access log beside the same bytes inserted with bare SQLite."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Final

from domain.leaves import SALT_BYTES
from node_service.access_log.rows import Entry, Reader, record_alone
from node_service.context import Node
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.hospital import hospital
from scripts.bench.inputs import fresh_identifier

_ROWS: Final = 100
_THREADS: Final = 16
_LEAF_BYTES: Final = 420
_READER_BYTES: Final = 200


@contextmanager
def case(place: Place) -> Iterator[Comparison]:
    """One transaction for each row on both sides, in WAL with synchronous FULL."""
    with hospital(place) as north, closing(_bare(place)) as bare:
        yield Comparison(
            operation="access log, one durable row per transaction",
            unit="row",
            ours=Side("record_alone", lambda: _log(north.node)),
            peer=_peer(bare),
            goal=Goal(Figure.SPEED, 0.8),
            note="ours makes the leaf and seals the reader's name; one writer on either side",
        )


@contextmanager
def shared(place: Place) -> Iterator[Comparison]:
    """As many requests as the database's pool serves at once share commits; the peer is one writer."""
    with hospital(place) as north, closing(_bare(place)) as bare, ThreadPoolExecutor(_THREADS) as threads:

        def log() -> float:
            return sum(threads.map(lambda _: _log(north.node), range(_THREADS)))

        yield Comparison(
            operation=f"access log, {_THREADS} requests at once",
            unit="row",
            ours=Side("record_alone", log),
            peer=_peer(bare),
            goal=Goal(Figure.SPEED, 0.8),
            note="ours makes the leaf, seals the reader's name and shares commits; the peer commits each row",
        )


def _peer(bare: sqlite3.Connection) -> Side:
    return Side("SQLite INSERT, WAL, FULL", lambda: _insert(bare))


def _log(node: Node) -> float:
    for _ in range(_ROWS):
        reader = Reader("Dr. Example", "clinician", "Cardiology", os.urandom(SALT_BYTES))
        record_alone(
            node,
            Entry(
                "read",
                node.msp_id,
                fresh_identifier(),
                fresh_identifier(),
                (fresh_identifier(),),
                "TREAT",
                reader=reader,
            ),
        )
    return _ROWS


def _bare(place: Place) -> sqlite3.Connection:
    connection = sqlite3.connect(place.folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE access_row (id INTEGER PRIMARY KEY, leaf BLOB, patient TEXT, reader BLOB)")
    connection.execute("CREATE INDEX ix_patient ON access_row (patient)")
    return connection


def _insert(connection: sqlite3.Connection) -> float:
    statement = "INSERT INTO access_row (leaf, patient, reader) VALUES (?, ?, ?)"
    for _ in range(_ROWS):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(statement, (os.urandom(_LEAF_BYTES), fresh_identifier(), os.urandom(_READER_BYTES)))
        connection.execute("COMMIT")
    return _ROWS
