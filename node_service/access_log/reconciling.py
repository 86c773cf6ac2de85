"""Compares three accounts of opened keys: the custody log, the rows of the access log, the counts on the ledger.

Custody logs before it opens a key and names why: a read names the row of the access log, a release the access on the
ledger, and the node's own work (manifests, wraps for patients, decisions) names itself. Rows name the records: more
keys than these have, a key that was opened for somebody without a row, or a count that fell, mean that a log was cut,
replaced or restored from an older copy, or that whoever runs the node opened more than the log tells. A node that was
killed between keys and row leaves the same trace, and such keys never left it; each process enters its start into the
custody log, so what was opened shortly before is told apart, with its number: restarts and such keys come together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import leaves, transactions
from domain.errors import Tampered
from domain.instants import instant, moment
from domain.ports import CustodyRecord
from node_service.access_log.ledger_heads import LedgerHeads
from node_service.context import Node
from node_service.custody_steps import START
from node_service.database.models import AccessRow, LedgerTransaction, Record
from node_service.ledger_sync.projection import VALID
from node_service.records.reading import READ

RELEASE: Final = "release"
RESTORED: Final = "restored"
WITHOUT_ROW: Final = "keys-without-row"
START_OF_TIME: Final = "1970-01-01T00:00:00Z"
FOR_SOMEBODY: Final = frozenset({READ, RELEASE})
"""Purposes of entries whose keys leave the node or show on a screen."""
OPENING_ACTIONS: Final = frozenset({"read", "release", "break-glass"})
_NAMING_ACTIONS: Final = {READ: frozenset({"read"}), RELEASE: frozenset({"release", "break-glass", "deny"})}
"""Rows that name the records whose keys were opened; a release that was refused late names what was prepared."""
IN_FLIGHT: Final = timedelta(minutes=2)
"""Custody logs first: within this time the row may still be on its way."""
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
        lost: keys without a row that were opened after the last row that a restored database holds: the rows of that
            time were lost with it.
        interrupted: keys without a row that were prepared for a release shortly before a process of the node started.
        anchored: the count on the ledger.
    """

    entries: int
    released: dict[str, int]
    rows: int
    rows_without_keys: int
    without_keys: tuple[str, ...]
    lost: int
    interrupted: int
    anchored: int
    findings: tuple[UnwrapFinding, ...]


@dataclass(slots=True)
class _Opened:
    """Keys that were opened under one id, and when the last of them."""

    purpose: str
    keys: int = 0
    at: str = ""


@dataclass(slots=True)
class _Account:
    """What custody says: keys by the id under which they were opened, and every total that it ever had."""

    last: CustodyRecord | None = None
    released: Counter[str] = field(default_factory=Counter)
    open: dict[str, _Opened] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    totals: set[int] = field(default_factory=lambda: {0})
    restored: list[tuple[str, range]] = field(default_factory=list)
    """When the log went on after a restore, and which totals that left out."""
    findings: list[UnwrapFinding] = field(default_factory=list)

    def add(self, record: CustodyRecord) -> None:
        entry = record.entry
        self.last = record
        self.released[entry.purpose] += record.released
        self.totals.add(record.total.released)
        if entry.purpose == RESTORED:
            total = record.total.released
            self.restored.append((entry.at, range(total - record.released, total)))
        if entry.purpose == START:
            self.starts.append(entry.at)
        if entry.purpose in FOR_SOMEBODY:
            opened = self.open.setdefault(entry.entry_id, _Opened(entry.purpose))
            opened.keys += record.released
            opened.at = entry.at

    def had(self, total: int) -> bool:
        """Whether so many keys had been opened at some time, as far as the log can tell after restores."""
        return total in self.totals or any(total in left_out for _, left_out in self.restored)

    def was_lost(self, opened: _Opened, last_rows: dict[str, str]) -> bool:
        """Whether a restore lost the rows of that time.

        Args:
            last_rows: when the last row was written that is held from before a restore, by that restore's time.
        """
        at = moment(opened.at)
        return any(
            opened.at <= restored and at > moment(last_rows.get(restored, START_OF_TIME)) - IN_FLIGHT
            for restored, _ in self.restored
        )

    def was_interrupted(self, opened: _Opened) -> bool:
        """Whether a process of the node started so soon afterwards that another may have died over it."""
        at = moment(opened.at)
        return opened.purpose == RELEASE and any(
            timedelta() <= moment(start) - at <= IN_FLIGHT for start in self.starts
        )


@dataclass(slots=True)
class _Rows:
    """What the access log says: readings, and for each id under which keys were opened how many its rows cover."""

    count: int = 0
    unmatched: int = 0
    named: list[str] = field(default_factory=list)
    last: dict[str, str] = field(default_factory=dict)
    """When the last row before each restore was written."""
    covered: dict[str, int | None] = field(default_factory=dict)
    """None while there are rows, none of which records a reading."""


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
        rows = _match(session, account)
    unmatched = dict(_unmatched(node, account, rows.covered))
    lost = {
        name
        for name, one in unmatched.items()
        if one.reason == WITHOUT_ROW and account.was_lost(account.open[name], rows.last)
    }
    interrupted = {name for name in unmatched if account.was_interrupted(account.open[name])} - lost
    findings = [finding for name, finding in unmatched.items() if name not in lost | interrupted]
    last = account.last
    return Reconciliation(
        entries=0 if last is None else last.total.entries,
        released=dict(sorted(account.released.items())),
        rows=rows.count,
        rows_without_keys=rows.unmatched,
        without_keys=tuple(rows.named),
        lost=sum(unmatched[name].keys for name in lost),
        interrupted=sum(unmatched[name].keys for name in interrupted),
        anchored=anchored,
        findings=(*account.findings, *findings, *_counts(anchors, anchored, account)),
    )


def custody_account(node: Node) -> _Account:
    """What the custody log says now."""
    account = _Account()
    try:
        for record in node.custody.history():
            account.add(record)
    except Tampered as error:
        account.findings.append(UnwrapFinding("custody-log", error.place, 0))
    return account


def _match(session: Session, account: _Account) -> _Rows:
    versions = _Versions(session)
    rows = _Rows()
    for leaf in _leaves(session):
        rows.last |= {at: max(leaf.at, rows.last.get(at, "")) for at, _ in account.restored if leaf.at <= at}
        names = {name for name in (leaf.id, leaf.access) if name is not None and name in account.open}
        for name in names:
            before = rows.covered.setdefault(name, None)
            purpose = account.open[name].purpose
            if leaf.action in _NAMING_ACTIONS[purpose]:
                covers = versions.of(leaf.records) if purpose == READ else len(leaf.records)
                rows.covered[name] = (before or 0) + covers
        if leaf.action not in OPENING_ACTIONS or leaf.outcome != "ok" or not leaf.records:
            continue
        rows.count += 1
        if not names:
            rows.unmatched += 1
            rows.named += [leaf.id][: MAX_NAMED - len(rows.named)]
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


def _unmatched(node: Node, account: _Account, covered: dict[str, int | None]) -> Iterator[tuple[str, UnwrapFinding]]:
    settled = instant(node.clock.now() - IN_FLIGHT)
    for name, opened in account.open.items():
        if not opened.keys or opened.at > settled:
            continue
        place, records = f"{opened.purpose} {name}", covered.get(name)
        if name not in covered:
            yield name, UnwrapFinding(WITHOUT_ROW, place, opened.keys)
        elif records is None:
            yield name, UnwrapFinding("row-of-nobody", place, opened.keys)
        elif opened.keys > records:
            yield name, UnwrapFinding("more-keys-than-records", place, opened.keys - records)


def _anchors(node: Node, session: Session) -> list[tuple[str, transactions.Anchor]]:
    """The anchors that this hospital put on the ledger, in its order, with their transaction ids."""
    query = select(LedgerTransaction).filter_by(creator=node.msp_id, name=transactions.Anchor.__name__, code=VALID)
    rows = session.scalars(query.order_by(LedgerTransaction.block, LedgerTransaction.position))
    parsed = ((row.tx_id, transactions.parse(row.name, row.arguments)) for row in rows)
    return [(tx_id, anchor) for tx_id, anchor in parsed if isinstance(anchor, transactions.Anchor)]


def _counts(
    anchors: Sequence[tuple[str, transactions.Anchor]], anchored: int, account: _Account
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
