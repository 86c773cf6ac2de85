"""The port of key custody: it wraps data keys, opens wraps many at once and logs how many, and can destroy a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from domain.ports import CustodyCount, CustodyEntry, NoKey
from offchain.envelope.keys import DataKey
from offchain.envelope.wraps import KeyBinding, Wrap

__all__ = ["MAX_WRAPS_PER_CALL", "CustodyCount", "CustodyEntry", "KeyCustody", "NoKey"]

MAX_WRAPS_PER_CALL: Final = 1_000


class KeyCustody(Protocol):
    """Holds the custodian's keys. Every method raises ``Unavailable`` where the keyring or its log cannot be used."""

    def wrap(self, keys: Sequence[tuple[KeyBinding, DataKey]]) -> list[Wrap]:
        """Wrap data keys under the current custody key, in order."""

    def unwrap_many(self, entry: CustodyEntry, wraps: Sequence[tuple[KeyBinding, Wrap]]) -> list[DataKey | NoKey]:
        """Open at most 1,000 wraps, in order; one log entry is durable before any key is returned.

        Raises:
            Invalid: too many wraps, or more than the entry says were evaluated.
            Tampered: a wrap was altered or moved here from another row; no key is returned.
        """

    def rotate(self, at: str) -> str:
        """Begin a new current key and return its id; older ones still open their wraps."""

    def destroy(self, key_id: str, at: str) -> None:
        """Forget a key for ever; its wraps open no more.

        Raises:
            NotFound: there is no such key.
            Conflict: it is the current one.
        """

    def count(self) -> CustodyCount:
        """The totals of the custody log."""
