"""What a hospital's administrator does with the command ``peer`` and the nodes' own HTTPS services.

It asks nothing of how the nodes run: processes and containers are administered alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from domain.errors import Conflict
from network.topology.description import Organization, Topology
from network.topology.engine import Binaries
from network.topology.layout import Layout
from network.topology.operations import NodeEndpoint
from network.topology.placement import Placement


@dataclass(frozen=True, slots=True)
class Administration:
    """The administrators of a network.

    Attributes:
        operator: where they see the material and reach the nodes.
    """

    topology: Topology
    binaries: Binaries
    operator: Placement

    @property
    def layout(self) -> Layout:
        """The network's files."""
        return Layout(self.operator.folder)

    def peer(self, organization: Organization, *arguments: str | Path, timeout_s: float = 60.0) -> bytes:
        """Run ``peer`` as the organisation's administrator, against its own peer.

        Raises:
            ProgramFailed: it was refused, or did not end in time.
        """
        settings = self.layout.settings(f"admin-{organization.name}")
        return self.binaries.run("peer", *arguments, settings=settings, timeout_s=timeout_s)

    def ordering(self, organization: Organization) -> tuple[str | Path, ...]:
        """Arguments that name the ordering node of an organisation."""
        root = self.layout.orderer(organization).tls_root
        return ("-o", self.operator.address(organization, "orderer"), "--tls", "--cafile", root)

    def orderer_admin(self, organization: Organization) -> NodeEndpoint:
        """The ordering node's channels."""
        address = self.operator.address(organization, "orderer-admin")
        return NodeEndpoint(address, self.layout.orderer_admin(organization))

    def orderer_operations(self, organization: Organization) -> NodeEndpoint:
        """The ordering node's health and metrics."""
        address = self.operator.address(organization, "orderer-operations")
        return NodeEndpoint(address, self.layout.orderer_admin(organization))

    def peer_operations(self, organization: Organization) -> NodeEndpoint:
        """The peer's health and metrics."""
        address = self.operator.address(organization, "peer-operations")
        return NodeEndpoint(address, self.layout.admin(organization))

    def join_orderer(self, organization: Organization, block: bytes) -> None:
        """Make an ordering node take part in the channel; nothing happens if it does already.

        Raises:
            Unavailable: it refused.
        """
        with self.orderer_admin(organization) as endpoint:
            try:
                endpoint.join_channel(block)
            except Conflict:
                return

    def join_peer(self, organization: Organization, block: Path) -> None:
        """Make a peer take part in the channel; nothing happens if it does already.

        Raises:
            Unavailable: it refused.
        """
        if self.topology.channel not in self.joined(organization):
            self.peer(organization, "channel", "join", "-b", block)

    def joined(self, organization: Organization) -> list[str]:
        """The channels of a peer.

        Raises:
            Unavailable: it does not answer.
        """
        return self.peer(organization, "channel", "list").decode(errors="replace").split()
