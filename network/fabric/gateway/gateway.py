"""The entrance: one identity, one peer, and what was serialized elsewhere made whole again."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import grpc

from network.fabric.gateway.commit import Commit
from network.fabric.gateway.identity import Identity
from network.fabric.gateway.network import Network
from network.fabric.gateway.proposal import Proposal, parse_proposed
from network.fabric.gateway.protos import gateway, parse_into
from network.fabric.gateway.rpc import Deadlines, Rpc
from network.fabric.gateway.signers import Hash, Sign, Signer, sha256
from network.fabric.gateway.signing import SigningIdentity
from network.fabric.gateway.sources import Sources
from network.fabric.gateway.transaction import Transaction


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
        proposal = self.new_proposal(raw)
        proposal.set_signature(signature)
        return proposal

    def new_transaction(self, raw: bytes) -> Transaction:
        """The transaction that ``Transaction.serialize`` gave, here or at another gateway.

        Raises:
            MalformedError: the bytes are none.
        """
        prepared = parse_into(gateway.PreparedTransaction(), raw, "PreparedTransaction")
        return Transaction(self._rpc, self._signing, prepared)

    def new_signed_transaction(self, raw: bytes, signature: bytes) -> Transaction:
        """As ``new_transaction``, with a signature over its digest."""
        transaction = self.new_transaction(raw)
        transaction.set_signature(signature)
        return transaction

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
        commit = self.new_commit(raw)
        commit.set_signature(signature)
        return commit

    def close(self) -> None:
        """Ends every call and event stream of this gateway and refuses later ones; the channel stays open."""
        self._rpc.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
