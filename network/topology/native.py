"""A network as processes of this machine: made, started, stopped, and told what to do."""

from __future__ import annotations

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from domain.errors import Conflict, Invalid, NotFound, Unavailable
from network.topology import lifecycle
from network.topology.administration import Administration
from network.topology.channel import for_each, join_channel, leader, wait_acquainted
from network.topology.connections import write_connection
from network.topology.contract_service import ContractService
from network.topology.description import ROLES, Organization, Role, Service, Topology
from network.topology.engine import Binaries, environment_of
from network.topology.layout import Layout
from network.topology.lifecycle import Definition
from network.topology.making import make_network
from network.topology.operations import NodeEndpoint
from network.topology.placement import LOOPBACK, Placement
from network.topology.processes import Processes
from network.topology.settings import write_settings
from network.topology.waiting import wait_for

READY_TIMEOUT_S: Final = 60.0
ANSWER_TIMEOUT_S: Final = 60.0
CONNECT_TIMEOUT_S: Final = 2.0
_AT_ONCE: Final = 4
_SERVICES_OF: Final[dict[Role, tuple[Service, ...]]] = {
    "orderer": ("orderer", "orderer-admin"),
    "peer": ("peer",),
}
_ARGUMENTS_OF: Final[dict[Role, tuple[str, ...]]] = {"orderer": (), "peer": ("node", "start")}


class NativeNetwork:
    """One network of processes below one folder.

    Attributes:
        topology: what it is made of now.
        layout: its files.
        binaries: the engine.
    """

    def __init__(self, topology: Topology, folder: Path, binaries: Binaries) -> None:
        self.topology = topology
        self.layout = Layout(folder.resolve())
        self.binaries = binaries
        self.placement = Placement(self.layout.folder)
        self._processes = Processes(self.layout)

    @classmethod
    def open(cls, folder: Path, binaries: Binaries) -> Self:
        """The network that was made in a folder.

        Raises:
            Invalid, Unavailable: there is none that can be read.
        """
        return cls(Topology.read(Layout(folder).description), folder, binaries)

    @property
    def processes(self) -> tuple[str, ...]:
        """Names of its processes, in the order in which they start."""
        return self.topology.processes

    @property
    def administration(self) -> Administration:
        """Its administrators."""
        return Administration(self.topology, self.binaries, self.placement)

    def generate(self) -> None:
        """Make material, genesis block and settings in the folder.

        Raises:
            Conflict: the folder holds a network.
            Unavailable: a program or the disk refused; the engine is too old for BFT.
        """
        make_network(self.topology, self.binaries, self.placement)

    def write_settings(self, organization: Organization) -> None:
        """Write the settings of an organisation's processes.

        Raises:
            Unavailable: the disk refuses.
        """
        write_settings(self.layout, organization, self.placement, self.placement, self.binaries.version)

    def up(self, contract: str | None = None) -> None:
        """Start what does not run, join the channel, deploy the contract if it is not yet, and wait until all answers.

        Args:
            contract: ``module:function`` of the first version; the product's own if None.

        Raises:
            Unavailable: something did not come up in time; its log says why.
        """
        if not self.layout.genesis.exists():
            self.generate()
        for_each(self.topology, self._start_nodes)
        join_channel(self.administration)
        if self._deployed():
            for_each(self.topology, lambda item: self._start(item.process("contract")))
        else:
            self._deploy(contract)
        for_each(self.topology, lambda item: lifecycle.wait_answering(self.administration, item, ANSWER_TIMEOUT_S))
        for_each(self.topology, lambda item: wait_acquainted(self.administration, item))

    def down(self) -> None:
        """Stop all processes.

        Raises:
            Unavailable: one does not end.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._processes.stop, self.processes))

    def start(self, name: str) -> None:
        """Start one process and wait until it answers.

        Raises:
            Conflict: it runs.
            NotFound: there is none of this name.
            Unavailable: it does not come up.
        """
        role, organization = self._named(name)
        if role == "contract":
            service = ContractService.read(self.layout, organization)
            command = service.command(self.layout, organization, self.placement)
            environment, folder = dict(os.environ), Path.cwd()
        else:
            command = (str(self.binaries.path(role)), *_ARGUMENTS_OF[role])
            environment, folder = environment_of(self.layout.settings(name), "INFO"), self.layout.data(name)
        self._check_ports_free(name)
        self._processes.spawn(name, command, environment, folder)
        self.wait_ready(name)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process; SIGKILL returns when it is gone.

        Raises:
            NotFound: there is none of this name.
        """
        self._named(name)
        self._processes.kill(name, number)

    def stop(self, name: str) -> None:
        """Ask one process to end, and see to it that it does.

        Raises:
            NotFound: there is none of this name.
            Unavailable: it does not end.
        """
        self._named(name)
        self._processes.stop(name)

    def running(self, name: str) -> bool:
        """True while a process lives."""
        return self._processes.running(name)

    def wait_ready(self, name: str) -> None:
        """Wait until a process serves: its health is good and its ports are open.

        Raises:
            Unavailable: it ended, or is not ready in time; its log says why.
        """
        role, organization = self._named(name)

        def ready() -> bool:
            if not self._processes.running(name):
                raise Invalid(f"{name} ended; see {self.layout.log(name)}", reason="process-ended")
            for service in self._ports_of(role, organization):
                _connect(organization.port(service))
            if role != "contract":
                with self._operations(role, organization) as endpoint:
                    endpoint.check_health()
            return True

        try:
            wait_for(ready, READY_TIMEOUT_S, f"{name} ready")
        except Invalid as error:
            raise Unavailable(error.detail, reason=error.reason) from error

    def connection_file(self, msp: str) -> Path:
        """Write how a hospital's node and witness reach the channel, and return the file.

        Raises:
            NotFound: no such organisation.
            Unavailable: the disk refuses.
        """
        return write_connection(self.topology, self.topology.organization(msp), self.placement)

    def leader(self) -> Organization | None:
        """The organisation whose ordering node leads; None while there is none."""
        return leader(self.administration)

    def _deployed(self) -> bool:
        return all(ContractService.exists(self.layout, item) for item in self.topology.organizations)

    def _deploy(self, contract: str | None) -> None:
        definition = Definition(1, "1")
        label = f"{self.topology.contract}_{definition.sequence}"
        administration = self.administration

        def prepare(organization: Organization) -> None:
            identity = lifecycle.make_package(self.layout, organization, label, self.placement, "contract")
            ContractService(identity, "contract", contract).write(self.layout, organization)
            self._start(organization.process("contract"))
            lifecycle.install(administration, organization, self.layout.package(label, organization))
            lifecycle.approve(administration, organization, identity, definition, organization)

        for_each(self.topology, prepare)
        lifecycle.commit(administration, definition, self.topology.organizations)

    def _start_nodes(self, organization: Organization) -> None:
        self._start(organization.process("orderer"))
        self._start(organization.process("peer"))

    def _start(self, name: str) -> None:
        if not self._processes.running(name):
            self.start(name)

    def _named(self, name: str) -> tuple[Role, Organization]:
        for organization in self.topology.organizations:
            for role in ROLES:
                if organization.process(role) == name:
                    return role, organization
        raise NotFound(f"the network has no process {name}", reason="no-process")

    def _ports_of(self, role: Role, organization: Organization) -> tuple[Service, ...]:
        if role == "contract":
            return (ContractService.read(self.layout, organization).service,)
        return _SERVICES_OF[role]

    def _operations(self, role: Role, organization: Organization) -> NodeEndpoint:
        administration = self.administration
        if role == "orderer":
            return administration.orderer_operations(organization)
        return administration.peer_operations(organization)

    def _check_ports_free(self, name: str) -> None:
        role, organization = self._named(name)
        for service in self._ports_of(role, organization):
            try:
                _connect(organization.port(service))
            except Unavailable:
                continue
            raise Conflict(f"port {organization.port(service)} of {name} is taken", reason="port-taken")


def _connect(port: int) -> None:
    try:
        socket.create_connection((LOOPBACK, port), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise Unavailable(f"nothing answers on port {port}", reason="port") from error
