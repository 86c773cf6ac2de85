"""Records anchored per second: a head over many leaves beside one transaction for each record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

from domain import merkle
from domain.identifiers import encode_bytes
from domain.transactions import CreateRecord, encode
from node_service.records.ingest import ingest_fhir
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.hospital import Hospital, hospital
from scripts.bench.inputs import FHIR_JSON, bundles, fresh_identifier

_RECORDS: Final = 2_000
_TRANSACTIONS: Final = 40


@contextmanager
def case(place: Place) -> Iterator[Comparison]:
    """Ours begins with leaves in the outbox and ends with their head verified in the projection."""
    given, sources = bundles(place), count()
    with hospital(place) as north:
        waiting = 0

        def ingest() -> None:
            nonlocal waiting
            north.follow()
            waiting = 0
            while waiting < _RECORDS:
                source = f"source-{next(sources)}"
                for body in given:
                    waiting += len(ingest_fhir(north.node, body, FHIR_JSON, source).stored)

        def anchor() -> float:
            north.anchor()
            return waiting

        yield Comparison(
            operation=f"records anchored, at least {_RECORDS} waiting",
            unit="record",
            ours=Side("outbox → log → Anchor → projection", anchor, ingest),
            peer=Side("one CreateRecord per transaction", lambda: _one_by_one(north)),
            goal=Goal(Figure.SPEED, 30),
            note="embedded ledger of three members; the peer waits for each block and does not project",
        )


def _one_by_one(north: Hospital) -> float:
    for _ in range(_TRANSACTIONS):
        record = fresh_identifier()
        north.node.ledger.submit(*encode(CreateRecord(record, encode_bytes(merkle.leaf_hash(record.encode())))))
    return _TRANSACTIONS
