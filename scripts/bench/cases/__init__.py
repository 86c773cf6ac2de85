"""The cases by name, in the order of the table in docs/performance.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Final

from scripts.bench.cases import (
    access_log,
    anchoring,
    auditing,
    decision,
    fhir_read,
    ingestion,
    opening,
    sealing,
    small_objects,
)
from scripts.bench.comparison import Comparison, Place
from scripts.bench.inputs import Skipped

__all__ = ["CASES", "Case", "Skipped"]

Case = Callable[[Place], AbstractContextManager[Comparison]]

CASES: Final[Mapping[str, Case]] = MappingProxyType(
    {
        "seal-store": sealing.one_thread,
        "seal-store-threads": sealing.hashing_beside,
        "open-verify": opening.whole,
        "range": opening.ranges,
        "small-objects": small_objects.case,
        "anchoring": anchoring.case,
        "hash-chain": auditing.hash_chain,
        "signatures": auditing.signatures,
        "replay": auditing.replay,
        "access-log": access_log.case,
        "access-log-shared": access_log.shared,
        "decision": decision.case,
        "ingestion": ingestion.case,
        "fhir-read": fhir_read.case,
    }
)
