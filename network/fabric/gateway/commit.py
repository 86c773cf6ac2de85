"""Asking what became of a submitted transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from network.blocks.codes import ValidationCode, code_name
from network.fabric.gateway.errors import CommitStatusError, at_stage
from network.fabric.gateway.protos import gateway
from network.fabric.gateway.rpc import Rpc
from network.fabric.gateway.signing import Signable, SigningIdentity


@dataclass(frozen=True, slots=True)
class Status:
    """What a peer decided about a transaction, and in which block it stands.

    Attributes:
        code: the validation code (``peer.TxValidationCode``); 0 is VALID, everything else changed nothing.
    """

    transaction_id: str
    code: int
    block_number: int

    @property
    def successful(self) -> bool:
        return self.code == ValidationCode.VALID

    @property
    def code_name(self) -> str:
        """Fabric's name of the code; one that is not known here is named by its number."""
        return code_name(self.code)


class Commit(Signable):
    """A request for a transaction's status."""

    def __init__(self, rpc: Rpc, signing: SigningIdentity, transaction_id: str, signed: Any) -> None:
        super().__init__(signing, signed, "request")
        self._rpc = rpc
        self.transaction_id = transaction_id

    def serialize(self) -> bytes:
        """The request with its signature, if it has one: for ``Gateway.new_commit``, here or elsewhere."""
        raw: bytes = self._signed.SerializeToString()
        return raw

    def status(self, *, timeout_s: float | None = None) -> Status:
        """Waits until the transaction is in a block and says what was decided; an unknown id waits to the deadline.

        Raises:
            CommitStatusError: it could not be learnt; the transaction may be in a block or not.
            SigningError: nothing signs the request.
        """
        self.sign()
        with at_stage(CommitStatusError, self.transaction_id):
            response = self._rpc.commit_status(self._signed, timeout_s)
        if response.block_number == 0:
            # An answer without content reads as VALID in block 0, where only the channel's first configuration stands.
            raise CommitStatusError("the peer's answer names no block", transaction_id=self.transaction_id)
        return Status(self.transaction_id, response.result, response.block_number)


def request_commit(rpc: Rpc, signing: SigningIdentity, channel: str, transaction_id: str) -> Commit:
    """The unsigned request for the status of one transaction."""
    request = gateway.CommitStatusRequest(
        transaction_id=transaction_id, channel_id=channel, identity=signing.identity.serialize()
    )
    signed = gateway.SignedCommitStatusRequest(request=request.SerializeToString())
    return Commit(rpc, signing, transaction_id, signed)
