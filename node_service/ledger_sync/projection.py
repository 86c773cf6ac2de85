"""The contract's present state and transactions as the follower wrote them from verified blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Table, bindparam, delete, exists, select
from sqlalchemy.orm import Session

from domain import entries, jcs
from domain.errors import Invalid, Tampered
from domain.identifiers import decode_bytes
from domain.instants import instant
from domain.jcs import JsonObject
from domain.ports import CommittedBlock, CommittedTransaction
from domain.validity import BEFORE_GENESIS, validity_after
from node_service.database.models import AnchoredHead, Base, Checkpoint, LedgerState, LedgerTransaction, Notice
from node_service.database.witness_models import BlockHeader

FOLLOWER: Final = "follower"
VALID: Final = "VALID"
_NUL: Final = "\x00"


INCARNATION_OPENED = "IncarnationOpened"
WATCHING_ROLES = ("privacy-officer", "security-administrator", "audit-administrator")
MAX_NAME_CHARACTERS: Final = 64
_HEIGHT: Final = select(Checkpoint.next_block).where(Checkpoint.name == FOLLOWER)
_MEMBERS: Final = select(Checkpoint.members).where(Checkpoint.name == FOLLOWER)
_BLOCK: Final = select(BlockHeader.header_hash, BlockHeader.validity).where(BlockHeader.number == bindparam("number"))
_KEYS_PER_QUERY: Final = 500
_ENDED: Final = ("erased", "retracted")
_VALUE: Final = select(LedgerState.value).where(LedgerState.key == bindparam("key"))
_VALUE_AND_BLOCK: Final = select(LedgerState.value, LedgerState.block).where(LedgerState.key == bindparam("key"))
_WRITTEN_BY: Final = select(LedgerState.tx_id).where(LedgerState.key == bindparam("key"))
_CODE: Final = select(LedgerTransaction.code, LedgerTransaction.block).where(LedgerTransaction.tx_id == bindparam("tx"))
_ANCHORED_SIZE: Final = (
    select(AnchoredHead.size)
    .where(
        AnchoredHead.msp_id == bindparam("msp_id"),
        AnchoredHead.incarnation == bindparam("incarnation"),
        AnchoredHead.log == bindparam("log"),
    )
    .order_by(AnchoredHead.size.desc())
    .limit(1)
)
_ANCHORED: Final = select(
    exists().where(
        AnchoredHead.msp_id == bindparam("msp_id"),
        AnchoredHead.incarnation == bindparam("incarnation"),
        AnchoredHead.log == bindparam("log"),
        AnchoredHead.size == bindparam("size"),
    )
)
_TABLE: Final[dict[type[Base], Table]] = {
    model: Base.metadata.tables[model.__tablename__]
    for model in (AnchoredHead, BlockHeader, Checkpoint, LedgerState, LedgerTransaction)
}
_DELETE: Final = {
    model: table.delete().where(*(column == bindparam(column.name) for column in table.primary_key))
    for model, table in _TABLE.items()
}
_INSERT: Final = {model: table.insert() for model, table in _TABLE.items()}
"""What every turn of every step asks is built once: building a statement costs more than running it."""


def composite_key(object_type: str, *attributes: str) -> bytes:
    """UTF-8 of a Fabric composite key: U+0000 ‖ object type ‖ U+0000 ‖ attribute ‖ U+0000 …"""
    return (_NUL + _NUL.join((object_type, *attributes)) + _NUL).encode()


def split_key(key: bytes | str) -> tuple[str, ...]:
    """Object type and attributes of a composite key; empty for any other key."""
    text = key if isinstance(key, str) else key.decode()
    if len(text) < 2 or text[0] != _NUL or text[-1] != _NUL:
        return ()
    return tuple(text[1:-1].split(_NUL))


def state(session: Session, object_type: str, *attributes: str) -> JsonObject | None:
    """The value of one key, None where the projection holds none."""
    value = _value(session, composite_key(object_type, *attributes))
    return None if value is None else jcs.parse_object(value)


def entry(session: Session, kind: type[entries.Kind], *attributes: str) -> entries.Kind | None:
    """The value of one key as its type."""
    value = _value(session, composite_key(entries.OBJECT_TYPE_OF[kind], *attributes))
    return None if value is None else entries.parse(kind, value)


def written(session: Session, kind: type[entries.Kind], *attributes: str) -> tuple[entries.Kind, int] | None:
    """The value of one key as its type, and the block that last wrote it."""
    key = composite_key(entries.OBJECT_TYPE_OF[kind], *attributes)
    found = session.execute(_VALUE_AND_BLOCK, {"key": key}).one_or_none()
    return None if found is None else (entries.parse(kind, found.value), found.block)


def states(session: Session, object_type: str, *attributes: str) -> Iterator[tuple[tuple[str, ...], JsonObject]]:
    """Attributes and value of every key that begins with these attributes, in key order."""
    for names, value in _range(session, object_type, *attributes):
        yield names, jcs.parse_object(value)


def typed_states(
    session: Session, kind: type[entries.Kind], *attributes: str, since: int = 0
) -> Iterator[tuple[tuple[str, ...], entries.Kind]]:
    """As :func:`states`, with values as their type; only what block ``since`` or a later one wrote."""
    for names, value in _range(session, entries.OBJECT_TYPE_OF[kind], *attributes, since=since):
        yield names, entries.parse(kind, value)


def ended_records(session: Session, msp_id: str, records: Sequence[str]) -> set[str]:
    """Which of a custodian's records the ledger calls erased or retracted."""
    ended = set[str]()
    status = entries.OBJECT_TYPE_OF[entries.StatusEntry]
    for start in range(0, len(records), _KEYS_PER_QUERY):
        keys = [composite_key(status, msp_id, record) for record in records[start : start + _KEYS_PER_QUERY]]
        query = select(LedgerState.key, LedgerState.value).where(LedgerState.key.in_(keys))
        for key, value in session.execute(query):
            if entries.parse(entries.StatusEntry, value).status in _ENDED:
                ended.add(split_key(key)[2])
    return ended


def transaction_of(session: Session, object_type: str, *attributes: str) -> LedgerTransaction | None:
    """The transaction that last wrote a key, with its signed arguments."""
    key = composite_key(object_type, *attributes)
    tx_id = session.execute(_WRITTEN_BY, {"key": key}).scalar_one_or_none()
    return None if tx_id is None else session.get(LedgerTransaction, tx_id)


def height(session: Session) -> int:
    """How many blocks the projection holds."""
    return session.execute(_HEIGHT).scalar_one_or_none() or 0


def channel_members(session: Session) -> frozenset[str] | None:
    """MSP ids of the channel's members after the last block; None where no block has told them yet."""
    told = session.execute(_MEMBERS).scalar_one_or_none()
    return None if told is None else frozenset(told)


def code_and_block(session: Session, tx_id: str) -> tuple[str, int] | None:
    """How a transaction was judged, and in which block; None while the projection has not got it."""
    found = session.execute(_CODE, {"tx": tx_id}).one_or_none()
    return None if found is None else (found.code, found.block)


def header_and_validity(session: Session, number: int) -> tuple[bytes, bytes] | None:
    """Header hash of a block that the projection holds, and which transactions are valid up to it."""
    found = session.execute(_BLOCK, {"number": number}).one_or_none()
    return None if found is None else (found.header_hash, found.validity)


def anchored_size(session: Session, msp_id: str, incarnation: int, log: str) -> int:
    """The largest anchored size of one log, 0 where none is."""
    which = {"msp_id": msp_id, "incarnation": incarnation, "log": log}
    return session.execute(_ANCHORED_SIZE, which).scalar_one_or_none() or 0


def covering_head(session: Session, msp_id: str, incarnation: int, log: str, index: int) -> AnchoredHead | None:
    """The first anchored head that covers a leaf, None while none does."""
    query = select(AnchoredHead).where(
        AnchoredHead.msp_id == msp_id,
        AnchoredHead.incarnation == incarnation,
        AnchoredHead.log == log,
        AnchoredHead.size > index,
    )
    return session.scalars(query.order_by(AnchoredHead.size).limit(1)).first()


def apply_block(session: Session, block: CommittedBlock) -> None:
    """Write one verified block into the projection and move the checkpoint, in the caller's transaction.

    Raises:
        Tampered: it is not the block that comes next, the one before is missing, or a log's head cannot be read.
    """
    if block.number != height(session):
        raise Tampered("the ledger skips a block", reason="block-order", place=f"block {block.number}")
    for position, transaction in enumerate(block.transactions):
        _apply_transaction(session, block.number, position, transaction)
    validity = validity_after(_validity_before(session, block.number), block.header_hash, block.valid)
    _put(session, BlockHeader, {"number": block.number}, header_hash=block.header_hash, validity=validity)
    moved = {
        "next_block": block.number + 1, "header_hash": block.header_hash, "members": list(block.members),
    }  # fmt: skip
    _put(session, Checkpoint, {"name": FOLLOWER}, **moved)
    session.flush()


def _validity_before(session: Session, number: int) -> bytes:
    if number == 0:
        return BEFORE_GENESIS
    before = header_and_validity(session, number - 1)
    if before is None:
        raise Tampered("the projection lacks a block", reason="block-order", place=f"block {number - 1}")
    return before[1]


def _apply_transaction(session: Session, block: int, position: int, transaction: CommittedTransaction) -> None:
    if code_and_block(session, transaction.tx_id) is not None:
        return  # a duplicate id does not change what the first one became
    _add(
        session,
        LedgerTransaction,
        tx_id=transaction.tx_id,
        block=block,
        position=position,
        code=transaction.code,
        creator=transaction.creator,
        name=_name(transaction.name),
        arguments=transaction.arguments,
        submitted_at=instant(transaction.submitted_at),
    )
    if transaction.code != VALID:
        return
    for write in transaction.writes:
        _apply_write(session, block, transaction.tx_id, write.key, write.value)
    if transaction.event is not None and transaction.event[0] == INCARNATION_OPENED:
        _tell_everybody(session, transaction)


def _name(told: str) -> str:
    """The name as it was invoked; none where it cannot be one, for any member may have nonsense ordered."""
    return told if len(told) <= MAX_NAME_CHARACTERS and told.isascii() and told.isalnum() else ""


def _tell_everybody(session: Session, transaction: CommittedTransaction) -> None:
    """A hospital lost leaves of its logs: every member's officers see it, whoever it was."""
    session.add_all(
        Notice(
            recipient=f"role:{role}",
            event="incarnation-opened",
            references=[transaction.creator, transaction.tx_id],
            created_at=instant(transaction.submitted_at),
        )
        for role in WATCHING_ROLES
    )


def _apply_write(session: Session, block: int, tx_id: str, key: str, value: bytes | None) -> None:
    encoded = key.encode()
    if value is None:
        session.execute(delete(LedgerState).where(LedgerState.key == encoded))
        return
    _put(session, LedgerState, {"key": encoded}, value=value, block=block, tx_id=tx_id)
    names = split_key(key)
    if len(names) == 3 and names[0] == "log":
        _apply_heads(session, block, tx_id, names[1], names[2], value)


def _apply_heads(session: Session, block: int, tx_id: str, msp_id: str, incarnation: str, value: bytes) -> None:
    try:
        heads = entries.parse(entries.LogEntry, value)
        number = int(incarnation)
    except (Invalid, ValueError) as error:
        raise Tampered(
            "a log's head on the ledger cannot be read", reason="log-head", place=f"block {block}"
        ) from error
    for log, head in (("records", heads.records), ("access", heads.access)):
        which = {"msp_id": msp_id, "incarnation": number, "log": log, "size": head.size}
        if not session.execute(_ANCHORED, which).scalar_one():
            _add(session, AnchoredHead, **which, root=decode_bytes(head.root, "root"), block=block, tx_id=tx_id)


def _put(session: Session, model: type[Base], key: dict[str, object], **values: object) -> None:
    """Write one row, whatever stood there; past the object mapper, which would ask and track each row."""
    connection = session.connection()
    connection.execute(_DELETE[model], key)
    connection.execute(_INSERT[model], {**key, **values})


def _add(session: Session, model: type[Base], **values: object) -> None:
    session.connection().execute(_INSERT[model], values)


def _value(session: Session, key: bytes) -> bytes | None:
    return session.execute(_VALUE, {"key": key}).scalar_one_or_none()


def _range(
    session: Session, object_type: str, *attributes: str, since: int = 0
) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Keys from the prefix up to the prefix followed by U+10FFFF, as Fabric's partial composite key range."""
    prefix = composite_key(object_type, *attributes)
    query = select(LedgerState.key, LedgerState.value).where(
        LedgerState.key > prefix, LedgerState.key < prefix + "\U0010ffff".encode(), LedgerState.block >= since
    )
    for key, value in session.execute(query.order_by(LedgerState.key)):
        yield split_key(key)[1:], value
