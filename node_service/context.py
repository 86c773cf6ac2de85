"""What every use case of one node works with. Made once by ``composition.py``; use cases see ports only."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from domain.ports import BlobStore, Clock, KeyCustody, Ledger, RandomSource, TransactionStatus, Voices
from node_service.database.engine import Database
from node_service.secrets import NodeSecrets
from node_service.settings import Settings
from offchain.envelope.keys import DataKey
from offchain.envelope.sealed import SealedBytes, SealedObject, SealedStream
from offchain.envelope.wraps import KeyBinding, Wrap

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Commits(Protocol):
    """Commits as the one follower sees them; awaited in async routes, never in a pool thread."""

    async def committed(self, tx_id: str, timeout_s: float) -> TransactionStatus:
        """Wait until the follower has projected the block that holds the transaction.

        Raises:
            OutcomeUnknown: it was not seen in time.
        """

    async def projected(self, height: int, timeout_s: float) -> None:
        """Wait until the projection holds all blocks below ``height``.

        Raises:
            Unavailable: it does not in time.
        """


@dataclass(frozen=True, slots=True)
class Limits:
    """How many calls of each kind run at once."""

    ledger: CapacityLimiter
    database: CapacityLimiter
    crypto: CapacityLimiter


@dataclass(frozen=True, slots=True)
class Node:
    """One hospital's node: settings, ports, keys.

    Attributes:
        hashing: threads that hash what is sealed while it is encrypted and written; None: the one that seals.
        trusted: whose https certificates count at other hospitals; None: those of the public authorities.
    """

    settings: Settings
    database: Database
    ledger: Ledger
    blobs: BlobStore[SealedBytes, SealedStream, SealedObject]
    custody: KeyCustody[KeyBinding, DataKey, Wrap]
    secrets: NodeSecrets
    clock: Clock
    random: RandomSource
    commits: Commits
    voices: Voices
    limits: Limits
    hashing: Executor | None = None
    trusted: ssl.SSLContext | None = None

    @property
    def msp_id(self) -> str:
        """The hospital's MSP id."""
        return self.settings.msp_id

    async def in_ledger(
        self, call: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Run a synchronous call of the ledger in its pool."""
        return await anyio.to_thread.run_sync(lambda: call(*args, **kwargs), limiter=self.limits.ledger)

    async def in_database(
        self, call: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Run a synchronous call that uses the database in its pool."""
        return await anyio.to_thread.run_sync(lambda: call(*args, **kwargs), limiter=self.limits.database)

    async def in_crypto(
        self, call: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Run a synchronous call that seals, opens or stores in its pool."""
        return await anyio.to_thread.run_sync(lambda: call(*args, **kwargs), limiter=self.limits.crypto)
