"""Taking transaction Bundles in, to the state ``stored``, beside their validation alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Final

from node_service.context import Node
from node_service.fhir.bundle import split_bundle
from node_service.fhir.validation import verify_resource
from node_service.records.ingest import ingest_fhir
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.hospital import hospital
from scripts.bench.inputs import FHIR_JSON, bundles

_BUNDLES: Final = 4
_WORKERS: Final = 2


@contextmanager
def case(place: Place) -> Iterator[Comparison]:
    """Two workers, each with the next Bundle, beside validation alone; each round a new source, so nothing is known."""
    given, sources = bundles(place)[:_BUNDLES], count()
    with hospital(place) as north, ThreadPoolExecutor(_WORKERS) as workers:
        yield Comparison(
            operation=f"FHIR ingestion of {_BUNDLES} Bundles to stored, {_WORKERS} workers",
            unit="resource",
            ours=Side("ingest_fhir", lambda: _ingest(north.node, workers, given, f"source-{next(sources)}")),
            peer=Side("split + validate", lambda: _validate(given)),
            goal=Goal(Figure.SPEED, 0.4),
            note="Synthea's Bundles where the public data set is there, else made-up ones",
        )


def _ingest(node: Node, workers: Executor, given: Sequence[bytes], source: str) -> float:
    return sum(workers.map(lambda body: len(ingest_fhir(node, body, FHIR_JSON, source).stored), given))


def _validate(given: Sequence[bytes]) -> float:
    done = 0
    for body in given:
        for entry in split_bundle(body, max_bytes=len(body)).entries:
            if entry.resource is not None:
                verify_resource(entry.resource, entry.place)
                done += 1
    return done
