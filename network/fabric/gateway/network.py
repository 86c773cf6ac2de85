"""One channel: its contracts."""

from __future__ import annotations

from network.fabric.gateway.commit import Commit, request_commit
from network.fabric.gateway.contract import Contract
from network.fabric.gateway.rpc import Rpc
from network.fabric.gateway.signing import SigningIdentity
from network.fabric.gateway.sources import Sources


class Network:
    """The nodes of the channel ``name``, as one identity sees them through one peer."""

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
