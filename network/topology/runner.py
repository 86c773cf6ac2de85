"""The processes of a network on this machine: each is started with its settings, and waited for until it serves."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.errors import Conflict, NotFound, Unavailable
from network.topology.administration import Administration
from network.topology.contract_service import ContractService
from network.topology.description import ROLES, Organization, Role, Service
from network.topology.engine import environment_of
from network.topology.operations import NodeEndpoint
from network.topology.placement import LOOPBACK
from network.topology.processes import Processes
from network.topology.waiting import wait_for

READY_TIMEOUT_S: Final = 120.0
CONNECT_TIMEOUT_S: Final = 2.0
_SERVICES_OF: Final[dict[Role, tuple[Service, ...]]] = {"orderer": ("orderer", "orderer-admin"), "peer": ("peer",)}
_ARGUMENTS_OF: Final[dict[Role, tuple[str, ...]]] = {"orderer": (), "peer": ("node", "start")}


@dataclass(frozen=True, slots=True)
class Runner:
    """Starts and stops processes by their names."""

    administration: Administration
    processes: Processes

    def ensure(self, name: str) -> None:
        """Start a process unless it runs, and wait until it serves.

        Raises:
            Conflict, NotFound, Unavailable: as :meth:`start`.
        """
        if self.processes.running(name):
            self.wait_ready(name)
        else:
            self.start(name)

    def start(self, name: str) -> None:
        """Start a process and wait until it serves.

        Raises:
            Conflict: it runs, or somebody else has its port.
            NotFound: there is none of this name.
            Unavailable: it does not come up; its log says why.
        """
        role, organization = self.named(name)
        administration, layout = self.administration, self.administration.layout
        if self.processes.running(name):
            raise Conflict(f"{name} runs already", reason="running")
        self._check_ports_free(name)
        if role == "contract":
            command = ContractService.read(layout, name).command(organization, administration.operator)
            self.processes.spawn(name, command, os.environ, Path.cwd())
        else:
            command = (str(administration.binaries.path(role)), *_ARGUMENTS_OF[role])
            self.processes.spawn(name, command, environment_of(layout.settings(name), "INFO"), layout.data(name))
        self.wait_ready(name)

    def restart(self, name: str) -> None:
        """Stop a process and start it again.

        Raises:
            Conflict, NotFound, Unavailable: as :meth:`start`.
        """
        self.stop(name)
        self.start(name)

    def stop(self, name: str) -> None:
        """Ask a process to end, and see to it that it does.

        Raises:
            NotFound: there is none of this name.
            Unavailable: it does not end.
        """
        self.named(name)
        self.processes.stop(name)

    def rename(self, name: str, new: str) -> None:
        """Call a process by another name, if it runs.

        Raises:
            Unavailable: the disk refuses.
        """
        if self.processes.running(name):
            self.processes.rename(name, new)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process; SIGKILL returns when it is gone.

        Raises:
            NotFound: there is none of this name.
        """
        self.named(name)
        self.processes.kill(name, number)

    def wait_ready(self, name: str) -> None:
        """Wait until a process serves: its ports are open and its health is good.

        Raises:
            Unavailable: it ended, or is not ready in time; its log says why.
        """
        log = self.administration.layout.log(name)
        wait_for(
            lambda: not self.processes.running(name) or self._is_ready(name),
            READY_TIMEOUT_S,
            f"{name} ready (see {log})",
        )
        if not self.processes.running(name):
            raise Unavailable(f"{name} ended; see {log}", reason="process-ended")

    def named(self, name: str) -> tuple[Role, Organization]:
        """What a process is, and whose.

        Raises:
            NotFound: there is none of this name.
        """
        for organization in self.administration.topology.organizations:
            if name == organization.next_contract:
                return "contract", organization
            for role in ROLES:
                if name == organization.process(role):
                    return role, organization
        raise NotFound(f"the network has no process {name}", reason="no-process")

    def _is_ready(self, name: str) -> bool:
        role, organization = self.named(name)
        for service in self._services(name):
            connect(organization.port(service))
        if role != "contract":
            with self._operations(role, organization) as endpoint:
                endpoint.check_health()
        return True

    def _services(self, name: str) -> tuple[Service, ...]:
        role, _ = self.named(name)
        if role == "contract":
            return (ContractService.read(self.administration.layout, name).service,)
        return _SERVICES_OF[role]

    def _operations(self, role: Role, organization: Organization) -> NodeEndpoint:
        if role == "orderer":
            return self.administration.orderer_operations(organization)
        return self.administration.peer_operations(organization)

    def _check_ports_free(self, name: str) -> None:
        _, organization = self.named(name)
        for service in self._services(name):
            try:
                connect(organization.port(service))
            except Unavailable:
                continue
            raise Conflict(f"port {organization.port(service)} of {name} is taken", reason="port-taken")


def connect(port: int) -> None:
    """Raises:
    Unavailable: nothing listens on this port of the loopback address.
    """
    try:
        socket.create_connection((LOOPBACK, port), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise Unavailable(f"nothing answers on port {port}", reason="port") from error
