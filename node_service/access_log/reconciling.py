"""Compares three accounts of opened keys: the custody log, the rows of the access log, the counts on the ledger.

Custody logs before it opens a key and names why: a read names the row of the access log, a release the access on the
ledger, and the node's own work (manifests, wraps for patients, decisions) names itself. Rows name the records: more
keys than these have, a key that was opened for somebody without a row, or a count that fell, mean that a log was cut,
replaced or restored from an older copy, or that whoever runs the node opened more than the log tells. A node that was
killed between keys and row leaves the same trace, and such keys never left it; each process enters its start into the
custody log, so what was opened last before one is told apart, with its number: restarts and such keys come together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import leaves, transactions
from domain.instants import instant
from node_service.access_log.custody_account import IN_FLIGHT, RELEASE, CustodyAccount, Opened, custody_account
from node_service.access_log.ledger_heads import LedgerHeads
from node_service.context import Node
from node_service.database.models import AccessRow, LedgerTransaction, Record
from node_service.ledger_sync.projection import VALID
from node_service.records.reading import READ

OPENING_ACTIONS: Final = frozenset({"read", "release", "break-glass"})
DENY: Final = "deny"
_NAMING_ACTIONS: Final = {READ: frozenset({"read"}), RELEASE: frozenset({"release", "break-glass", DENY})}
"""Rows that name the records whose keys were opened; a release that was refused late names what was prepared."""
MAX_NAMED: Final = 100
_FETCH_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class UnwrapFinding:
    """What does not agree.

    Attributes:
        reason: ``keys-without-row``, ``row-of-nobody`` (it records no reading), ``more-keys-than-records``,
            ``custody-log``, ``count-fell``, ``count-unknown``.
        place: the entry, or the transaction that anchored the count.
        keys: how many keys are concerned, or too many.
    """

    reason: str
    place: str
    keys: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The three accounts.

    Attributes:
        released: keys that custody opened, by purpose.
        rows: rows of the access log that record a reading of records.
        without_keys: such rows for which custody opened nothing: a read that failed after it was logged, or a custody
            log that was cut; at most :data:`MAX_NAMED` are named, ``rows_without_keys`` counts all.
        refused: keys that were prepared for a release and, as rows say, refused at the last look.
        lost: keys without a row that were opened after the last row that a restored database holds: the rows of that
            time were lost with it.
        interrupted: keys without a row that were prepared for a release and were among the last before a process of the
            node started.
        starts: how often one started.
        anchored: the count on the ledger.
    """

    entries: int
    released: dict[str, int]
    rows: int
    rows_without_keys: int
    without_keys: tuple[str, ...]
    refused: int
    lost: int
    interrupted: int
    starts: int
    anchored: int
    findings: tuple[UnwrapFinding, ...]


@dataclass(slots=True)
class _Rows:
    """What the access log says: readings, and for each id under which keys were opened how many its rows cover."""

    count: int = 0
    unmatched: int = 0
    named: list[str] = field(default_factory=list)
    refused: int = 0
    last: dict[str, str] = field(default_factory=dict)
    """When the last row before each restore was written."""
    covered: dict[str, int | None] = field(default_factory=dict)
    """None while there are rows, none of which records a reading."""

    def add(self, row: str, *, is_named: bool) -> None:
        """A reading, and whether custody opened something for it."""
        self.count += 1
        if not is_named:
            self.unmatched += 1
            self.named += [row][: MAX_NAMED - len(self.named)]


def reconcile(node: Node) -> Reconciliation:
    """Compare custody log, access log and ledger; may run beside the node.

    Raises:
        Unavailable: custody, database or ledger cannot be read.
    """
    # Counts first, custody after them, rows last: what comes meanwhile makes each younger than the one before.
    anchored = LedgerHeads(node).unwraps
    with node.database.reading() as session:
        anchors = _anchors(node, session)
    account = custody_account(node)
    with node.database.reading() as session:
        rows = _match(node, session, account)
    settled = instant(node.clock.now() - IN_FLIGHT)
    gaps = [gap for name, one in account.open.items() if (gap := _gap(name, one, account, rows, settled)) is not None]
    last = account.last
    return Reconciliation(
        entries=0 if last is None else last.total.entries,
        released=dict(sorted(account.released.items())),
        rows=rows.count,
        rows_without_keys=rows.unmatched,
        without_keys=tuple(rows.named),
        refused=rows.refused,
        lost=sum(gap.lost for gap in gaps),
        interrupted=sum(gap.interrupted for gap in gaps),
        starts=len(account.starts),
        anchored=anchored,
        findings=(
            *(UnwrapFinding("custody-log", place, 0) for place in account.findings),
            *(gap.finding for gap in gaps if gap.finding is not None),
            *_counts(anchors, anchored, account),
        ),
    )


def _match(node: Node, session: Session, account: CustodyAccount) -> _Rows:
    versions = _Versions(session)
    rows = _Rows()
    for leaf in _leaves(session):
        rows.last |= {at: max(leaf.at, rows.last.get(at, "")) for at, _ in account.restored if leaf.at <= at}
        name, purpose = (leaf.id, READ) if leaf.organisation == node.msp_id else (leaf.access, RELEASE)
        opened = account.open.get(name or "")
        is_named = name is not None and opened is not None and opened.purpose == purpose
        if is_named:
            before = rows.covered.setdefault(name or "", None)
            if leaf.action in _NAMING_ACTIONS[purpose]:
                covers = versions.of(leaf.records) if purpose == READ else len(leaf.records)
                rows.covered[name or ""] = (before or 0) + covers
                rows.refused += covers if leaf.action == DENY else 0
        if leaf.action in OPENING_ACTIONS and leaf.outcome == "ok" and leaf.records:
            rows.add(leaf.id, is_named=is_named)
    return rows


class _Versions:
    """How many versions records have: reading a record's history opens a key for each."""

    def __init__(self, session: Session) -> None:
        several = select(Record.id, Record.current_version).where(Record.current_version > 1)
        self._several = {row.id: row.current_version for row in session.execute(several)}

    def of(self, records: Sequence[str]) -> int:
        return sum(self._several.get(record, 1) for record in records)


def _leaves(session: Session) -> Iterator[leaves.AccessLeaf]:
    query = select(AccessRow.leaf).order_by(AccessRow.id).execution_options(yield_per=_FETCH_ROWS)
    for encoded in session.scalars(query):
        yield leaves.parse_access_leaf(encoded)


@dataclass(frozen=True, slots=True)
class _Gap:
    """Keys under one id that no row covers: why that is no wonder, or the finding."""

    lost: int
    interrupted: int
    finding: UnwrapFinding | None


def _gap(name: str, opened: Opened, account: CustodyAccount, rows: _Rows, settled: str) -> _Gap | None:
    old = [entry for entry in opened.entries if entry.at <= settled]
    covered = rows.covered.get(name)
    left = sum(entry.keys for entry in old) - (covered or 0)
    if left <= 0:
        return None
    lost = min(left, sum(entry.keys for entry in old if account.was_lost(entry, rows.last)))
    left -= lost
    is_release = opened.purpose == RELEASE  # the row of a reading at home comes before its keys
    interrupted = min(left, sum(entry.keys for entry in old if is_release and account.was_interrupted(entry)))
    left -= interrupted
    if not left:
        return _Gap(lost, interrupted, None)
    reason = "more-keys-than-records" if covered else "row-of-nobody" if name in rows.covered else "keys-without-row"
    return _Gap(lost, interrupted, UnwrapFinding(reason, f"{opened.purpose} {name}", left))


def _anchors(node: Node, session: Session) -> list[tuple[str, transactions.Anchor]]:
    """The anchors that this hospital put on the ledger, in its order, with their transaction ids."""
    query = select(LedgerTransaction).filter_by(creator=node.msp_id, name=transactions.Anchor.__name__, code=VALID)
    rows = session.scalars(query.order_by(LedgerTransaction.block, LedgerTransaction.position))
    parsed = ((row.tx_id, transactions.parse(row.name, row.arguments)) for row in rows)
    return [(tx_id, anchor) for tx_id, anchor in parsed if isinstance(anchor, transactions.Anchor)]


def _counts(
    anchors: Sequence[tuple[str, transactions.Anchor]], anchored: int, account: CustodyAccount
) -> Iterator[UnwrapFinding]:
    """Every anchored count was a total of custody once, none fell, and none is beyond what custody has now."""
    before = (0, 0)
    for tx_id, anchor in anchors:
        now = (anchor.incarnation, anchor.unwraps)
        if now[0] == before[0] and now[1] < before[1]:
            yield UnwrapFinding("count-fell", tx_id, before[1] - now[1])
        elif not account.had(anchor.unwraps) and not account.findings:
            yield UnwrapFinding("count-unknown", tx_id, anchor.unwraps)
        before = now
    released = 0 if account.last is None else account.last.total.released
    if anchored > released:
        yield UnwrapFinding("count-fell", "custody log", anchored - released)
