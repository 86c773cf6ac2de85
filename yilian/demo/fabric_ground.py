"""A Hyperledger Fabric network of processes on this machine, made for one demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from network.fabric.connection import Connection
from network.topology.description import Consensus, Topology, members
from network.topology.engine import Binaries
from network.topology.native import NativeNetwork
from network.topology.ports import free_ports
from yilian.fabric_export import export_channel


class FabricGround:
    """Peers, ordering nodes and contract services of all members, and their keys, below one folder.

    Raises:
        Unavailable: the engine is missing, or it refuses; the message says how to get it.
    """

    def __init__(self, folder: Path, msps: Sequence[str], consensus: Consensus = "raft") -> None:
        topology = Topology(members(msps, free_ports(len(msps))), consensus)
        self._network = NativeNetwork(topology, folder, Binaries.find())
        self._network.generate()
        self._connections = {msp: self._network.connection_file(msp) for msp in msps}
        self._witnesses = {msp: self._network.witness_connection_file(msp) for msp in msps}
        self._auditor = msps[-1]

    @property
    def network(self) -> NativeNetwork:
        """Its processes."""
        return self._network

    @property
    def genesis(self) -> str:
        """Header hash of block 0, in hex."""
        return Connection.read(self._connections[self._auditor]).genesis

    @property
    def place(self) -> str:
        """Its folder."""
        return str(self._network.layout.folder)

    def __enter__(self) -> Self:
        try:
            self._network.up()
        except BaseException:
            self._network.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._network.down()

    def node_settings(self, msp_id: str) -> Mapping[str, str]:
        """The connection file of the hospital's node."""
        return {"FABRIC_CONNECTION": str(self._connections[msp_id])}

    def witness_options(self, msp_id: str) -> Sequence[str]:
        """The connection file of the hospital's witness."""
        return ["--fabric", str(self._witnesses[msp_id])]

    def export(self, folder: Path) -> int:
        """Export all blocks, as the peer of a hospital that is no party to the story has them."""
        return export_channel(self._connections[self._auditor], folder)
