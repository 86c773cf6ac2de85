"""``docker-compose-fabric.yaml`` as it runs: its containers, their volumes, their nodes over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from network.topology.containers import DATABASE, FOLDER, compose_topology
from node_service.client.node_client import StaffClient
from node_service.client.transport import Transport
from node_service.client.wire import StaffAccount
from node_service.provisioning import FIRST_USERNAME
from yilian.demo.containers import UP_TIMEOUT_S, Compose

ROOT: Final = Path(__file__).resolve().parents[2]
PROJECT: Final = "yilian-test"
SEEN_TIMEOUT_S: Final = 90.0
PAUSE_S: Final = 1.0
"""Each look may start a program, which takes from the containers what they need to come up."""
_PASSWORD: Final = "a passphrase of the test's own"
Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Composed:
    """The containers of one project.

    Attributes:
        environment: reaches the engine, and chooses images, ordering and ports.
    """

    environment: Mapping[str, str] = field(repr=False)

    @property
    def project(self) -> Compose:
        """The same, as the demo sees it."""
        return Compose(("docker-compose",), PROJECT, self.environment)

    def compose(self, *arguments: str) -> str:
        """Run ``docker-compose`` and return what it printed."""
        return self.project.run(*arguments, timeout_s=UP_TIMEOUT_S).decode()

    def docker(self, *arguments: str) -> str:
        """Run ``docker`` and return what it printed."""
        return self._run(["docker", *arguments], SEEN_TIMEOUT_S)

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine says of a container."""
        found: dict[str, Any] = json.loads(self.docker("inspect", f"{PROJECT}_{service}_1"))[0]
        return found

    def networks(self, service: str) -> set[str]:
        """The names of the project's networks that a container is in."""
        return {name.removeprefix(f"{PROJECT}_") for name in self.inspect(service)["NetworkSettings"]["Networks"]}

    def well(self) -> set[str]:
        """The services whose health check is green."""
        asked = ("ps", "--filter", f"label=com.docker.compose.project={PROJECT}", "--filter", "health=healthy")
        named = '{{.Label "com.docker.compose.service"}}'
        return set(self.docker(*asked, "--format", named).split())

    def volume(self, service: str) -> Path:
        """A container's volume, as the engine's machine sees it."""
        mounts = self.inspect(service)["Mounts"]
        return Path(next(mount["Source"] for mount in mounts if mount["Destination"] == str(FOLDER)))

    def crash(self, service: str) -> None:
        """End a container's process as a crash does: the engine is not told that this is meant."""
        os.kill(self.inspect(service)["State"]["Pid"], signal.SIGKILL)

    def administrator(self, hospital: str) -> StaffClient:
        """A hospital's first account, signed in with the password in the node's volume."""
        client = StaffClient(Transport(self.url(hospital), timeout_s=SEEN_TIMEOUT_S))
        client.sign_in(FIRST_USERNAME, (self.volume(f"node-{hospital}") / "administrator-password").read_text().strip())
        return client

    def employ(self, hospital: str, username: str, role: str) -> StaffClient:
        """Open an account and sign it in."""
        account = StaffAccount(
            username=username, password=_PASSWORD, display_name=username, department="", roles=[role]
        )
        with self.administrator(hospital) as administrator:
            administrator.open_account(account)
        client = StaffClient(Transport(self.url(hospital), timeout_s=SEEN_TIMEOUT_S))
        client.sign_in(username, _PASSWORD)
        return client

    def database(self, hospital: str, query: str) -> str:
        """What a hospital's database answers."""
        asked = ("psql", "-h", "/var/run/postgresql", "-U", DATABASE, "-tAc", query)
        return self.compose("exec", "-T", f"postgresql-{hospital}", *asked).strip()

    def ipfs_bytes(self, hospital: str) -> int:
        """How much lies in the blocks of a hospital's Kubo node."""
        blocks = self.volume(f"ipfs-{hospital}") / "ipfs" / "blocks"
        return sum(path.stat().st_size for path in blocks.rglob("*.data"))

    def url(self, hospital: str) -> str:
        """Where a hospital's node is published."""
        names = [item.name for item in compose_topology("raft").organizations]
        return f"http://127.0.0.1:{self.environment['NODE_PORTS']}{names.index(hospital) + 1}"

    def _run(self, command: list[str], timeout_s: float) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=dict(self.environment), capture_output=True, text=True, timeout=timeout_s,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command[:6])}: {done.stderr[-3000:]}"
        return done.stdout


def eventually(look: Callable[[], Seen], is_done: Callable[[Seen], bool], timeout_s: float = SEEN_TIMEOUT_S) -> Seen:
    """What is seen once it is as expected."""
    deadline = time.monotonic() + timeout_s
    while not is_done(seen := look()):
        assert time.monotonic() < deadline, f"not in time: {seen}"
        time.sleep(PAUSE_S)
    return seen
