"""The ledger as this node's own projection holds it, as typed values; never as somebody else says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import entries, transactions
from domain.entries import Kind
from domain.errors import Tampered
from node_service.database.models import LedgerState, LedgerTransaction

_SEPARATOR = "\x00"


@dataclass(frozen=True, slots=True)
class Standing(Generic[Kind]):
    """A value of the state, the attributes of its key behind the object type, and the transaction that wrote it."""

    attributes: tuple[str, ...]
    entry: Kind
    tx_id: str
    block: int


def find(session: Session, kind: type[Kind], *attributes: str) -> Standing[Kind] | None:
    """The value under one key, or None."""
    row = session.get(LedgerState, _key(kind, attributes))
    return None if row is None else _standing(kind, row)


def having(session: Session, kind: type[Kind], *attributes: str) -> Iterator[Standing[Kind]]:
    """All values whose keys begin with these attributes, in order of the keys."""
    begin = _key(kind, attributes)
    rows = session.scalars(
        select(LedgerState).where(LedgerState.key >= begin, LedgerState.key < begin + b"\xff").order_by(LedgerState.key)
    )
    for row in rows:
        yield _standing(kind, row)


def transaction(session: Session, tx_id: str) -> LedgerTransaction:
    """A transaction with its signed arguments.

    Raises:
        Tampered: the projection holds a value of a transaction that it does not hold, or that was not valid.
    """
    row = session.get(LedgerTransaction, tx_id)
    if row is None or row.code != "VALID":
        raise Tampered("the projection names a transaction that it does not hold", reason="projection", place=tx_id)
    return row


def arguments(row: LedgerTransaction) -> transactions.Transaction:
    """The transaction's arguments as they were signed."""
    return transactions.parse(row.name, row.arguments)


def _key(kind: type[Kind], attributes: tuple[str, ...]) -> bytes:
    name = next(name for name, entry in entries.OBJECT_TYPES.items() if entry is kind)
    parts = (name, *attributes)
    return (_SEPARATOR + "".join(part + _SEPARATOR for part in parts)).encode()


def _standing(kind: type[Kind], row: LedgerState) -> Standing[Kind]:
    attributes = row.key.decode().split(_SEPARATOR)[2:-1]
    return Standing(tuple(attributes), entries.parse(kind, row.value), row.tx_id, row.block)
