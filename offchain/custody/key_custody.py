"""The port of key custody: it wraps data keys, opens wraps many at once and logs how many, and can destroy a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from domain.errors import Invalid
from domain.identifiers import check_code, check_identifier
from domain.instants import check_instant
from offchain.envelope.keys import DataKey
from offchain.envelope.wraps import KeyBinding, Wrap

MAX_WRAPS_PER_CALL: Final = 1_000


@dataclass(frozen=True, slots=True)
class CustodyEntry:
    """Why wraps are opened: the access, request or job they are opened for; written to the custody log.

    Attributes:
        entry_id: the id under which the caller's own log knows the same event.
        purpose: a code such as ``release``, ``read``, ``rewrap``.
        evaluated: how many records the caller decided about; at least as many as it asks keys for.
        at: the caller's time.
    """

    entry_id: str
    purpose: str
    evaluated: int
    at: str

    def __post_init__(self) -> None:
        check_identifier(self.entry_id, "entryId")
        check_code(self.purpose, "purpose")
        check_instant(self.at, "at")
        if self.evaluated < 0:
            raise Invalid("a count is not negative", place="evaluated")


@dataclass(frozen=True, slots=True)
class NoKey:
    """No key for this wrap: its custody key was destroyed, or was never here. Nothing was altered."""

    reason: Literal["destroyed", "unknown-key"]


@dataclass(frozen=True, slots=True)
class CustodyCount:
    """Totals since the keyring began; they only grow."""

    entries: int
    evaluated: int
    released: int


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
