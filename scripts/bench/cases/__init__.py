"""The cases by name, in the order of the table in docs/performance.md; those on Fabric begin with ``fabric-``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Final

from scripts.bench.cases import (
    access_log,
    aeads,
    anchoring,
    auditing,
    decision,
    fabric,
    fhir_mix,
    fhir_read,
    ingestion,
    ipfs,
    kubo,
    latency,
    memory,
    opening,
    receipts,
    sealing,
    small_objects,
    transfer,
    writers,
)
from scripts.bench.comparison import Comparison, Place
from scripts.bench.inputs import Skipped

__all__ = ["CASES", "Case", "Skipped"]

Case = Callable[[Place], AbstractContextManager[Comparison]]

CASES: Final[Mapping[str, Case]] = MappingProxyType(
    {
        "seal-store": sealing.one_thread,
        "seal-store-threads": sealing.hashing_beside,
        "seal-tink": aeads.tink,
        "seal-age": aeads.age,
        "seal-memory": memory.case,
        "open-verify": opening.whole,
        "range": opening.ranges,
        "small-objects": small_objects.case,
        "store-kubo": kubo.large,
        "store-kubo-small": kubo.small,
        "store-ipfs": ipfs.large,
        "store-ipfs-small": ipfs.small,
        "store-mirrored": ipfs.mirrored,
        "http-upload": transfer.upload,
        "http-download": transfer.download,
        "anchoring": anchoring.case,
        "anchored-p95": latency.anchored,
        "hash-chain": auditing.hash_chain,
        "signatures": auditing.signatures,
        "replay": auditing.replay,
        "receipts": receipts.case,
        "access-log": access_log.case,
        "access-log-shared": access_log.shared,
        "decision": decision.case,
        "revoke-refused": latency.refused,
        "ingestion": ingestion.case,
        "fhir-read": fhir_read.case,
        "fhir-mix": fhir_mix.case,
        "writers": writers.on_sqlite,
        "writers-postgresql": writers.on_postgresql,
        "postgresql": writers.databases,
        **fabric.CASES,
    }
)
