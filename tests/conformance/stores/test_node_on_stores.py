"""A whole node on the stores that its settings name: refused where they are unsafe, ready as long as enough are up."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from domain.errors import Invalid, Unavailable
from network.embedded.founding import init
from node_service.composition import SystemClock, build, open_blobs
from node_service.node_status import node_status
from node_service.provisioning import initialise
from node_service.records.ingest import ingest_fhir
from node_service.records.scrub import check_objects
from node_service.running import RunningNode
from node_service.settings import Settings
from scripts.kubo import Daemon
from tests.conformance.stores.conftest import TOKEN
from tests.unit.node_service.records.ingesting import RESOURCES, bundle

MSP_ID: Final = "RenjiMSP"
WITHIN_S: Final = 30.0


def settings(folder: Path, **chosen: Any) -> Settings:
    values = {"msp_id": MSP_ID, "name": "Renji", "data_dir": folder / "node", "ledger_dir": folder / "ledger"}
    return Settings.from_environment({}, **values, **chosen)


@pytest.mark.parametrize(
    ("chosen", "place"),
    [
        ({"stores": ()}, "YILIAN_STORES"),
        ({"stores": ("local", "local")}, "YILIAN_STORES"),
        ({"stores": ("local",), "store_quorum": 2}, "YILIAN_STORES"),
        ({"stores": ("nowhere",)}, "YILIAN_STORES"),
        ({"stores": ("ftp://127.0.0.1:5001",)}, "YILIAN_STORES"),
        ({"stores": ("http://127.0.0.1:5001/api",)}, "YILIAN_STORES"),
        ({"stores": ("http://user:word@127.0.0.1:5001",)}, "YILIAN_STORES"),
        ({"stores": ("http://10.0.0.5:5001",)}, "YILIAN_STORES"),
        ({"stores": ("https://ipfs.renji.example",)}, "YILIAN_STORES"),
        ({"stores": ("http://ipfs.renji.example",)}, "YILIAN_STORES"),
        (
            {"stores": ("http://ipfs.renji.example",), "ipfs_token_file": "token", "profile": "pilot"},
            "YILIAN_STORES",
        ),
        ({"stores": ("local",), "ipfs_token_file": "missing"}, "YILIAN_IPFS_TOKEN_FILE"),
        ({"stores": ("local", "http://127.0.0.1:5001"), "ipfs_token_file": "short"}, "YILIAN_IPFS_TOKEN_FILE"),
        ({"stores": ("local",), "ipfs_token_file": "open"}, "YILIAN_IPFS_TOKEN_FILE"),
        ({"stores": ("local",), "ipfs_ca_file": "missing"}, "YILIAN_IPFS_CA_FILE"),
        ({"stores": ("local",), "ipfs_ca_file": "folder"}, "YILIAN_IPFS_CA_FILE"),
        ({"stores": ("local",), "ipfs_ca_file": "empty"}, "YILIAN_IPFS_CA_FILE"),
        ({"stores": ("local",), "ipfs_ca_file": "short"}, "YILIAN_IPFS_CA_FILE"),
    ],
)
def test_stores_that_are_none_or_unsafe_are_refused_by_the_name_of_the_setting(
    tmp_path: Path, token: Path, chosen: dict[str, Any], place: str
) -> None:
    written = {"short": ("short", 0o600), "open": (TOKEN, 0o644), "empty": ("", 0o644)}
    for name, (content, mode) in written.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
    (tmp_path / "folder").mkdir()
    for name in chosen.keys() & {"ipfs_token_file", "ipfs_ca_file"}:
        chosen = {**chosen, name: str(tmp_path / chosen[name])}
    with pytest.raises(Invalid) as caught, ExitStack() as opened:
        open_blobs(settings(tmp_path, **chosen), SystemClock(), opened)
    assert caught.value.place == place
    assert TOKEN not in str(caught.value)


@pytest.fixture
def running(tmp_path: Path, guarded_kubo: Daemon, token: Path) -> Iterator[RunningNode]:
    """A node on its own disk and on IPFS, both of which must have an object."""
    init(tmp_path / "ledger", "yilian", [MSP_ID, "HuashanMSP"], clock=SystemClock(), random=os.urandom)
    chosen = settings(tmp_path, stores=("local", guarded_kubo.url), ipfs_token_file=str(token))
    initialise(chosen)
    with build(chosen) as node:
        yield node


def test_a_node_is_ready_while_enough_stores_are_up_and_goes_on_by_itself(
    running: RunningNode, guarded_kubo: Daemon
) -> None:
    until(lambda: obstacles(running) == [])
    ingest_fhir(running.node, bundle(0), "application/fhir+json", "his")
    assert check_objects(running.node) == []
    digests = set(running.node.blobs.digests())
    assert len(digests) == RESOURCES + 1

    guarded_kubo.strike(signal.SIGKILL)
    with pytest.raises(Unavailable):
        ingest_fhir(running.node, bundle(1), "application/fhir+json", "his")
    until(lambda: obstacles(running) == ["store"])
    status = node_status(running.node)
    assert (status.stores_down, status.store_ready) == (1, False)
    assert check_objects(running.node) == [], "reading goes on"

    guarded_kubo.start(token="of-the-test")
    until(lambda: obstacles(running) == [])
    until(lambda: len(ingest_fhir(running.node, bundle(1), "application/fhir+json", "his").stored) == RESOURCES)
    assert check_objects(running.node) == []
    assert node_status(running.node).store_copies_owed == 0


def obstacles(running: RunningNode) -> list[str]:
    return running.condition.obstacles(running.node.clock.now())


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not _holds(true):
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.05)


def _holds(true: Callable[[], bool]) -> bool:
    try:
        return true()
    except Unavailable:
        return False
