"""Three hospitals as processes of their own over one ledger."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from domain.errors import Invalid, Unavailable
from network.witness.folder import PUBLIC_KEY_FILE, WitnessIdentity, create
from node_service.client.node_client import StaffClient
from node_service.client.transport import Transport
from node_service.client.wire import StaffAccount, StaffMember
from node_service.provisioning import FIRST_USERNAME, initialise
from node_service.settings import PREFIX, Settings
from yilian.demo.ground import EmbeddedGround, Ground, witness_identity

READY_TIMEOUT_S: Final = 180.0
STOP_TIMEOUT_S: Final = 10.0
WALLET_TIMEOUT_S: Final = 60.0
ALARM_TIMEOUT_S: Final = 10.0
"""On a machine of few cores a witness that takes in many blocks at once answers late."""
_POLL_S: Final = 0.05
_PASSWORD_BYTES: Final = 18


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works at a hospital of the demo, signed in."""

    member: StaffMember
    client: StaffClient = field(repr=False)
    password: str = field(repr=False)

    def sign_in(self) -> None:
        """Once more, as after a session that ended."""
        self.client.sign_in(self.member.username, self.password)


@dataclass(slots=True)
class WitnessProcess:
    """A hospital's witness: its folder, address and process; ``ledger`` are the options that name what it follows."""

    folder: Path
    ledger: Sequence[str]
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Address of the witness."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key_file(self) -> Path:
        """Its public key, for the node to publish."""
        return self.folder / PUBLIC_KEY_FILE

    def make(self, identity: WitnessIdentity) -> None:
        """Make its keys."""
        create(self.folder, identity, os.urandom)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process."""
        command = ["witness", "run", str(self.folder), *self.ledger, "--port", str(self.port)]
        with self.folder.with_name(f"{self.folder.name}.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "yilian", *command], env=environment, stdout=log, stderr=log
            )

    def alarm(self) -> str | None:
        """Why it signs nothing any more; None while it does.

        Raises:
            Unavailable: it does not answer.
        """
        with Transport(self.url, timeout_s=ALARM_TIMEOUT_S) as transport:
            alarm = json.loads(transport.call("GET", "/health").content)["alarm"]
        return None if alarm is None else f"{alarm['reason']} at {alarm['place']}"

    def stop(self) -> None:
        """Stop the process."""
        _stop(self.process)


@dataclass(slots=True)
class Hospital:
    """One hospital: its node's folder, address and process, and its witness's if it runs one."""

    msp_id: str
    name: str
    folder: Path
    port: int
    environment: Mapping[str, str] = field(repr=False)
    administrator_password: str = field(repr=False)
    witness: WitnessProcess | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Address of the node."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def public_url(self) -> str:
        """Address by which other hospitals and wallets know it."""
        return self.environment[f"{PREFIX}PUBLIC_URL"]

    @property
    def log(self) -> Path:
        """What the node wrote."""
        return self.folder.parent / f"{self.msp_id}.log"

    def start_witness(self, ground: Ground) -> None:
        """Make the witness's keys and start its process, if there is one."""
        if self.witness is not None:
            self.witness.make(witness_identity(ground, self.msp_id))
            self.witness.start(self.environment)

    def start(self) -> None:
        """Start the node's process."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "yilian", "node", "run"], env=self.environment, stdout=log, stderr=log
            )

    def wait_ready(self) -> None:
        """Wait until the node serves.

        Raises:
            Unavailable: it ended, or is not ready in time; its log says why.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise Unavailable(f"the node of {self.msp_id} ended; see {self.log}", reason="node-ended")
            try:
                with Transport(self.url, timeout_s=2.0) as transport:
                    transport.call("GET", "/ready")
                return
            except Unavailable:
                time.sleep(_POLL_S)
        raise Unavailable(f"the node of {self.msp_id} is not ready; see {self.log}", reason="node-slow")

    def stop(self) -> None:
        """Stop the processes, by force if they do not go."""
        _stop(self.process)
        if self.witness is not None:
            self.witness.stop()

    def flip_last_bit(self, object_name: str) -> None:
        """Alter one object in the node's folder, where it lies; a second time puts it right."""
        path = next(self.folder.rglob(object_name))
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    def last_byte(self, object_name: str) -> int:
        """How that object ends in the node's folder."""
        return next(self.folder.rglob(object_name)).read_bytes()[-1]

    def administrator(self) -> StaffClient:
        """The first account, signed in."""
        client = StaffClient(Transport(self.url))
        client.sign_in(FIRST_USERNAME, self.administrator_password)
        return client

    def employ(self, username: str, display_name: str, *roles: str, department: str = "") -> Person:
        """Open an account and sign it in."""
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        account = StaffAccount(
            username=username, password=password, display_name=display_name, department=department, roles=list(roles)
        )
        member = self.administrator().open_account(account)
        client = StaffClient(Transport(self.url, timeout_s=120.0))
        client.sign_in(username, password)
        return Person(member, client, password)


class Network:
    """The hospitals of the demo over one ledger; leaves no process behind.

    Args:
        witnesses: each hospital also runs a witness, and nodes ask the others' what is fresh.
        ground: the ledger, started and stopped here; by default an embedded one.
        settings: more settings of a hospital's node, by MSP id, without their prefix.
    """

    def __init__(
        self,
        folder: Path,
        names: Mapping[str, str],
        *,
        witnesses: bool = False,
        ground: Ground | None = None,
        settings: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.folder = folder
        self._settings = settings or {}
        self.ground: Ground = ground or EmbeddedGround(folder / "ledger", list(names))
        self._running = ExitStack()
        count = len(names)
        ports = free_ports(2 * count if witnesses else count)
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.hospitals = [
            self._hospital(msp_id, name, ports[at], ports[count + at] if witnesses else None, urls)
            for at, (msp_id, name) in enumerate(names.items())
        ]

    def __enter__(self) -> Self:
        try:
            self._running.enter_context(self.ground)
            for hospital in self.hospitals:
                hospital.start_witness(self.ground)
            for hospital in self.hospitals:
                self._initialise(hospital)
                hospital.start()
            for hospital in self.hospitals:
                hospital.wait_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def genesis(self) -> str:
        """Header hash of block 0, in hex."""
        return self.ground.genesis

    @property
    def place(self) -> str:
        """Where the ledger is, for people."""
        return self.ground.place

    def export(self, folder: Path) -> int:
        """Export all blocks, as an auditor does; give their number."""
        return self.ground.export(folder)

    def connect(self, url: str) -> Transport:
        """How a wallet reaches the hospital of a public address."""
        return Transport(url, timeout_s=WALLET_TIMEOUT_S)

    @property
    def ledger(self) -> Path:
        """Folder of the embedded ledger.

        Raises:
            Invalid: the network stands on another ledger.
        """
        if not isinstance(self.ground, EmbeddedGround):
            raise Invalid("this needs the embedded ledger", reason="ground")
        return self.ground.folder

    def _stop(self) -> None:
        for hospital in self.hospitals:
            hospital.stop()
        self._running.close()

    def _hospital(self, msp_id: str, name: str, port: int, witness_port: int | None, urls: list[str]) -> Hospital:
        folder, password = self.folder / msp_id, secrets.token_urlsafe(_PASSWORD_BYTES)
        settings = {
            "PROFILE": "demo",
            "MSP_ID": msp_id,
            "NAME": name,
            "DATA_DIR": str(folder),
            **self.ground.node_settings(msp_id),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "PORT": str(port),
            "ALLOWED_NODES": " ".join(urls),
            "ACCESS_ANCHOR_INTERVAL_S": "2",
        }
        witness = None
        if witness_port is not None:
            witness = WitnessProcess(
                self.folder / f"{msp_id}-witness", self.ground.witness_options(msp_id), witness_port
            )
            settings |= {
                "WITNESS_KEY_FILE": str(witness.key_file),
                "WITNESS_URL": witness.url,
                "WITNESS_API_URL": witness.url,
                "FRESHNESS": "witnesses",
            }
        settings |= self._settings.get(msp_id, {})
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        environment = inherited | {PREFIX + key: value for key, value in settings.items()}
        return Hospital(msp_id, name, folder, port, environment, password, witness)

    @staticmethod
    def _initialise(hospital: Hospital) -> None:
        initialise(Settings.from_environment(hospital.environment), password=hospital.administrator_password)


def _stop(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; they are taken a moment later."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()
