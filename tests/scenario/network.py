"""Three hospitals on one embedded ledger, each a real server on the loopback interface."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import uvicorn

from domain.identifiers import identifier
from domain.instants import instant
from network.embedded.founding import init
from node_service.client import wire
from node_service.client.node_client import StaffClient
from node_service.client.shared_client import SharedClient
from node_service.client.transport import Transport
from node_service.composition import SystemClock, build
from node_service.database.account_models import AccessToken, Staff
from node_service.provisioning import initialise
from node_service.running import RunningNode
from node_service.serving import server
from node_service.settings import Settings

PASSWORD = "correct horse battery staple"
MEMBERS = {"RenheMSP": "仁和医院", "TongjiMSP": "同济医院", "MingdeMSP": "明德医院"}
STAFF = {
    "dr": ["clinician"],
    "nurse": ["nurse"],
    "registrar": ["registrar"],
    "archive": ["medical-records"],
    "engine": ["system"],
    "privacy": ["privacy-officer"],
    "auditor": ["audit-administrator"],
}


@dataclass
class Hospital:
    """One running hospital and clients of its staff."""

    settings: Settings
    running: RunningNode
    server: uvicorn.Server
    thread: threading.Thread
    _clients: dict[str, StaffClient] = field(default_factory=dict)

    @property
    def msp_id(self) -> str:
        return self.settings.msp_id

    @property
    def url(self) -> str:
        return self.settings.public_url

    def staff(self, username: str) -> StaffClient:
        """A signed-in client; accounts are opened by the administrator on first use."""
        if username not in self._clients:
            if username != "administrator":
                administrator = self.staff("administrator")
                if username not in {member.username for member in administrator.staff()}:
                    administrator.open_account(
                        wire.StaffAccount(
                            username=username,
                            password=PASSWORD,
                            display_name=f"{username} 测试",
                            department="Cardiology",
                            roles=STAFF[username],
                        )
                    )
            client = StaffClient(Transport(self.url))
            client.sign_in(username, PASSWORD)
            self._clients[username] = client
        return self._clients[username]

    def session_of(self, roles: list[str]) -> str:
        """The token of a fresh account's session, put straight into the database: passwords cost a second each."""
        node, text, staff = self.running.node, f"yst_{os.urandom(8).hex()}", identifier(os.urandom(16))
        until = node.clock.now() + timedelta(minutes=self.settings.staff_session_minutes)
        sealed = {
            column: node.secrets.seal_local(["staff", column, staff], b"Test", os.urandom)
            for column in ("display_name", "department")
        }
        account = Staff(
            id=staff, username=f"u-{text}", password_hash="-", roles=roles, created_at="", active=True, failures=0,
            **sealed,
        )  # fmt: skip
        token_hash = hashlib.sha256(text.encode()).digest()
        with node.database.transaction() as session:
            session.add(account)
            session.add(AccessToken(token_hash=token_hash, kind="staff", subject=staff, expires_at=instant(until)))
        return text

    @property
    def clinician(self) -> SharedClient:
        """Shared reading as a clinician."""
        return SharedClient(self.staff("dr"))

    def stop(self) -> None:
        """Stop the server and its background work."""
        for client in self._clients.values():
            client.transport.close()
        self._clients.clear()
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive(), "the server did not stop in time"


@contextmanager
def consortium(directory: Path, **changes: object) -> Iterator[dict[str, Hospital]]:
    """Found a ledger, make the hospitals, serve them; stop them at the end."""
    init(directory / "ledger", "yilian", list(MEMBERS), clock=SystemClock(), random=os.urandom)
    hospitals: dict[str, Hospital] = {}
    try:
        for msp_id, name in MEMBERS.items():
            settings = make_settings(directory, msp_id, name, **changes)
            initialise(settings, password=PASSWORD)
            hospitals[msp_id] = serve(settings)
        yield hospitals
    finally:
        for hospital in hospitals.values():
            hospital.stop()


def make_settings(directory: Path, msp_id: str, name: str, **changes: object) -> Settings:
    """Settings of one hospital on a free port; its staff stay signed in while other files' tests run."""
    port = _free_port()
    return Settings.from_environment(
        {},
        msp_id=msp_id,
        name=name,
        data_dir=directory / msp_id,
        ledger_dir=directory / "ledger",
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        access_anchor_interval_s=0.3,
        staff_session_minutes=720,
        **changes,
    )


def serve(settings: Settings) -> Hospital:
    """Serve a hospital in a thread."""
    running = build(settings)
    serving = server(running)
    thread = threading.Thread(target=serving.run, name=f"server-{settings.msp_id}")
    thread.start()
    eventually(lambda: serving.started or not thread.is_alive())
    assert serving.started
    return Hospital(settings, running, serving, thread)


def eventually(condition: object, timeout_s: float = 20.0) -> None:
    """Wait until the condition holds; what real servers and threads do takes its time."""
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
