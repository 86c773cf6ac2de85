"""The hospitals of ``docker-compose-fabric.yaml`` as the demo's: containers started, reached, and removed again."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from domain.errors import Unavailable
from network.topology.containers import CONNECTION_FILE, FOLDER, NODE_PORT, WITNESS_PORT, compose_topology
from network.topology.ports import free_ports
from network.verifier.folder import block_files
from node_service.client.transport import Transport
from yilian.demo.network import WALLET_TIMEOUT_S, Hospital

COMPOSE_FILE: Final = Path(__file__).resolve().parents[2] / "docker-compose-fabric.yaml"
IMAGES: Final = (
    ("YILIAN_IMAGE", "yilian", "", "YILIAN_VERSION", "latest"),
    ("YILIAN_IMAGE", "yilian", "-network", "YILIAN_VERSION", "latest"),
    ("FABRIC_IMAGE", "hyperledger/fabric", "-peer", "FABRIC_VERSION", "3.1.5"),
    ("FABRIC_IMAGE", "hyperledger/fabric", "-orderer", "FABRIC_VERSION", "3.1.5"),
    ("POSTGRESQL_IMAGE", "postgres", "", "POSTGRESQL_VERSION", "17"),
    ("KUBO_IMAGE", "ipfs/kubo", "", "KUBO_VERSION", "v0.42.0"),
)
"""Variable and default of the name, its end, variable and default of the version: as in the file."""
ATTEMPTS: Final = 3
PAUSE_S: Final = 3.0
ASK_TIMEOUT_S: Final = 60.0
UP_TIMEOUT_S: Final = 300.0
READY_TIMEOUT_S: Final = 300.0
_POLL_S: Final = 0.5
_ENGINE_S: Final = "300"
"""How long docker-compose 1.29 waits for the engine, which starts thirty containers at once: a minute is its own."""
_TOLD: Final = 2000
_LOG_LINES: Final = 15
_FLIP: Final = """
import pathlib, sys
path = next(pathlib.Path(sys.argv[1]).rglob(sys.argv[2]))
content = path.read_bytes()
path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
"""
_LAST: Final = """
import pathlib, sys
print(next(pathlib.Path(sys.argv[1]).rglob(sys.argv[2])).read_bytes()[-1])
"""
_PACK: Final = "import sys, tarfile; tarfile.open(fileobj=sys.stdout.buffer, mode='w|').add(sys.argv[1], '.')"


@dataclass(frozen=True, slots=True)
class Compose:
    """One project of the file.

    Attributes:
        command: ``docker compose``, or ``docker-compose``.
        environment: reaches the engine, and chooses images, ordering and published ports.
    """

    command: tuple[str, ...]
    project: str
    environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def find(cls, environment: Mapping[str, str] | None = None) -> Self | None:
        """A project of its own on free ports; None where no engine answers or the file's images are not there."""
        given = os.environ if environment is None else environment
        command = next((one for one in (("docker", "compose"), ("docker-compose",)) if _answers(one, given)), None)
        if (
            command is None
            or not COMPOSE_FILE.exists()
            or not _answers(("docker", "image", "inspect"), given, images(given))
        ):
            return None
        return cls(command, f"yilian-demo-{secrets.token_hex(3)}", {**given, **own_addresses()})

    def run(self, *arguments: str, timeout_s: float = ASK_TIMEOUT_S) -> bytes:
        """Run the command and return what it printed.

        Raises:
            Unavailable: it failed; the message ends with what it said.
        """
        command = [*self.command, "-p", self.project, "-f", str(COMPOSE_FILE), *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - the engine that the user installed
                command, env={"COMPOSE_HTTP_TIMEOUT": _ENGINE_S, **self.environment}, capture_output=True,
                timeout=timeout_s, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"Docker did not answer to {arguments[0]!r} in time", reason="docker") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace")[-_TOLD:]
            raise Unavailable(f"Docker refused {arguments[0]!r}: {said}", reason="docker")
        return done.stdout

    def execute(self, service: str, *arguments: str, timeout_s: float = ASK_TIMEOUT_S) -> bytes:
        """Run a program in a container and return what it printed."""
        return self.run("exec", "-T", service, *arguments, timeout_s=timeout_s)

    def up(self) -> None:
        """Start everything; again where the engine itself failed to start a container (runc's broken pipe)."""
        self._repeated("OCI runtime create failed", "up", "--detach", "--no-build")

    def down(self) -> None:
        """Remove everything, with what it stored; again where the engine still counts a container that is gone."""
        self._repeated("has active endpoints", "down", "--volumes", "--timeout", "5")

    def _repeated(self, passing: str, *arguments: str) -> None:
        for left in reversed(range(ATTEMPTS)):
            try:
                self.run(*arguments, timeout_s=UP_TIMEOUT_S)
            except Unavailable as error:
                if not left or passing not in error.detail:
                    raise
                time.sleep(PAUSE_S)
            else:
                return


@dataclass(slots=True)
class ContainedHospital(Hospital):
    """A hospital whose node runs in a container; ``url`` is the port that is published on this machine."""

    compose: Compose = field(kw_only=True, repr=False)
    organization: str = field(kw_only=True)

    @property
    def service(self) -> str:
        """Name of the node's container."""
        return f"node-{self.organization}"

    @property
    def public_url(self) -> str:
        """Address by which other hospitals and wallets know it; a name of the containers' own network."""
        return f"http://{self.service}:{NODE_PORT}"

    def flip_last_bit(self, object_name: str) -> None:
        """Alter one object in the node's folder, where it lies; a second time puts it right."""
        self._python(_FLIP, object_name)

    def last_byte(self, object_name: str) -> int:
        """How that object ends in the node's folder."""
        return int(self._python(_LAST, object_name))

    def _python(self, program: str, object_name: str) -> bytes:
        return self.compose.execute(self.service, "python", "-c", program, str(FOLDER), object_name)

    def wait_ready(self) -> None:
        """Wait until the node serves.

        Raises:
            Unavailable: it is not ready in time.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                with Transport(self.url, timeout_s=2.0) as transport:
                    transport.call("GET", "/ready")
                return
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)


class ContainedNetwork:
    """The first three of the file's four hospitals; a context that removes all containers that it started.

    Args:
        folder: for the wallet and what is exported.
        names: of the hospitals, by MSP id.
    """

    def __init__(self, compose: Compose, folder: Path, names: Mapping[str, str]) -> None:
        self.compose, self.folder = compose, folder
        self._addresses: dict[str, str] = {}
        self.hospitals: list[ContainedHospital] = []
        nodes, witnesses = (compose.environment[name] for name in ("NODE_PORTS", "WITNESS_PORTS"))
        for number, item in enumerate(compose_topology("raft").organizations, 1):
            self._addresses[f"http://node-{item.name}:{NODE_PORT}"] = f"http://127.0.0.1:{nodes}{number}"
            self._addresses[f"http://witness-{item.name}:{WITNESS_PORT}"] = f"http://127.0.0.1:{witnesses}{number}"
            if item.msp in names:
                self.hospitals.append(
                    ContainedHospital(
                        msp_id=item.msp,
                        name=names[item.msp],
                        folder=folder,
                        port=int(f"{nodes}{number}"),
                        environment={},
                        administrator_password="",
                        compose=compose,
                        organization=item.name,
                    )
                )

    def __enter__(self) -> Self:
        try:
            self.compose.up()
            self.meet()
        except BaseException:
            self._end(is_well=False)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(is_well=error is None)

    def _end(self, *, is_well: bool) -> None:
        """Remove the containers; where something failed, what the nodes wrote last stays in the folder."""
        try:
            for hospital in () if is_well else self.hospitals:
                wrote = self.compose.run("logs", "--no-color", "--tail", str(_LOG_LINES), hospital.service)
                (self.folder / f"{hospital.service}.log").write_bytes(wrote)
        finally:
            self.compose.down()

    def meet(self) -> None:
        """Wait until the hospitals serve, and learn their administrators' passwords."""
        for hospital in self.hospitals:
            hospital.wait_ready()
            password = self.compose.execute(hospital.service, "cat", str(FOLDER / "administrator-password"))
            hospital.administrator_password = password.decode().strip()

    @property
    def genesis(self) -> str:
        """Header hash of block 0, in hex."""
        connection = self.compose.execute(self._auditor, "cat", str(FOLDER / CONNECTION_FILE))
        return str(json.loads(connection)["genesis"])

    @property
    def place(self) -> str:
        """Where the ledger is, for people."""
        return f"{' '.join(self.compose.command)} -p {self.compose.project} -f {COMPOSE_FILE.name} ps"

    def export(self, folder: Path) -> int:
        """Export all blocks, as the peer of a hospital that is no party to the story has them; give their number."""
        inside = str(FOLDER / folder.name)
        exported = ("yilian", "audit", "export", "--fabric", str(FOLDER / CONNECTION_FILE), inside)
        self.compose.execute(self._auditor, *exported, timeout_s=UP_TIMEOUT_S)
        packed = self.compose.execute(self._auditor, "python", "-c", _PACK, inside, timeout_s=UP_TIMEOUT_S)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        return sum(1 for _ in block_files(folder))

    def connect(self, url: str) -> Transport:
        """How a wallet reaches the hospital of a public address."""
        return Transport(self._addresses.get(url, url), timeout_s=WALLET_TIMEOUT_S, public_url=url)

    @property
    def _auditor(self) -> str:
        return self.hospitals[-1].service


def own_addresses() -> dict[str, str]:
    """Free ports for the four nodes and witnesses, and private addresses, as the file's variables take them."""
    tens = -(-(free_ports(4) - 1) // 10)
    network = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}"
    return {"NODE_PORTS": str(tens), "WITNESS_PORTS": str(tens + 1), "IPFS_NETWORK": network}


def images(environment: Mapping[str, str]) -> Sequence[str]:
    """The images that the file names."""
    return [
        f"{environment.get(name, named)}{end}:{environment.get(version, versioned)}"
        for name, named, end, version, versioned in IMAGES
    ]


def _answers(command: Sequence[str], environment: Mapping[str, str], arguments: Sequence[str] = ("version",)) -> bool:
    if shutil.which(command[0], path=environment.get("PATH")) is None:
        return False
    try:
        done = subprocess.run(  # noqa: S603 - as above
            [*command, *arguments], env=dict(environment), capture_output=True, timeout=ASK_TIMEOUT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
