"""Witnesses, members files, receipts and forks on the command line, from the founding of a ledger on."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from typer.testing import CliRunner

from domain.entries import OrganizationEntry
from domain.errors import Conflict, Invalid, NotFound, Tampered, Unavailable
from domain.receipt_form import Members, parse_members
from domain.witness_key import parse_witness_key
from network.fabric.connection import Connection, PeerAddress
from network.verifier.report import VerifiedBlock
from network.witness.folder import WitnessIdentity, load
from network.witness.http import build_app
from tests.unit.domain import receipt_vectors
from tests.unit.domain.receipt_vectors import ACCESS
from tests.unit.network.witness.conftest import CHANNEL, World, registration
from tests.unit.network.witness.conftest import members as members_fixture
from tests.unit.network.witness.conftest import world as world_fixture
from yilian.language import text
from yilian.main import build
from yilian.registry_members import Registry

APP = build(text("en"))
RUNNER = CliRunner()
members, world = members_fixture, world_fixture


def run(*arguments: str | Path) -> str:
    """The output of a command that succeeds."""
    shown = RUNNER.invoke(APP, [str(item) for item in arguments])
    if shown.exception is not None and not isinstance(shown.exception, SystemExit):
        raise shown.exception
    assert shown.exit_code == 0, shown.output
    return shown.output


def test_a_witness_is_made_once_with_a_key_that_only_it_reads(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "witness"
    shown = run("witness", "init", folder, "--msp", "AMSP", "--ledger", world.ledger)
    public = parse_witness_key((folder / "witness-key.json").read_bytes())
    assert public.verifier_key() in shown
    assert (public.channel, public.msp) == (CHANNEL, "AMSP")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "witness.key").stat().st_mode) == 0o600
    identity, key = load(folder)
    assert public.raw == key.public
    assert repr(key) == "WitnessKey()"
    assert identity.contract == "yilian"
    assert public.verifier_key() in run("witness", "show", folder)
    with pytest.raises(Conflict):
        run("witness", "init", folder, "--msp", "AMSP", "--ledger", world.ledger)
    with pytest.raises(NotFound):
        run("witness", "show", tmp_path)


def test_a_witness_of_a_fabric_channel_takes_channel_and_hospital_from_the_connection_file(tmp_path: Path) -> None:
    peer = PeerAddress("AMSP", "127.0.0.1:7051", tmp_path / "ca.pem")
    file, folder = tmp_path / "connection.json", tmp_path / "witness"
    file.write_bytes(Connection("c", "care", "ab" * 32, "AMSP", tmp_path / "c", tmp_path / "k", peer).encode())
    run("witness", "init", folder, "--fabric", file)
    assert load(folder)[0] == WitnessIdentity("c", "care", "ab" * 32, "AMSP")
    other = tmp_path / "other"
    refused: list[tuple[str | Path, ...]] = [
        ("init", other, "--fabric", file, "--msp", "BMSP"),
        ("init", other, "--fabric", file, "--ledger", tmp_path),
        ("init", other),
        ("init", other, "--ledger", tmp_path),
        ("run", folder),
        ("run", folder, "--fabric", file, "--ledger", tmp_path),
    ]
    for arguments in refused:
        with pytest.raises(Invalid):
            run("witness", *arguments)
    assert not other.exists()


@pytest.mark.parametrize("arguments", [("a",), ("a", "b", "--fabric", "c"), ("a", "b", "c")])
def test_an_export_is_of_one_ledger_into_one_folder(arguments: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        run("audit", "export", *arguments)


def test_a_genesis_from_elsewhere_is_kept(world: World, tmp_path: Path) -> None:
    run("witness", "init", tmp_path / "w", "--msp", "AMSP", "--ledger", world.ledger, "--genesis", "ab" * 32)
    assert load(tmp_path / "w")[0].genesis == "ab" * 32
    with pytest.raises(Invalid):
        run("witness", "init", tmp_path / "v", "--msp", "AMSP", "--ledger", world.ledger, "--genesis", "xy")


def test_the_members_file_comes_from_the_verified_registry(world: World, tmp_path: Path, members: Members) -> None:
    run("audit", "export", world.ledger, tmp_path / "export")
    run("audit", "members", tmp_path / "export", "--out", tmp_path / "members.json")
    assert parse_members((tmp_path / "members.json").read_bytes()) == members
    with pytest.raises(Tampered):
        run("audit", "members", tmp_path / "export", "--genesis", "ab" * 32)


def test_who_publishes_anothers_witness_key_does_not_have_its_signatures() -> None:
    registry = Registry("yilian")
    for msp_id in ("AMSP", "BMSP"):
        registry._enter(msp_id, OrganizationEntry("active", "https://x.example", registration("AMSP").keys))
    registry._enter("LeftMSP", OrganizationEntry("left", "https://x.example", registration("CMSP").keys))
    found = registry.members(CHANNEL, "fabric", "2026-03-01T12:00:00Z")
    assert [(member.msp, len(member.witness)) for member in found.members] == [("AMSP", 1), ("BMSP", 0)]


def test_who_left_the_channel_is_no_member_whatever_it_published() -> None:
    registry = Registry("yilian")
    for msp_id in ("AMSP", "BMSP", "CMSP"):
        registry._enter(msp_id, OrganizationEntry("active", "https://x.example", registration(msp_id).keys))
    for present in (("AMSP", "BMSP", "CMSP"), ("AMSP", "CMSP")):
        registry.take(VerifiedBlock(7, bytes(32), bytes(32), (), (), 1, present, 0))
        assert tuple(one.msp for one in registry.members(CHANNEL, "fabric", "2026-03-01T12:00:00Z").members) == present


@pytest.mark.parametrize(
    ("signers", "party", "error"),
    [((), None, None), (("CMSP",), None, Unavailable), (("CMSP", "DMSP"), "DMSP", Unavailable)],
)
def test_a_receipt_is_verified_offline(
    tmp_path: Path, signers: tuple[str, ...], party: str | None, error: type[Exception] | None
) -> None:
    receipt, file = tmp_path / "receipt.json", tmp_path / "members.json"
    receipt.write_bytes(receipt_vectors.world().receipt(ACCESS, *signers).encode())
    file.write_bytes(receipt_vectors.members().encode())
    options = ["--party", party] if party else []
    command: list[str | Path] = ["audit", "verify-receipt", receipt, "--members", file, *options]
    if error is None:
        assert "Verified" in run(*command)
        shown = json.loads(run(*command, "--json"))
        assert (shown["block"], shown["required"], shown["single_operator"]) == (7, 2, False)
        receipt.write_bytes(receipt.read_bytes().replace(b'"size":11', b'"size":12'))
        error = Tampered
    with pytest.raises(error):
        run(*command)


@contextmanager
def served(witness: object) -> Iterator[str]:
    """A witness behind a server on a free port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(build_app(witness), log_config=None, lifespan="off")  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def test_witnesses_are_compared_and_a_split_view_leaves_a_proof(world: World, members: Members, tmp_path: Path) -> None:
    file, proof = tmp_path / "members.json", tmp_path / "fork.json"
    file.write_bytes(members.encode())
    fork = world.fork()
    world.submit("AMSP", "https://one.example")
    world.submit("AMSP", "https://other.example", ledger=fork)
    witnesses = [world.followed("AMSP"), world.followed("CMSP"), world.followed("BMSP", ledger=fork)]
    with served(witnesses[0]) as first, served(witnesses[1]) as second, served(witnesses[2]) as split:
        assert "CMSP 6" in run("witness", "compare", first, second, "--members", file, "--out", proof)
        with pytest.raises(Tampered, match="two ledgers"):
            run("witness", "compare", first, second, split, "--members", file, "--out", proof)
        with pytest.raises(Unavailable):
            run("witness", "compare", first, "http://127.0.0.1:1", "--members", file)
    assert "Proven" in run("audit", "verify-fork", proof, "--members", file)
    for name, witness in (("a.note", witnesses[0]), ("b.note", witnesses[2]), ("c.note", witnesses[1])):
        (tmp_path / name).write_text(witness.note().text())
    run("audit", "fork", tmp_path / "a.note", tmp_path / "b.note", "--members", file, "--out", tmp_path / "own.json")
    assert "Proven" in run("audit", "verify-fork", tmp_path / "own.json", "--members", file)
    with pytest.raises(Tampered, match="agree"):
        run("audit", "fork", tmp_path / "a.note", tmp_path / "c.note", "--members", file)
    (tmp_path / "d.note").write_text(witnesses[2].note(5).text())
    with pytest.raises(Invalid, match="different sizes"):
        run("audit", "fork", tmp_path / "a.note", tmp_path / "d.note", "--members", file)


@contextmanager
def running(world: World, folder: Path) -> Iterator[tuple[httpx.Client, int]]:
    """A witness of A as a process of its own, from the first answer on."""
    run("witness", "init", folder, "--msp", "AMSP", "--ledger", world.ledger)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    options = [str(folder), "--ledger", str(world.ledger), "--port", str(port)]
    command = [sys.executable, "-m", "yilian", "witness", "run", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                waited(http, 5)
                yield http, port
        finally:
            process.terminate()
            assert process.wait(10) in (0, -15)


@pytest.mark.slow
def test_a_witness_runs_as_a_process_follows_and_stops_in_order(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path / "witness") as (http, _):
        assert waited(http, 5) == {"channel": CHANNEL, "msp": "AMSP", "size": 5, "alarm": None}
        world.submit("AMSP", "https://new.example")
        assert waited(http, 6)["size"] == 6
    assert "6" in run("witness", "show", tmp_path / "witness")


def waited(http: httpx.Client, size: int) -> dict[str, object]:
    """The witness's health once it has verified so many blocks."""
    deadline = time.monotonic() + 30
    while True:
        try:
            found: dict[str, object] = http.get("/health").json()
            if found["size"] == size:
                return found
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_head_that_never_ends_is_given_up(world: World, tmp_path: Path) -> None:
    """Endless heads of many senders would take a witness's memory and connections, and with them every release."""
    with (
        running(world, tmp_path / "witness") as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as sender,
    ):
        sender.sendall(b"GET /health HTTP/1.1\r\nHost: w\r\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_for_ever(sender, b"X-Long: " + b"a" * 1000 + b"\r\n")


def send_for_ever(sender: socket.socket, line: bytes) -> None:
    """Ten megabytes of one line."""
    for _ in range(10_000):
        sender.sendall(line)
