"""A network as processes of this machine: made, started, stopped, and told what to do."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from network.topology import channel, deployment, lifecycle
from network.topology.administration import Administration
from network.topology.connections import write_connection, write_witness_connection
from network.topology.description import Organization, Topology
from network.topology.engine import Binaries
from network.topology.layout import Layout, write_file
from network.topology.making import make_network
from network.topology.placement import Placement
from network.topology.processes import Processes
from network.topology.runner import Runner
from network.topology.settings import write_settings

ANSWER_TIMEOUT_S: Final = 120.0
_AT_ONCE: Final = 4


class NativeNetwork:
    """One network of processes below one folder.

    Attributes:
        topology: what it is made of now.
        layout: its files.
        binaries: the engine.
        placement: where its processes are.
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

    @property
    def runner(self) -> Runner:
        """What starts and stops its processes."""
        return Runner(self.administration, self._processes)

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

    def change_topology(self, topology: Topology) -> None:
        """Let the description say what the channel has become.

        Raises:
            Unavailable: the disk refuses.
        """
        write_file(self.layout.description, topology.encode())
        self.topology = topology

    def up(self, contract: str | None = None) -> None:
        """Start what does not run, join the channel, deploy the contract if it is not yet, and wait until all answers.

        Args:
            contract: ``module:function`` of the first version; the product's own if None.

        Raises:
            Conflict: a port is taken.
            Unavailable: something did not come up in time; its log says why.
        """
        if not self.layout.genesis.exists():
            self.generate()
        self.each(self._start_nodes)
        channel.join_channel(self.administration)
        deployment.ensure_deployed(self, contract)
        self.each(self.wait_serving)

    def down(self) -> None:
        """Stop all processes, those of organisations that left too.

        Raises:
            Unavailable: one does not end.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._processes.stop, self._processes.known()))

    def start(self, name: str) -> None:
        """Start one process and wait until it serves.

        Raises:
            Conflict: it runs, or its port is taken.
            NotFound: there is none of this name.
            Unavailable: it does not come up.
        """
        self.runner.start(name)

    def stop(self, name: str) -> None:
        """Ask one process to end, and see to it that it does.

        Raises:
            NotFound: there is none of this name.
            Unavailable: it does not end.
        """
        self.runner.stop(name)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process; SIGKILL returns when it is gone.

        Raises:
            NotFound: there is none of this name.
        """
        self.runner.kill(name, number)

    def running(self, name: str) -> bool:
        """True while a process lives."""
        return self._processes.running(name)

    def connection_file(self, msp: str) -> Path:
        """Write how a hospital's node reaches the channel, and return the file.

        Raises:
            NotFound: no such organisation.
            Unavailable: the disk refuses.
        """
        return write_connection(self.topology, self.topology.organization(msp), self.placement)

    def witness_connection_file(self, msp: str) -> Path:
        """Write how its witness does, and return the file.

        Raises:
            NotFound: no such organisation.
            Invalid, Unavailable: as :func:`network.topology.connections.write_witness_connection`.
        """
        return write_witness_connection(self.topology, self.topology.organization(msp), self.placement)

    def leader(self) -> Organization | None:
        """The organisation whose ordering node leads; None while there is none."""
        return channel.leader(self.administration)

    def wait_leader(self) -> Organization:
        """Wait until an ordering node leads.

        Raises:
            Unavailable: none does in time.
        """
        return channel.wait_leader(self.administration)

    def wait_serving(self, organization: Organization) -> None:
        """Wait until a hospital can endorse and finds others that endorse.

        Raises:
            Unavailable: not in time.
        """
        lifecycle.wait_answering(self.administration, organization, ANSWER_TIMEOUT_S)
        channel.wait_acquainted(self.administration, organization)

    def each(self, action: Callable[[Organization], object]) -> None:
        """Do something for every organisation, several at once; an error is raised when all are through."""
        channel.for_each(self.topology, action)

    def _start_nodes(self, organization: Organization) -> None:
        self.runner.ensure(organization.process("orderer"))
        self.runner.ensure(organization.process("peer"))
