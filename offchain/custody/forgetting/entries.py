"""Entries of the store that can forget: 48 bytes, a record's secret or its tombstone.

secret: record id 16 ‖ secret 32. tombstone: record id 16 ‖ forgotten at 8 ‖ final at 8 (0: not yet) ‖ zeros 16;
times are seconds since 1970, big-endian.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from domain.identifiers import IDENTIFIER_BYTES, check_identifier
from domain.instants import instant, moment
from offchain.envelope.keys import RecordSecret
from offchain.envelope.suite import DATA_KEY_BYTES

ENTRY_BYTES: Final = IDENTIFIER_BYTES + DATA_KEY_BYTES


@dataclass(frozen=True, slots=True)
class Tombstone:
    """That a record was forgotten.

    Attributes:
        at: seconds since 1970.
        final_at: when no base with its secret could be opened any more, here, in replica and escrow; 0: not yet.
    """

    at: int
    final_at: int = 0


def record_bytes(record: str) -> bytes:
    """The 16 bytes of a record id.

    Raises:
        Invalid: it is no identifier.
    """
    return base64.b32decode(check_identifier(record, "record").upper() + "======")


def encode_secret(record: bytes, secret: bytes) -> bytes:
    """The entry of a secret."""
    return record + secret


def decode_secret(entry: bytes) -> RecordSecret:
    """The secret of an entry."""
    return RecordSecret(entry[IDENTIFIER_BYTES:])


def encode_tombstone(record: bytes, tombstone: Tombstone) -> bytes:
    """The entry of a tombstone."""
    times = tombstone.at.to_bytes(8, "big") + tombstone.final_at.to_bytes(8, "big")
    return record + times.ljust(DATA_KEY_BYTES, b"\x00")


def decode_tombstone(entry: bytes) -> Tombstone:
    """The tombstone of an entry."""
    return Tombstone(int.from_bytes(entry[16:24], "big"), int.from_bytes(entry[24:32], "big"))


def seconds(at: str) -> int:
    """Seconds since 1970 of an instant."""
    return int(moment(at, "at").timestamp())


def text(at_s: int) -> str:
    """The instant of seconds since 1970."""
    return instant(datetime.fromtimestamp(at_s, UTC))
