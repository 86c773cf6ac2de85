"""A Fabric network with the contract of these tests, and submission to it stage by stage."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fabric_protos.orderer import ab_pb2_grpc

from domain.errors import Denied
from domain.jcs import JsonObject
from network.blocks.block import parse_block
from network.blocks.proposal import NONCE_BYTES, build_transaction, propose, sign_envelope
from network.blocks.protos import common, parse_into
from network.blocks.signature import EcdsaSigner
from network.blocks.transaction import parse_envelope, parse_transaction
from network.embedded.endorser import Endorsed, SignedProposal
from network.execution import nanoseconds
from network.fabric.answers import refusal, unavailable
from network.fabric.connection import Connection
from network.fabric.gateway import EndorseError, tls_channel
from network.fabric.gateway.protos import gateway
from network.fabric.ledger import FabricLedger
from network.fabric.peers import Peers
from network.fabric.raw_blocks import PeerBlocks, open_blocks
from network.topology.native import NativeNetwork
from tests.conformance.ledger.adapters import DECISION_TIMEOUT_S, HOSPITALS, SettableClock

CONTRACT = "tests.conformance.ledger.contracts:product_and_drawers"


class StagedFabricLedger(FabricLedger):
    """The adapter, with doors between its stages; what it broadcasts goes to an ordering node as it is."""

    def __init__(self, connection: Connection, folder: Path, ordering: Ordering) -> None:
        self._clock = SettableClock()
        super().__init__(connection, self._clock, os.urandom, folder)
        self._staged = Peers(connection)
        self._ordering = ordering
        key = load_pem_private_key(connection.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._signs = EcdsaSigner(self._staged.identity.serialize(), key)

    def close(self) -> None:
        super().close()
        self._staged.close()

    def propose(self, name: str, arguments: bytes) -> SignedProposal:
        proposal = propose(
            channel=self.channel, chaincode="yilian", args=(name.encode(), arguments), creator=self._signs.identity,
            nonce=os.urandom(NONCE_BYTES), timestamp_ns=nanoseconds(self._clock.now()),
        )  # fmt: skip
        return SignedProposal(proposal, self._signs.sign(proposal.serialize()))

    def endorse(self, signed: SignedProposal) -> Endorsed:
        proposed = gateway.ProposedTransaction(transaction_id=signed.proposal.tx_id, endorsing_organizations=HOSPITALS)
        proposed.proposal.proposal_bytes, proposed.proposal.signature = signed.proposal.serialize(), signed.signature
        try:
            endorsed = self._staged.own.gateway.new_proposal(proposed.SerializeToString()).endorse()
        except EndorseError as error:
            raise refusal(error, self.msp_id) or unavailable(error) from error
        prepared = gateway.PreparedTransaction.FromString(endorsed.serialize())
        transaction = parse_transaction(parse_envelope(prepared.envelope.SerializeToString()))
        endorsements = tuple(sorted(transaction.endorsements, key=lambda item: item.endorser))
        return Endorsed(signed.proposal, transaction.response_payload, endorsements)

    def assemble(self, endorsed: Endorsed) -> bytes:
        payload = build_transaction(endorsed.proposal, endorsed.response_payload, endorsed.endorsements)
        return sign_envelope(payload, self._signs)

    def broadcast(self, envelope: bytes) -> str:
        start = self.height()
        self._ordering.order([envelope])
        wait_for_envelopes(self._raw, start, 1)
        return parse_envelope(envelope).tx_id


class Ordering:
    """One ordering node's Broadcast service: it takes what the channel's writers signed, and judges nothing else."""

    def __init__(self, address: str, tls_root: bytes) -> None:
        self._channel = tls_channel(address, tls_root)
        stub: Any = ab_pb2_grpc.AtomicBroadcastStub
        self._broadcast = stub(self._channel).Broadcast

    def close(self) -> None:
        self._channel.close()

    def order(self, envelopes: Sequence[bytes]) -> None:
        """Hands them over in this order, at once.

        Raises:
            Denied: one is not taken; those before it are.
        """
        messages = iter([parse_into(common.Envelope(), raw, "Envelope") for raw in envelopes])
        answers = list(self._broadcast(messages, timeout=DECISION_TIMEOUT_S))
        refused = {common.Status.Name(answer.status) for answer in answers} - {"SUCCESS"}
        if refused:
            raise Denied(f"the ordering node refuses: {refused.pop()}")
        assert len(answers) == len(envelopes)


class FabricNetwork:
    """Three hospitals' processes; other tests use them too."""

    kind = "fabric"
    role_attributes: JsonObject = {}  # noqa: RUF012 - cryptogen issues no attributes; the role is the unit "client"

    def __init__(self, native: NativeNetwork, folder: Path, stack: ExitStack) -> None:
        self._native, self._folder, self._stack = native, folder, stack
        first = native.topology.organizations[0]
        root = native.layout.orderer(first).tls_root.read_bytes()
        self._ordering = Ordering(native.placement.address(first, "orderer"), root)
        stack.callback(self._ordering.close)
        self._peers = [stack.enter_context(closing(open_blocks(self._connection(msp_id)))) for msp_id in HOSPITALS]

    def ledger(self, msp_id: str) -> StagedFabricLedger:
        folder = self._folder / os.urandom(4).hex()
        folder.mkdir(parents=True)
        return self._stack.enter_context(StagedFabricLedger(self._connection(msp_id), folder, self._ordering))

    def commit_together(self, envelopes: Sequence[bytes]) -> list[int]:
        self.level()
        start = self._peers[0].height()
        self._ordering.order(envelopes)
        sizes, *_ = [wait_for_envelopes(peer, start, len(envelopes)) for peer in self._peers]
        return sizes

    def level(self) -> None:
        height = max(peer.height() for peer in self._peers)
        for peer in self._peers:
            assert peer.wait_for_block(height - 1, DECISION_TIMEOUT_S), "the peers do not become level"

    def _connection(self, msp_id: str) -> Connection:
        return Connection.read(self._native.connection_file(msp_id))


def wait_for_envelopes(peer: PeerBlocks, height: int, count: int) -> list[int]:
    """Waits until a peer has so many envelopes in the blocks from ``height`` on; how many are in each."""
    found: list[int] = []
    while sum(found) < count:
        assert peer.wait_for_block(height + len(found), timeout_s=DECISION_TIMEOUT_S), "no block came"
        found.extend(len(parse_block(raw).envelopes) for raw in peer.blocks(height + len(found)))
    return found


@contextmanager
def fabric(native: NativeNetwork, folder: Path) -> Iterator[FabricNetwork]:
    """The shared Fabric network as one test uses it."""
    with ExitStack() as stack:
        yield FabricNetwork(native, folder, stack)
