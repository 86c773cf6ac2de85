"""Receipts out of the own projection, the own logs, the own witness and the notes that were collected.

A receipt is proof to anybody; that this node made it says nothing. What is not witnessed yet is asked for at the
collector, so that whoever comes back a moment later gets it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.orm import Session

from domain import entries, transactions
from domain.entries import Head, incarnation_attribute
from domain.errors import NotFound, Tampered, Unavailable
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.paths import LeafPath, leaf_path
from domain.receipt_form import Inclusion, Member, WritePlace
from domain.receipts import Members, Proven, Receipt, parties_of
from domain.transactions import Anchor
from node_service.client.witness_client import WitnessClient
from node_service.context import Node
from node_service.database.models import AnchoredHead, LedgerState, LedgerTransaction
from node_service.ledger_sync import projection
from node_service.logs.log import Log
from node_service.witnessing import notes
from node_service.witnessing.members import active_members, witness_keys

MAX_REMEMBERED: Final = 512
NOT_WITNESSED: Final = "not-witnessed"


class Receipts:
    """Makes receipts. ``own`` is None where the hospital runs no witness: then nothing is ever witnessed here.

    Args:
        ledger_kind: ``embedded`` or ``fabric``, as receipts say it.
        want: tells the collector from which block a receipt is asked for.
    """

    def __init__(self, node: Node, ledger_kind: str, own: WitnessClient | None, want: Callable[[int], object]) -> None:
        self.ledger_kind = ledger_kind
        self._node, self._own, self._want = node, own, want
        self._places: OrderedDict[tuple[int, str, str], WritePlace] = OrderedDict()
        self._entries: OrderedDict[tuple[int, int], tuple[str, Inclusion]] = OrderedDict()

    def members(self) -> Members:
        """Whose signatures count at present, as this node reads it from the ledger."""
        with self._node.database.reading() as session:
            keys = witness_keys(session, instant(self._node.clock.now()))
        listed = tuple(Member(msp, tuple(map(encode_bytes, own))) for msp, own in sorted(keys.items()))
        return Members(self._node.ledger.channel, self.ledger_kind, listed)

    def of_write(self, object_type: str, *attributes: str) -> Receipt:
        """The receipt of the last write of a state key.

        Raises:
            NotFound: there is no such key.
            Unavailable: not witnessed yet (``not-witnessed``), or the own witness does not answer.
        """
        key = projection.composite_key(object_type, *attributes)
        with self._node.database.reading() as session:
            row = session.get(LedgerState, key)
        if row is None:
            raise NotFound("there is no such entry on the ledger", reason="no-entry")
        return self._receipt(Proven("write", key.decode(), row.value.decode()), row.tx_id, row.block)

    def of_leaf(self, kind: str, log: str, leaf: bytes, incarnation: int | None, index: int | None) -> Receipt:
        """The receipt of a leaf of an own log, under the first anchored head that covers it.

        Args:
            kind: ``record`` or ``access-row``.

        Raises:
            Unavailable: not anchored or not witnessed yet (``not-witnessed``), or the own witness does not answer.
            Tampered: the head is not what its transaction wrote.
        """
        with self._node.database.reading() as session:
            head = None
            if incarnation is not None and index is not None:
                head = projection.covering_head(session, self._node.msp_id, incarnation, log, index)
            if head is None or index is None:
                raise Unavailable("this is not on the ledger yet", reason=NOT_WITNESSED)
            proven = Proven(kind, _key(head), _value(session, head), leaf.decode(), _path(session, head, index))
        return self._receipt(proven, head.tx_id, head.block)

    def _receipt(self, proven: Proven, tx_id: str, block: int) -> Receipt:
        with self._node.database.reading() as session:
            note = notes.best_covering(session, block, active_members(session).keys() - parties_of(proven))
        if note is None:
            self._want(block)
            raise Unavailable("other hospitals' witnesses have not signed this yet", reason=NOT_WITNESSED)
        entry, inclusion = self._entry(block, note.checkpoint.size)
        return Receipt(
            channel=self._node.ledger.channel,
            ledger=self.ledger_kind,
            proves=proven,
            write=self._place(block, tx_id, proven.key),
            block=entry,
            log=inclusion,
            checkpoint=note.text(),
        )

    def _entry(self, block: int, size: int) -> tuple[str, Inclusion]:
        known = self._entries.get((block, size))
        if known is None:
            known = self._entries[block, size] = self._witness().entry(block, size)
            _forget_oldest(self._entries)
        return known

    def _place(self, block: int, tx_id: str, key: str) -> WritePlace:
        known = self._places.get((block, tx_id, key))
        if known is None:
            known = self._places[block, tx_id, key] = self._witness().write(block, tx_id, key)
            _forget_oldest(self._places)
        return known

    def _witness(self) -> WitnessClient:
        if self._own is None:
            raise Unavailable("this hospital runs no witness", reason=NOT_WITNESSED)
        return self._own


def _key(head: AnchoredHead) -> str:
    return projection.composite_key("log", head.msp_id, incarnation_attribute(head.incarnation)).decode()


def _value(session: Session, head: AnchoredHead) -> str:
    """What the anchor wrote: its heads, and the opening of the incarnation, which no later anchor changes."""
    written = session.get_one(LedgerTransaction, head.tx_id)
    anchor = transactions.parse(written.name, written.arguments)
    present = projection.entry(session, entries.LogEntry, head.msp_id, incarnation_attribute(head.incarnation))
    if not isinstance(anchor, Anchor) or present is None:
        raise Tampered("a head was not written by an anchor", reason="log-head", place=f"block {head.block}")
    records, access = (Head(one.size, one.root) for one in (anchor.records, anchor.access))
    return entries.encode(entries.LogEntry(present.opening, records, access, anchor.unwraps)).decode()


def _path(session: Session, head: AnchoredHead, index: int) -> LeafPath:
    (proof,) = Log(session, head.log, head.incarnation).inclusions([index], head.size)
    return leaf_path(head.incarnation, index, head.size, proof)


def _forget_oldest(remembered: OrderedDict[Any, Any]) -> None:
    while len(remembered) > MAX_REMEMBERED:
        remembered.popitem(last=False)
