"""The entrance: one identity, one peer, and what was serialized elsewhere made whole again."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TypeVar

import grpc

from network.blocks.protos import common
from network.fabric.gateway.block_events import (
    BLOCKS,
    BLOCKS_AND_PRIVATE_DATA,
    FILTERED_BLOCKS,
    Block,
    BlockAndPrivateData,
    BlockEventKind,
    BlockEventsRequest,
    FilteredBlock,
)
from network.fabric.gateway.chaincode_events import ChaincodeEventsRequest
from network.fabric.gateway.commit import Commit
from network.fabric.gateway.identity import Identity
from network.fabric.gateway.network import Network
from network.fabric.gateway.proposal import Proposal, parse_proposed
from network.fabric.gateway.protos import gateway, parse_into
from network.fabric.gateway.rpc import Deadlines, Rpc
from network.fabric.gateway.signers import Hash, Sign, Signer, sha256
from network.fabric.gateway.signing import Signable, SigningIdentity
from network.fabric.gateway.sources import Sources
from network.fabric.gateway.transaction import Transaction

_T = TypeVar("_T")
_S = TypeVar("_S", bound=Signable)


class Gateway:
    """A peer's Gateway service as one identity uses it; made by ``connect``, shared by threads."""

    def __init__(self, rpc: Rpc, signing: SigningIdentity, sources: Sources, tls_certificate_hash: bytes) -> None:
        self._rpc = rpc
        self._signing = signing
        self._sources = sources
        self._tls_certificate_hash = tls_certificate_hash

    @property
    def identity(self) -> Identity:
        return self._signing.identity

    def get_network(self, name: str) -> Network:
        """The channel of that name."""
        return Network(self._rpc, self._signing, self._sources, name, self._tls_certificate_hash)

    def new_proposal(self, raw: bytes) -> Proposal:
        """The proposal that ``Proposal.serialize`` gave, signed or not.

        Raises:
            MalformedError: the bytes are none.
        """
        channel, proposed = parse_proposed(raw)
        return Proposal(self._rpc, self._signing, channel, proposed)

    def new_signed_proposal(self, raw: bytes, signature: bytes) -> Proposal:
        """As ``new_proposal``, with a signature over its digest."""
        return _signed(self.new_proposal(raw), signature)

    def new_transaction(self, raw: bytes) -> Transaction:
        """The transaction that ``Transaction.serialize`` gave, here or at another gateway.

        Raises:
            MalformedError: the bytes are none.
        """
        prepared = parse_into(gateway.PreparedTransaction(), raw, "PreparedTransaction")
        return Transaction(self._rpc, self._signing, prepared)

    def new_signed_transaction(self, raw: bytes, signature: bytes) -> Transaction:
        """As ``new_transaction``, with a signature over its digest."""
        return _signed(self.new_transaction(raw), signature)

    def new_commit(self, raw: bytes) -> Commit:
        """The status request that ``Commit.serialize`` gave, here or at another gateway.

        Raises:
            MalformedError: the bytes are none.
        """
        signed = parse_into(gateway.SignedCommitStatusRequest(), raw, "SignedCommitStatusRequest")
        request = parse_into(gateway.CommitStatusRequest(), signed.request, "CommitStatusRequest")
        return Commit(self._rpc, self._signing, request.transaction_id, signed)

    def new_signed_commit(self, raw: bytes, signature: bytes) -> Commit:
        """As ``new_commit``, with a signature over its digest."""
        return _signed(self.new_commit(raw), signature)

    def new_chaincode_events_request(self, raw: bytes) -> ChaincodeEventsRequest:
        """The request that ``ChaincodeEventsRequest.serialize`` gave.

        Raises:
            MalformedError: the bytes are none.
        """
        signed = parse_into(gateway.SignedChaincodeEventsRequest(), raw, "SignedChaincodeEventsRequest")
        return ChaincodeEventsRequest(self._rpc, self._signing, signed)

    def new_signed_chaincode_events_request(self, raw: bytes, signature: bytes) -> ChaincodeEventsRequest:
        """As ``new_chaincode_events_request``, with a signature over its digest."""
        return _signed(self.new_chaincode_events_request(raw), signature)

    def new_block_events_request(self, raw: bytes) -> BlockEventsRequest[Block]:
        """The request for whole blocks that ``BlockEventsRequest.serialize`` gave.

        Raises:
            MalformedError: the bytes are none.
        """
        return self._new_block_request(BLOCKS, raw)

    def new_signed_block_events_request(self, raw: bytes, signature: bytes) -> BlockEventsRequest[Block]:
        """As ``new_block_events_request``, with a signature over its digest."""
        return _signed(self.new_block_events_request(raw), signature)

    def new_filtered_block_events_request(self, raw: bytes) -> BlockEventsRequest[FilteredBlock]:
        """As ``new_block_events_request``, for filtered blocks."""
        return self._new_block_request(FILTERED_BLOCKS, raw)

    def new_signed_filtered_block_events_request(
        self, raw: bytes, signature: bytes
    ) -> BlockEventsRequest[FilteredBlock]:
        """As ``new_filtered_block_events_request``, with a signature over its digest."""
        return _signed(self.new_filtered_block_events_request(raw), signature)

    def new_block_and_private_data_events_request(self, raw: bytes) -> BlockEventsRequest[BlockAndPrivateData]:
        """As ``new_block_events_request``, for blocks with private data."""
        return self._new_block_request(BLOCKS_AND_PRIVATE_DATA, raw)

    def new_signed_block_and_private_data_events_request(
        self, raw: bytes, signature: bytes
    ) -> BlockEventsRequest[BlockAndPrivateData]:
        """As ``new_block_and_private_data_events_request``, with a signature over its digest."""
        return _signed(self.new_block_and_private_data_events_request(raw), signature)

    def _new_block_request(self, kind: BlockEventKind[_T], raw: bytes) -> BlockEventsRequest[_T]:
        return BlockEventsRequest(self._rpc, self._signing, kind, parse_into(common.Envelope(), raw, "Envelope"))

    def close(self) -> None:
        """Ends every call and event stream of this gateway and refuses later ones; the channel stays open."""
        self._rpc.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _signed(message: _S, signature: bytes) -> _S:
    message.set_signature(signature)
    return message


def connect(
    channel: grpc.Channel,
    identity: Identity,
    signer: Sign | None = None,
    *,
    hash: Hash | None = None,
    deadlines: Deadlines | None = None,
    tls_certificate_hash: bytes = b"",
    sources: Sources | None = None,
) -> Gateway:
    """Uses the Gateway service at the other end of a channel; nothing is sent yet.

    Args:
        channel: to one peer (see ``tls_channel``); gateways may share it, and none of them closes it.
        identity: who proposes and asks.
        signer: signs digests; without it every message is signed offline.
        hash: makes the digests; that of the signer where it has one (``private_key_signer``), else SHA-256.
        deadlines: other ones than the defaults.
        tls_certificate_hash: of the own certificate in mutual TLS (``ClientCertificate.hash``).
        sources: of time and randomness, for tests.
    """
    own = signer.hash if isinstance(signer, Signer) else sha256
    signing = SigningIdentity(identity, signer, hash or own)
    return Gateway(Rpc(channel, deadlines or Deadlines()), signing, sources or Sources(), tls_certificate_hash)
