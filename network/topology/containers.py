"""A network as containers: what each of them gets to see, and how the network is made and deployed among them.

Each container has one volume, at :data:`FOLDER`, with its own keys and settings and nobody else's. Two one-shots see
more: ``material`` makes the network and hands out, ``channel`` administers it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from domain.errors import Conflict
from network.fabric.connection import Connection
from network.topology import lifecycle
from network.topology.administration import Administration
from network.topology.channel import for_each, join_channel, wait_acquainted
from network.topology.connections import write_connection, write_witness_connection
from network.topology.contract_service import ContractService
from network.topology.description import Consensus, Organization, Topology, members
from network.topology.engine import Binaries
from network.topology.layout import DIRECTORY_MODE, Layout, NodeFiles, disk_errors, write_file
from network.topology.lifecycle import Definition
from network.topology.making import make_network
from network.topology.placement import Placement
from network.topology.waiting import wait_for
from network.witness import folder as witness_folder
from network.witness.folder import PUBLIC_KEY_FILE, WitnessIdentity

FOLDER: Final = Path("/network")
"""Where each container sees its volume."""
HANDED_OUT: Final = Path("/volumes")
"""Where ``material`` sees the volumes of all the others, each in a folder of the container's name."""
PROGRAMS: Final = Path("/opt/fabric")
"""Fabric's tools in ``bin``; static programs for images without a shell: ``builder/bin/…`` and ``probe``."""
HOSPITALS: Final = ("RenheMSP", "MingdeMSP", "AnkangMSP", "HuijiMSP")
FIRST_PORT: Final = 7000
NODE_PORT: Final = 8001
WITNESS_PORT: Final = 8101
CONTRACT_OPERATIONS: Final = "127.0.0.1:9100"
CONNECTION_FILE: Final = "connection.json"
WITNESS_FOLDER: Final = "witness"
USER: Final = 10001
"""User and group of every container."""
DATABASE: Final = "yilian"
"""Name of a hospital's database and of its user."""
DATABASE_HOST: Final = "database"
"""How a node, and nobody else, reaches its hospital's server."""
PASSWORD_FILE: Final = "database-password"  # noqa: S105 - a file's name
PASSFILE: Final = "database-passfile"
IPFS_PORT: Final = 5001
TOKEN_FILE: Final = "ipfs-token"  # noqa: S105 - a file's name
START_IPFS: Final = Path(__file__).parent / "ipfs" / "start.sh"
_PASSWORD_BYTES: Final = 24
START_TIMEOUT_S: Final = 180.0
ANSWER_TIMEOUT_S: Final = 120.0
PLACEMENT: Final = Placement(FOLDER, FOLDER / "builder", listen_host="0.0.0.0", dial_host=None)  # noqa: S104 - a container
_FIRST: Final = Definition(1, "1")

ContainerRole = Literal["orderer", "peer", "contract", "node", "witness", "postgresql", "ipfs"]


@dataclass(frozen=True, slots=True)
class Container:
    """One container that stays.

    Attributes:
        name: of the container and of its volume; others dial it by this name.
        files: what it sees of the network's files, as paths below :data:`FOLDER`.
        probe: whom its health check asks; empty where an image brings its own.
    """

    name: str
    role: ContainerRole
    files: tuple[Path, ...]
    probe: Mapping[str, str]


def compose_topology(consensus: Consensus) -> Topology:
    """The network of ``docker-compose-fabric.yaml``."""
    return Topology(members(HOSPITALS, FIRST_PORT), consensus)


def containers(topology: Topology) -> Iterator[Container]:
    """All containers that stay, hospital by hospital."""
    layout = Layout(FOLDER)
    for item in topology.organizations:
        orderer, peer, contract = layout.orderer(item), layout.peer(item), layout.contract(item)
        yield _process(layout, item, "orderer", orderer, _healthz(item.port("orderer-operations"), orderer))
        yield _process(layout, item, "peer", peer, _healthz(item.port("peer-operations"), peer))
        yield _process(layout, item, "contract", contract, {"url": f"http://{CONTRACT_OPERATIONS}/health"})
        roots = tuple(layout.peer(other).tls_root for other in topology.organizations)
        ready = {"url": f"http://127.0.0.1:{NODE_PORT}/ready"}
        yield Container(f"node-{item.name}", "node", (layout.client(item).msp, *roots), ready)
        health = {"url": f"http://127.0.0.1:{WITNESS_PORT}/health"}
        yield Container(f"postgresql-{item.name}", "postgresql", (), {})
        yield Container(f"ipfs-{item.name}", "ipfs", (), {"url": f"http://127.0.0.1:{IPFS_PORT}/version"})
        yield Container(f"witness-{item.name}", "witness", (layout.witness(item).msp, *roots), health)


def _process(
    layout: Layout,
    organization: Organization,
    role: Literal["orderer", "peer", "contract"],
    files: NodeFiles,
    probe: Mapping[str, str],
) -> Container:
    name = organization.process(role)
    return Container(name, role, (layout.settings(name), files.folder), probe)


def _healthz(port: int, files: NodeFiles) -> Mapping[str, str]:
    return {"url": f"https://127.0.0.1:{port}/healthz", "folder": str(files.folder / "tls")}


def make_material(topology: Topology, binaries: Binaries) -> None:
    """Make the network and hand out to every container what it needs; what is there already stays as it is.

    Raises:
        Unavailable: a program or the disk refused; the engine is too old for BFT.
    """
    layout = Layout(FOLDER)
    if not layout.genesis.exists():
        make_network(topology, binaries, PLACEMENT)
    made = Topology.read(layout.description)
    for organization in made.organizations:
        write_connection(made, organization, PLACEMENT)
        write_witness_connection(made, organization, PLACEMENT)
        process = organization.process("contract")
        if not ContractService.exists(layout, process):
            identity = lifecycle.make_package(layout, organization, _label(made), PLACEMENT, "contract")
            ContractService(identity, made.contract, "contract").write(layout, process)
    for container in containers(made):
        _hand_out(container)
    for organization in made.organizations:
        _introduce(layout, organization)
        _make_password(organization)
        _make_token(organization)
    _own(FOLDER)
    for volume in HANDED_OUT.iterdir():
        _own(volume)


def deploy(topology: Topology, binaries: Binaries) -> None:
    """Join everybody to the channel and put the contract into force, as far as that is not done; waits for their start.

    Raises:
        Unavailable: a node refused, or something did not come about in time.
    """
    administration = Administration(topology, binaries, PLACEMENT)
    wait_for(lambda: _joined(administration), START_TIMEOUT_S, "the start of orderers and peers")
    if lifecycle.committed(administration, topology.organizations[0]) is None:
        for_each(topology, lambda item: _approve(administration, item))
        lifecycle.commit(administration, _FIRST, topology.organizations)
    for_each(topology, lambda item: lifecycle.wait_answering(administration, item, ANSWER_TIMEOUT_S))
    for_each(topology, lambda item: wait_acquainted(administration, item))


def _joined(administration: Administration) -> bool:
    join_channel(administration)
    return True


def _approve(administration: Administration, organization: Organization) -> None:
    layout = administration.layout
    identity = ContractService.read(layout, organization.process("contract")).package_id
    lifecycle.install(administration, organization, layout.package(_label(administration.topology), organization))
    if lifecycle.approved_package(administration, organization, _FIRST.sequence) != identity:
        lifecycle.approve(administration, organization, identity, _FIRST, organization)


def _label(topology: Topology) -> str:
    return f"{topology.contract}_{_FIRST.sequence}"


def _hand_out(container: Container) -> None:
    """Copy a container's files into its volume, with the programs that it needs."""
    volume = HANDED_OUT / container.name
    with disk_errors(volume):
        for path in container.files:
            target = volume / path.relative_to(FOLDER)
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True)
            else:
                target.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
                shutil.copy2(path, target)
        if container.probe:
            (volume / "probe").unlink(missing_ok=True)  # a link of the container's would be followed
            shutil.copy2(PROGRAMS / "probe", volume / "probe")
        if container.role == "ipfs":
            write_file(volume / START_IPFS.name, START_IPFS.read_bytes())
        if container.role == "peer":
            shutil.copytree(PROGRAMS / "builder", volume / "builder", dirs_exist_ok=True)
    if container.probe:
        write_file(volume / "probe.json", json.dumps(dict(container.probe)).encode())


def _introduce(layout: Layout, organization: Organization) -> None:
    """Give node and witness their ways to the channel; make what the witness signs with in its own volume.

    The node never sees that key, only which it is.
    """
    node, witness = (HANDED_OUT / f"{role}-{organization.name}" for role in ("node", "witness"))
    told = Connection.read(layout.witness_connection(organization))
    write_file(node / CONNECTION_FILE, Connection.read(layout.connection(organization)).encode())
    write_file(witness / CONNECTION_FILE, told.encode())
    _withdraw(witness / layout.client(organization).folder.relative_to(FOLDER))
    folder = witness / WITNESS_FOLDER
    with suppress(Conflict):
        identity = WitnessIdentity(told.channel, told.contract, told.genesis, told.msp)
        witness_folder.create(folder, identity, os.urandom)
    with disk_errors(folder):
        write_file(node / PUBLIC_KEY_FILE, (folder / PUBLIC_KEY_FILE).read_bytes())


def _make_password(organization: Organization) -> None:
    """A password of the hospital's database; its server and its node see it, and nobody else."""
    password = _made_once(organization, PASSWORD_FILE)
    write_file(HANDED_OUT / f"postgresql-{organization.name}" / PASSWORD_FILE, password.encode())
    line = f"{DATABASE_HOST}:5432:{DATABASE}:{DATABASE}:{password}\n"
    write_file(HANDED_OUT / f"node-{organization.name}" / PASSFILE, line.encode())


def _make_token(organization: Organization) -> None:
    """A token of the RPC of the hospital's Kubo node; that one and the hospital's node see it, and nobody else."""
    token = _made_once(organization, TOKEN_FILE)
    for role in ("ipfs", "node"):
        write_file(HANDED_OUT / f"{role}-{organization.name}" / TOKEN_FILE, token.encode())


def _made_once(organization: Organization, name: str) -> str:
    """A secret, from where no container but the one-shots looks: what a container says is not read back from it."""
    kept = FOLDER / "made" / organization.name / name
    with disk_errors(kept):
        if not kept.exists():
            write_file(kept, secrets.token_urlsafe(_PASSWORD_BYTES).encode())
        return kept.read_text()


def _withdraw(folder: Path) -> None:
    """Take back what networks of an earlier version handed out: the witness had the node's key."""
    with disk_errors(folder), suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _own(folder: Path) -> None:
    """Give a volume to the user of the containers alone, whatever mode its files will have."""
    with disk_errors(folder):
        folder.chmod(DIRECTORY_MODE)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)
