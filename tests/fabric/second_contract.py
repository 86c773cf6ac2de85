"""Another contract on a running network's channel, under a name and an endorsement policy of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaincode.service.package import build_package, package_id
from network.topology import lifecycle
from network.topology.administration import Administration
from network.topology.description import SERVICES, Organization
from network.topology.layout import write_file
from network.topology.native import NativeNetwork
from network.topology.placement import LOOPBACK
from network.topology.ports import free_ports
from network.topology.processes import appending
from tests.fabric.drawers import PEER_MSP

STOP_TIMEOUT_S = 20.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class SecondContract:
    """The contract ``name``: each organisation's service is a process of this object."""

    network: NativeNetwork
    name: str
    contract: str
    first_port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def deploy(self, policy: Sequence[str]) -> None:
        """Starts the services, and puts a definition with this policy (arguments of ``peer``) into force."""
        self.network.each(lambda organization: self._offer(organization, policy))
        peers: list[str] = []
        for item in self.network.topology.organizations:
            root = str(self.network.layout.peer(item).tls_root)
            peers += ["--peerAddresses", self.network.placement.address(item, "peer"), "--tlsRootCertFiles", root]
        first = self.network.topology.organizations[0]
        self._lifecycle(first, "commit", *policy, *peers)

    def start_again(self) -> None:
        """Starts the services, all of which have died or are just dying."""
        for organization in self.network.topology.organizations:
            self.processes[organization.name].wait(STOP_TIMEOUT_S)
            self._start(organization)

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(STOP_TIMEOUT_S)

    @property
    def _label(self) -> str:
        return f"{self.name}_1"

    @property
    def _administration(self) -> Administration:
        administration = self.network.administration
        return replace(administration, topology=replace(self.network.topology, contract=self.name))

    def _address(self, organization: Organization) -> str:
        return f"{LOOPBACK}:{self.first_port + self.network.topology.organizations.index(organization)}"

    def _offer(self, organization: Organization, policy: Sequence[str]) -> None:
        layout = self.network.layout
        connection = {"address": self._address(organization), "dial_timeout": "5s", "tls_required": False}
        package = build_package(self._label, connection)
        write_file(layout.package(self._label, organization), package)
        self._start(organization)
        lifecycle.install(self._administration, organization, layout.package(self._label, organization))
        self._lifecycle(organization, "approveformyorg", "--package-id", package_id(self._label, package), *policy)

    def _start(self, organization: Organization) -> None:
        package = self.network.layout.package(self._label, organization).read_bytes()
        command = (
            sys.executable, "-m", "chaincode.service", "--package-id", package_id(self._label, package),
            "--name", self.name, "--address", self._address(organization), "--contract", self.contract,
        )  # fmt: skip
        log = self.network.layout.log(f"{self.name}-{organization.name}")
        with appending(log) as output:
            self.processes[organization.name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, PEER_MSP: organization.msp},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=0o077,
            )

    def _lifecycle(self, organization: Organization, command: str, *arguments: str) -> None:
        administration = self._administration
        definition = (
            "--channelID", self.network.topology.channel, "--name", self.name, "--version", "1", "--sequence", "1",
        )  # fmt: skip
        ordering = administration.ordering(organization)
        administration.peer(organization, "lifecycle", "chaincode", command, *ordering, *definition, *arguments)


@contextmanager
def second_contract(
    network: NativeNetwork, name: str, contract: str, policy: Sequence[str]
) -> Iterator[SecondContract]:
    """The contract serves while the block runs; its definition stays on the channel."""
    services = -(-len(network.topology.organizations) // len(SERVICES))
    deployed = SecondContract(network, name, contract, free_ports(services))
    try:
        deployed.deploy(policy)
        yield deployed
    finally:
        deployed.stop()
