"""One contract on a channel: evaluating and submitting its transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from network.blocks.proposal import NONCE_BYTES, propose
from network.fabric.gateway.commit import Commit
from network.fabric.gateway.errors import CommitError
from network.fabric.gateway.proposal import Proposal
from network.fabric.gateway.protos import gateway
from network.fabric.gateway.rpc import Deadlines, Rpc
from network.fabric.gateway.signing import SigningIdentity
from network.fabric.gateway.sources import Sources

Argument = bytes | str


class Contract:
    """The contract ``name`` in the chaincode ``chaincode``; without a name, the chaincode's own.

    Arguments are bytes, or text that is sent as UTF-8. ``transient`` reaches the endorsing peers and no block.
    ``endorsing_organizations`` are the MSP ids that are asked, and no others; without them the gateway peer chooses by
    the contract's policy. In an evaluation they are the organisations of which one is asked.
    """

    def __init__(
        self, rpc: Rpc, signing: SigningIdentity, sources: Sources, channel: str, chaincode: str, name: str
    ) -> None:
        self._rpc = rpc
        self._signing = signing
        self._sources = sources
        self._channel = channel
        self.chaincode = chaincode
        self.name = name

    def new_proposal(
        self,
        transaction: str,
        *,
        arguments: Sequence[Argument] = (),
        transient: Mapping[str, bytes] | None = None,
        endorsing_organizations: Sequence[str] = (),
    ) -> Proposal:
        """A proposal with a fresh transaction id, not yet signed."""
        proposal = propose(
            channel=self._channel,
            chaincode=self.chaincode,
            args=[_encode(self._qualified(transaction)), *map(_encode, arguments)],
            creator=self._signing.identity.serialize(),
            nonce=self._sources.random(NONCE_BYTES),
            timestamp_ns=self._sources.clock_ns(),
            transient=transient,
        )
        proposed = gateway.ProposedTransaction(
            transaction_id=proposal.tx_id, endorsing_organizations=endorsing_organizations
        )
        proposed.proposal.proposal_bytes = proposal.serialize()
        return Proposal(self._rpc, self._signing, self._channel, proposed)

    def evaluate_transaction(self, transaction: str, *arguments: Argument) -> bytes:
        """``evaluate`` with nothing but arguments."""
        return self.evaluate(transaction, arguments=arguments)

    def submit_transaction(self, transaction: str, *arguments: Argument) -> bytes:
        """``submit`` with nothing but arguments."""
        return self.submit(transaction, arguments=arguments)

    def evaluate(
        self,
        transaction: str,
        *,
        arguments: Sequence[Argument] = (),
        transient: Mapping[str, bytes] | None = None,
        endorsing_organizations: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> bytes:
        """What the contract answers on one peer's state; nothing is written.

        Raises:
            GatewayError: the contract refused or failed, or could not be asked.
            SigningError: the gateway has no signer.
        """
        proposal = self.new_proposal(
            transaction, arguments=arguments, transient=transient, endorsing_organizations=endorsing_organizations
        )
        return proposal.evaluate(timeout_s=timeout_s)

    def submit(
        self,
        transaction: str,
        *,
        arguments: Sequence[Argument] = (),
        transient: Mapping[str, bytes] | None = None,
        endorsing_organizations: Sequence[str] = (),
        deadlines: Deadlines | None = None,
    ) -> bytes:
        """The contract's answer, once the transaction is committed as valid.

        Raises:
            EndorseError, SubmitError, CommitStatusError, CommitError: by stage.
            SigningError: the gateway has no signer.
        """
        result, commit = self.submit_async(
            transaction,
            arguments=arguments,
            transient=transient,
            endorsing_organizations=endorsing_organizations,
            deadlines=deadlines,
        )
        status = commit.status(timeout_s=deadlines.commit_status_s if deadlines else None)
        if not status.successful:
            raise CommitError(status)
        return result

    def submit_async(
        self,
        transaction: str,
        *,
        arguments: Sequence[Argument] = (),
        transient: Mapping[str, bytes] | None = None,
        endorsing_organizations: Sequence[str] = (),
        deadlines: Deadlines | None = None,
    ) -> tuple[bytes, Commit]:
        """As ``submit``, but returns when the transaction is ordered: the answer, and what tells its status.

        Raises:
            EndorseError, SubmitError: by stage.
            SigningError: the gateway has no signer.
        """
        proposal = self.new_proposal(
            transaction, arguments=arguments, transient=transient, endorsing_organizations=endorsing_organizations
        )
        endorsed = proposal.endorse(timeout_s=deadlines.endorse_s if deadlines else None)
        return endorsed.result, endorsed.submit(timeout_s=deadlines.submit_s if deadlines else None)

    def _qualified(self, transaction: str) -> str:
        return f"{self.name}:{transaction}" if self.name else transaction


def _encode(argument: Argument) -> bytes:
    return argument.encode() if isinstance(argument, str) else argument
