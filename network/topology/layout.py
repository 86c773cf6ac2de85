"""Where everything of a network lies below its folder. Directories have mode 0700, files 0600.

network.json                    the description
crypto/                         certificates and keys, as cryptogen lays them out
genesis.block                   block 0 of the channel
settings/<process>/             orderer.yaml, core.yaml, service.json
settings/admin-<name>/core.yaml settings of the administrator's command line
packages/                       contract packages, one for each hospital
connections/<name>.json         how a hospital's node reaches the channel
connections/<name>-witness.json how its witness does
data/<process>/                 ledgers
log/<process>.log               what the processes wrote
run/<process>.pid               which of them run
work/                           files of a change under way
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.errors import Unavailable
from network.topology.description import Organization

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
PID_SUFFIX: Final = ".pid"
CONTRACT_CLIENT: Final = "contract-client"


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """One node's or user's material: ``msp`` signs, ``tls`` is for the wire."""

    folder: Path
    tls_name: str

    @property
    def msp(self) -> Path:
        return self.folder / "msp"

    @property
    def tls_certificate(self) -> Path:
        return self.folder / "tls" / f"{self.tls_name}.crt"

    @property
    def tls_key(self) -> Path:
        return self.folder / "tls" / f"{self.tls_name}.key"

    @property
    def tls_root(self) -> Path:
        return self.folder / "tls" / "ca.crt"

    @property
    def certificate(self) -> Path:
        """What it signs with: the one file there; authorities name it differently."""
        return _only(self.msp / "signcerts")

    @property
    def key(self) -> Path:
        """The key of that certificate."""
        return _only(self.msp / "keystore")


def _only(folder: Path) -> Path:
    return next(iter(sorted(folder.glob("*"))), folder / "missing")


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one network."""

    folder: Path

    @property
    def description(self) -> Path:
        return self.folder / "network.json"

    @property
    def crypto(self) -> Path:
        return self.folder / "crypto"

    @property
    def genesis(self) -> Path:
        return self.folder / "genesis.block"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def settings(self, process: str) -> Path:
        return self.folder / "settings" / process

    def data(self, process: str) -> Path:
        return self.folder / "data" / process

    def log(self, process: str) -> Path:
        return self.folder / "log" / f"{process}.log"

    def pid(self, process: str) -> Path:
        return self.folder / "run" / f"{process}{PID_SUFFIX}"

    def package(self, label: str, organization: Organization) -> Path:
        return self.folder / "packages" / f"{label}-{organization.name}.tar.gz"

    def connection(self, organization: Organization) -> Path:
        """Of the hospital's node."""
        return self.folder / "connections" / f"{organization.name}.json"

    def witness_connection(self, organization: Organization) -> Path:
        return self.folder / "connections" / f"{organization.name}-witness.json"

    def peer_organization(self, organization: Organization) -> Path:
        return self.crypto / "peerOrganizations" / organization.domain

    def orderer_organization(self, organization: Organization) -> Path:
        return self.crypto / "ordererOrganizations" / ordering_domain(organization)

    def peer(self, organization: Organization) -> NodeFiles:
        return self._peer_node(organization, "peer")

    def contract(self, organization: Organization) -> NodeFiles:
        """Of the contract service: its TLS server certificate."""
        return self._peer_node(organization, "contract")

    def contract_client(self, organization: Organization) -> NodeFiles:
        """Of the peer where it dials the contract service: its TLS client certificate."""
        return self._peer_node(organization, CONTRACT_CLIENT)

    def orderer(self, organization: Organization) -> NodeFiles:
        domain = ordering_domain(organization)
        return NodeFiles(self.orderer_organization(organization) / "orderers" / f"orderer.{domain}", "server")

    def admin(self, organization: Organization) -> NodeFiles:
        return self._user(organization, "Admin")

    def client(self, organization: Organization) -> NodeFiles:
        """Of the hospital's node: an identity of the unit ``client``."""
        return self._user(organization, "User1")

    def witness(self, organization: Organization) -> NodeFiles:
        """Of the hospital's witness: a member that the contract takes nothing from."""
        return self._user(organization, "Witness")

    def orderer_admin(self, organization: Organization) -> NodeFiles:
        name = f"Admin@{ordering_domain(organization)}"
        return NodeFiles(self.orderer_organization(organization) / "users" / name, "client")

    def _peer_node(self, organization: Organization, host: str) -> NodeFiles:
        folder = self.peer_organization(organization) / "peers" / f"{host}.{organization.domain}"
        return NodeFiles(folder, "server")

    def _user(self, organization: Organization, name: str) -> NodeFiles:
        folder = self.peer_organization(organization) / "users" / f"{name}@{organization.domain}"
        return NodeFiles(folder, "client")


def ordering_domain(organization: Organization) -> str:
    """Domain of the certificates of its ordering node."""
    return f"orderers.{organization.domain}"


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner alone.

    Raises:
        Unavailable: the disk refuses.
    """
    with disk_errors(folder):
        for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
            missing.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole and for its owner alone; its folder is made.

    Raises:
        Unavailable: the disk refuses.
    """
    with disk_errors(path):
        make_folder(path.parent)
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)


def restrict(folder: Path) -> None:
    """Take from group and others what a program of somebody else gave them.

    Raises:
        Unavailable: the disk refuses.
    """
    with disk_errors(folder):
        for path in (folder, *folder.rglob("*")):
            path.chmod(DIRECTORY_MODE if path.is_dir() else FILE_MODE)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say of which file the disk refused something.

    Raises:
        Unavailable: it did.
    """
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{path.name}: {error.strerror}", reason="disk") from error
