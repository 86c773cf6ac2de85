"""What the hospital's own auditor is told about its two logs (docs/formats/http.md)."""

from __future__ import annotations

from typing import Literal

from node_service.client.wire import Wire

LogName = Literal["records", "access"]


class LogHead(Wire):
    """One log of one incarnation: what the hospital holds now, and its last head on the ledger as it read it there."""

    log: LogName
    incarnation: int
    size: int
    root: str
    anchored_size: int
    anchored_root: str


class LogHeads(Wire):
    """All logs of the hospital; ``unwraps`` counts the keys that custody opened."""

    msp_id: str
    items: list[LogHead]
    unwraps: int


class LogConsistency(Wire):
    """RFC 6962 section 2.1.2: that the first ``old_size`` leaves are a prefix of the first ``new_size``."""

    old_size: int
    new_size: int
    hashes: list[str]


class LogRow(Wire):
    """A leaf of the access log as it is hashed; its salt blinds the hash for everybody else."""

    index: int
    leaf: str


class LogRowPage(Wire):
    items: list[LogRow]
    next: int | None
