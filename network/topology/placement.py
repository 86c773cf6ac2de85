"""Where the processes of a network are: what they listen on, what others dial, where they see their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from network.topology.description import Organization, Role, Service

LOOPBACK: Final = "127.0.0.1"
BUILDER: Final = Path(__file__).with_name("builder")
_ROLES: Final[dict[Service, Role]] = {
    "peer": "peer", "chaincode": "peer", "peer-operations": "peer",
    "orderer": "orderer", "orderer-admin": "orderer", "orderer-operations": "orderer",
    "contract": "contract", "contract-next": "contract",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placement:
    """Native processes on one machine by default; containers have other folders and are dialled by their names.

    Attributes:
        folder: the network's folder as the processes see it.
        builder: folder of the external builder as the peers see it; below it ``bin/{detect,build,release}``.
        listen_host: what the processes listen on.
        dial_host: what others dial; ``None`` for the process's own name.
    """

    folder: Path
    builder: Path = BUILDER
    listen_host: str = LOOPBACK
    dial_host: str | None = LOOPBACK

    def host(self, organization: Organization, service: Service) -> str:
        """The host that others dial."""
        return organization.process(_ROLES[service]) if self.dial_host is None else self.dial_host

    def address(self, organization: Organization, service: Service) -> str:
        """``host:port`` that others dial."""
        return f"{self.host(organization, service)}:{organization.port(service)}"

    def listen(self, organization: Organization, service: Service) -> str:
        """``host:port`` that the process listens on."""
        return f"{self.listen_host}:{organization.port(service)}"
