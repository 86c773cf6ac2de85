"""One channel: its contracts and its events."""

from __future__ import annotations

from typing import TypeVar

from network.fabric.gateway.block_events import (
    BLOCKS,
    BLOCKS_AND_PRIVATE_DATA,
    FILTERED_BLOCKS,
    Block,
    BlockAndPrivateData,
    BlockEventKind,
    BlockEventsRequest,
    FilteredBlock,
    request_block_events,
)
from network.fabric.gateway.chaincode_events import (
    ChaincodeEvent,
    ChaincodeEventsRequest,
    request_chaincode_events,
)
from network.fabric.gateway.checkpointer import Checkpoint
from network.fabric.gateway.commit import Commit, request_commit
from network.fabric.gateway.contract import Contract
from network.fabric.gateway.rpc import Rpc
from network.fabric.gateway.signing import SigningIdentity
from network.fabric.gateway.sources import Sources
from network.fabric.gateway.stream import EventStream

_T = TypeVar("_T")


class Network:
    """The nodes of the channel ``name``, as one identity sees them through one peer.

    Events start at ``start_block``; a checkpoint that is set wins over it; with neither, at the next commit. ``idle_s``
    is how many seconds a stream may be silent.
    """

    def __init__(
        self, rpc: Rpc, signing: SigningIdentity, sources: Sources, name: str, tls_certificate_hash: bytes
    ) -> None:
        self._rpc = rpc
        self._signing = signing
        self._sources = sources
        self._tls_certificate_hash = tls_certificate_hash
        self.name = name

    def get_contract(self, chaincode: str, name: str = "") -> Contract:
        """A contract of a chaincode; ``name`` selects one of several in it."""
        return Contract(self._rpc, self._signing, self._sources, self.name, chaincode, name)

    def get_commit(self, transaction_id: str) -> Commit:
        """What tells the status of a transaction of which only the id is known."""
        return request_commit(self._rpc, self._signing, self.name, transaction_id)

    def chaincode_events(
        self,
        chaincode: str,
        *,
        start_block: int | None = None,
        checkpoint: Checkpoint | None = None,
        idle_s: float | None = None,
    ) -> EventStream[ChaincodeEvent]:
        """The events of a chaincode's valid transactions.

        Raises:
            SigningError: the gateway has no signer.
        """
        request = self.new_chaincode_events_request(chaincode, start_block=start_block, checkpoint=checkpoint)
        return request.events(idle_s=idle_s)

    def new_chaincode_events_request(
        self, chaincode: str, *, start_block: int | None = None, checkpoint: Checkpoint | None = None
    ) -> ChaincodeEventsRequest:
        """The request for ``chaincode_events``, to be signed offline."""
        return request_chaincode_events(self._rpc, self._signing, self.name, chaincode, start_block, checkpoint)

    def block_events(
        self, *, start_block: int | None = None, checkpoint: Checkpoint | None = None, idle_s: float | None = None
    ) -> EventStream[Block]:
        """Whole blocks.

        Raises:
            SigningError: the gateway has no signer.
        """
        return self.new_block_events_request(start_block=start_block, checkpoint=checkpoint).events(idle_s=idle_s)

    def filtered_block_events(
        self, *, start_block: int | None = None, checkpoint: Checkpoint | None = None, idle_s: float | None = None
    ) -> EventStream[FilteredBlock]:
        """Blocks without content.

        Raises:
            SigningError: the gateway has no signer.
        """
        request = self.new_filtered_block_events_request(start_block=start_block, checkpoint=checkpoint)
        return request.events(idle_s=idle_s)

    def block_and_private_data_events(
        self, *, start_block: int | None = None, checkpoint: Checkpoint | None = None, idle_s: float | None = None
    ) -> EventStream[BlockAndPrivateData]:
        """Whole blocks with the private data of the identity's organisation.

        Raises:
            SigningError: the gateway has no signer.
        """
        request = self.new_block_and_private_data_events_request(start_block=start_block, checkpoint=checkpoint)
        return request.events(idle_s=idle_s)

    def new_block_events_request(
        self, *, start_block: int | None = None, checkpoint: Checkpoint | None = None
    ) -> BlockEventsRequest[Block]:
        """The request for ``block_events``, to be signed offline."""
        return self._request_blocks(BLOCKS, start_block, checkpoint)

    def new_filtered_block_events_request(
        self, *, start_block: int | None = None, checkpoint: Checkpoint | None = None
    ) -> BlockEventsRequest[FilteredBlock]:
        """The request for ``filtered_block_events``, to be signed offline."""
        return self._request_blocks(FILTERED_BLOCKS, start_block, checkpoint)

    def new_block_and_private_data_events_request(
        self, *, start_block: int | None = None, checkpoint: Checkpoint | None = None
    ) -> BlockEventsRequest[BlockAndPrivateData]:
        """The request for ``block_and_private_data_events``, to be signed offline."""
        return self._request_blocks(BLOCKS_AND_PRIVATE_DATA, start_block, checkpoint)

    def _request_blocks(
        self, kind: BlockEventKind[_T], start_block: int | None, checkpoint: Checkpoint | None
    ) -> BlockEventsRequest[_T]:
        return request_block_events(
            self._rpc,
            self._signing,
            kind,
            self.name,
            (start_block, checkpoint),
            self._sources.clock_ns(),
            self._tls_certificate_hash,
        )
