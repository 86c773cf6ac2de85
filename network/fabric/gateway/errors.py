"""What can go wrong, by stage: could the network not be asked, or did it decide no?

The names are those of the official clients. ``EndorseError`` and an error of ``evaluate``: nothing was ordered.
``SubmitError`` and ``CommitStatusError``: the transaction may or may not become part of a block; ask for its commit
status, through another peer if need be. ``CommitError``: it is in a block, and was refused there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from network.fabric.gateway.commit import Status


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What one endorsing peer or orderer answered (``gateway.ErrorDetail``)."""

    address: str
    msp_id: str
    message: str

    def __str__(self) -> str:
        return f"{self.address} ({self.msp_id}): {self.message}"


class GatewayError(Exception):
    """Base of every error of this client; raised itself by ``evaluate`` and by event streams.

    Attributes:
        message: what happened, without the details.
        code: the gRPC status of the call; None where no call was made or its answer is what is wrong.
        details: per peer, where the gateway peer told them.
        transaction_id: of the transaction at stake, else empty.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        details: tuple[ErrorDetail, ...] = (),
        transaction_id: str = "",
    ) -> None:
        self.message = message
        self.code = code
        self.details = details
        self.transaction_id = transaction_id
        super().__init__(message)

    def __str__(self) -> str:
        status = f"{self.code.name}: " if self.code is not None else ""
        return "; ".join([status + self.message, *map(str, self.details)])


class EndorseError(GatewayError):
    """The proposal was not endorsed; nothing was sent to be ordered."""


class SubmitError(GatewayError):
    """The orderer did not acknowledge the transaction; it may still be committed."""


class CommitStatusError(GatewayError):
    """Whether the transaction was committed could not be learnt."""


class CommitError(GatewayError):
    """The transaction is in a block and was refused: it changed nothing.

    Attributes:
        status: validation code and block number.
    """

    def __init__(self, status: Status) -> None:
        self.status = status
        super().__init__(
            f"transaction {status.transaction_id} failed to commit in block {status.block_number}"
            f" with status code {status.code} ({status.code_name})",
            transaction_id=status.transaction_id,
        )


class SigningError(GatewayError):
    """There is no signature and nothing to make one with."""


class MalformedError(GatewayError):
    """Bytes given to be read are not the message that they should be."""


class CheckpointError(GatewayError):
    """A checkpoint file cannot be read or written, or is none."""


@contextmanager
def at_stage(kind: type[GatewayError], transaction_id: str) -> Iterator[None]:
    """A ``GatewayError`` of the body leaves as ``kind``, with the transaction's id."""
    try:
        yield
    except GatewayError as error:
        raise kind(
            error.message, code=error.code, details=error.details, transaction_id=transaction_id
        ) from error.__cause__
