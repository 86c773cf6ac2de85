"""Kubo daemons for tests, and the IPFS store over them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from offchain.stores.ipfs.rpc import KuboRpc, Waits
from offchain.stores.ipfs.store import IpfsStore
from scripts.kubo import Daemon, KuboMissing, kubo_program
from scripts.kubo import kubo as running

IMPATIENT: Final = Waits(ask_s=2.0, call_s=3.0, collect_s=30.0)
"""For daemons that a test suspends."""


@contextmanager
def daemon(folder: Path) -> Iterator[Daemon]:
    """A running daemon of its own."""
    need_kubo()
    with running(folder) as started:
        yield started


def need_kubo() -> None:
    """Without Kubo a test is skipped, but never in CI."""
    try:
        kubo_program()
    except KuboMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that many tests share; each has stores with pin names of their own."""
    with daemon(tmp_path_factory.mktemp("kubo")) as started:
        yield started


@pytest.fixture(scope="session")
def other_kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A second one, for stores that lie on two."""
    with daemon(tmp_path_factory.mktemp("other-kubo")) as started:
        yield started


def ipfs_store(url: str, folder: Path, waits: Waits | None = None) -> IpfsStore:
    """A store whose pins are named by its folder."""
    return IpfsStore(KuboRpc(url, waits=waits), folder, name=str(folder)[-100:])
