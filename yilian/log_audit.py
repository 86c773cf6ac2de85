"""Verifies a hospital's logs from outside: its heads against the ledger's and against those seen before.

Nothing that the node says is believed: proofs are verified here (RFC 6962), anchored heads come from a verified export,
earlier heads from the auditor's own file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from domain import jcs, leaves, merkle
from domain.checks import check_integer
from domain.errors import Invalid, Tampered
from domain.identifiers import check_msp_id, decode_bytes, encode_bytes
from node_service.client import audit_wire
from yilian.audit_export import AnchoredHeads

VERSION: Final = 1
MAX_FILE_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 8
Place = tuple[str, int]


class LogSource(Protocol):
    """A node as its auditor sees it."""

    def heads(self) -> audit_wire.LogHeads:
        """The present heads."""

    def consistency(self, log: str, incarnation: int, old_size: int, new_size: int) -> audit_wire.LogConsistency:
        """The proof from one size to another."""

    def rows(self, incarnation: int) -> Iterator[audit_wire.LogRow]:
        """All rows of the access log."""


@dataclass(frozen=True, slots=True)
class SeenHead:
    """A head that was verified."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """The verified heads of one hospital, as the auditor keeps them."""

    msp_id: str
    heads: dict[Place, SeenHead]

    @classmethod
    def read(cls, path: Path) -> Seen:
        """Read the auditor's file.

        Raises:
            Invalid: it is no such file.
        """
        content = path.read_bytes()
        fields = jcs.load(content, max_bytes=MAX_FILE_BYTES, max_depth=MAX_DEPTH)
        logs = fields.get("logs") if isinstance(fields, dict) else None
        if not isinstance(fields, dict) or fields.get("v") != VERSION or not isinstance(logs, list):
            raise Invalid("this is no file of verified heads", place="--since")
        return cls(check_msp_id(fields.get("msp_id"), "msp_id"), dict(map(_seen_head, logs)))

    def write(self, path: Path) -> None:
        """Replace the auditor's file; an interruption leaves the old one."""
        logs = [
            {"log": log, "incarnation": number, "size": head.size, "root": encode_bytes(head.root)}
            for (log, number), head in sorted(self.heads.items())
        ]
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps({"v": VERSION, "msp_id": self.msp_id, "logs": logs}, indent=1) + "\n")
        temporary.replace(path)


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """One log: what was proved about it.

    Attributes:
        since: the size that was seen before and is continued; None where the log is new to the auditor.
        anchored: the largest size that the ledger vouches for.
        rows: how many rows were read and give this head; None where rows were not asked for.
    """

    log: str
    incarnation: int
    size: int
    anchored: int
    since: int | None
    rows: int | None


def verify_logs(
    source: LogSource, seen: Seen | None, anchored: AnchoredHeads | None, *, with_rows: bool
) -> tuple[list[VerifiedLog], Seen]:
    """Verify every log of a hospital; return what was proved and the heads to keep.

    Args:
        source: the node.
        seen: the heads verified before.
        anchored: the ledger's heads out of a verified export; None to take the node's word for them.
        with_rows: read all rows of the access log and compute its head from them.

    Raises:
        Tampered: a log is gone, shorter, or does not continue; ``place`` names log, incarnation and sizes.
        Invalid: the file is of another hospital, or the node's answer has no possible form.
    """
    answer = source.heads()
    if seen is not None and seen.msp_id != answer.msp_id:
        raise Invalid("the file holds the heads of another hospital", place="--since")
    heads = {(one.log, one.incarnation): one for one in answer.items}
    _verify_none_is_gone(heads.keys(), seen, anchored)
    verified, kept = list[VerifiedLog](), dict[Place, SeenHead]()
    for place, head in sorted(heads.items()):
        before = None if seen is None else seen.heads.get((place[0], place[1]))
        found = _verify_log(source, head, before, _vouched(head, anchored))
        rows = _verify_rows(source, head) if with_rows and head.log == "access" else None
        verified.append(
            VerifiedLog(head.log, head.incarnation, head.size, found, None if before is None else before.size, rows)
        )
        kept[head.log, head.incarnation] = SeenHead(head.size, _digest(head.root))
    return verified, Seen(answer.msp_id, kept)


def _verify_none_is_gone(held: AbstractSet[tuple[str, int]], seen: Seen | None, anchored: AnchoredHeads | None) -> None:
    known: set[Place] = set(seen.heads if seen is not None else ()) | set(anchored or ())
    for log, incarnation in sorted(known):
        if (log, incarnation) not in held:
            raise Tampered("a log that was there is gone", reason="log-gone", place=f"{log}/{incarnation}")


def _vouched(head: audit_wire.LogHead, anchored: AnchoredHeads | None) -> dict[int, bytes]:
    if anchored is None:
        return {head.anchored_size: _digest(head.anchored_root)}
    return anchored.get((head.log, head.incarnation), {})


def _verify_log(source: LogSource, head: audit_wire.LogHead, before: SeenHead | None, vouched: dict[int, bytes]) -> int:
    """Every head that is known has to lead to the present one; return the largest size that the ledger vouches for."""
    if before is not None:
        _verify_continued(source, head, before.size, before.root, "seen before")
        if vouched.get(before.size, before.root) != before.root:
            raise _tampered(head, "the head seen before is not the one on the ledger", "split-view", before.size)
    largest = max(vouched, default=0)
    if vouched:
        _verify_continued(source, head, largest, vouched[largest], "on the ledger")
    return largest


def _verify_continued(source: LogSource, head: audit_wire.LogHead, size: int, root: bytes, whose: str) -> None:
    if head.size < size:
        raise _tampered(head, f"the log is shorter than the head {whose}", "log-behind", size)
    proof = source.consistency(head.log, head.incarnation, size, head.size).hashes
    try:
        merkle.verify_consistency(size, root, head.size, _digest(head.root), [_digest(item) for item in proof])
    except Tampered as error:
        raise _tampered(head, f"the log does not continue the head {whose}", "consistency", size) from error


def _verify_rows(source: LogSource, head: audit_wire.LogHead) -> int:
    """Compute the head from the rows themselves; rows that came after it are left out."""
    tree = merkle.MemoryTree()
    for row in source.rows(head.incarnation):
        if tree.size == head.size:
            break
        if row.index != tree.size:
            raise _tampered(head, "a row is missing", "missing-leaf", tree.size)
        encoded = decode_bytes(row.leaf, "leaf", max_length=leaves.MAX_LEAF_BYTES)
        leaves.parse_access_leaf(encoded)
        tree.append(merkle.leaf_hash(encoded))
    if tree.size != head.size:
        raise _tampered(head, "rows are missing at the end", "missing-leaf", tree.size)
    if tree.root() != _digest(head.root):
        raise _tampered(head, "the rows do not give the head", "root", tree.size)
    return tree.size


def _tampered(head: audit_wire.LogHead, detail: str, reason: str, size: int) -> Tampered:
    place = f"{head.log}/{head.incarnation} size {size} of {head.size}"
    return Tampered(f"{detail}: {place}", reason=reason, place=place)


def _seen_head(value: object) -> tuple[Place, SeenHead]:
    fields = value if isinstance(value, dict) else {}
    log = fields.get("log")
    if log not in ("records", "access"):
        raise Invalid("this is no file of verified heads", place="--since")
    place = str(log), check_integer(fields.get("incarnation"), "incarnation", low=1)
    return place, SeenHead(check_integer(fields.get("size"), "size"), _digest(fields.get("root")))


def _digest(text: object) -> bytes:
    return decode_bytes(text, "root", length=merkle.HASH_BYTES)
