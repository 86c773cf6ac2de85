"""What an auditor asks of a verified chain: transactions of the contract as rows that can be filtered and traced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from domain import jcs
from domain.errors import Invalid
from domain.instants import instant
from network.blocks.codes import code_name
from network.blocks.identity import parse_identity
from network.blocks.transaction import Transaction
from network.verifier.report import VerifiedBlock

_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One transaction of a chaincode, as its signed bytes tell it.

    Attributes:
        organisation: MSP id from the creator's certificate.
        name: what was invoked; empty where the invocation cannot be read.
        arguments: the argument object; statements inside stay signed text.
        keys: the keys that a valid transaction wrote, attributes joined by "/".
    """

    block: int
    tx_id: str
    code: str
    time: str
    organisation: str
    name: str
    arguments: jcs.JsonObject
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows are wanted; every given condition must hold.

    Attributes:
        mentions: an identifier (grant, access, patient, record, request) anywhere in arguments, statement or keys.
        since, until: instants; ``until`` itself is outside.
    """

    organisation: str | None = None
    name: str | None = None
    mentions: str | None = None
    code: str | None = None
    since: str | None = None
    until: str | None = None

    def matches(self, row: AuditRow) -> bool:
        """True if the row is wanted."""
        return (
            (self.organisation is None or row.organisation == self.organisation)
            and (self.name is None or row.name == self.name)
            and (self.code is None or row.code == self.code)
            and (self.since is None or row.time >= self.since)
            and (self.until is None or row.time < self.until)
            and (self.mentions is None or _mentions(row, self.mentions))
        )


def rows_of(block: VerifiedBlock, chaincode: str) -> Iterator[AuditRow]:
    """The rows of a verified block that belong to a chaincode, in the order of the block."""
    for item in block.transactions:
        transaction = item.transaction
        if transaction is not None and transaction.chaincode == chaincode:
            yield _row(block.number, code_name(item.code), transaction)


def _row(block: int, code: str, transaction: Transaction) -> AuditRow:
    name, arguments = _invocation(transaction)
    submitted = datetime.fromtimestamp(transaction.envelope.timestamp_ns // _NANOSECONDS, UTC)
    keys = [
        write.key for rwset in transaction.rwsets if rwset.namespace == transaction.chaincode for write in rwset.writes
    ]
    return AuditRow(
        block, transaction.tx_id, code, instant(submitted), parse_identity(transaction.envelope.creator).msp_id,
        name, arguments, tuple(key.strip("\x00").replace("\x00", "/") for key in keys),
    )  # fmt: skip


def _invocation(transaction: Transaction) -> tuple[str, jcs.JsonObject]:
    try:
        name, arguments = transaction.args
        return name.decode(), jcs.parse_object(arguments)
    except (Invalid, ValueError):
        return "", {}


def _mentions(row: AuditRow, wanted: str) -> bool:
    return any(wanted in key.split("/") for key in row.keys) or f'"{wanted}"' in _text(row.arguments)


def _text(arguments: jcs.JsonObject) -> str:
    """The arguments with the statement inside them readable as text."""
    statement = arguments.get("statement")
    return jcs.canonical(arguments).decode() + (statement if isinstance(statement, str) else "")
