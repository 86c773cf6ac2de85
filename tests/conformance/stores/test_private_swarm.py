"""A private swarm between nodes, as docs/operations.md describes it: those with the key fetch, nobody else connects."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import httpx
import pytest

from domain.errors import NotFound
from offchain.stores.ipfs.rpc import KuboRpc
from scripts.kubo import PRIVATE_SWARM, Daemon
from tests.kubo import ipfs_store, need_kubo
from tests.unit.offchain.sealing import sealed_of

WAIT_S: Final = 5.0


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[list[Daemon]]:
    """Three nodes on loopback; the first two have the same key, the third has another."""
    need_kubo()
    keys = [secrets.token_hex(32)] * 2 + [secrets.token_hex(32)]
    with ExitStack() as running:
        nodes = [Daemon(tmp_path / f"node-{number}", PRIVATE_SWARM, is_offline=False) for number in range(3)]
        for node, key in zip(nodes, keys, strict=True):
            node.initialise()
            (node.folder / "swarm.key").write_text(f"/key/swarm/psk/1.0.0/\n/base16/\n{key}\n")
            (node.folder / "swarm.key").chmod(0o600)
            running.callback(node.stop)
            node.start()
        yield nodes


def test_a_node_with_the_key_fetches_a_sealed_object_and_one_without_does_not_connect(
    swarm: list[Daemon], tmp_path: Path
) -> None:
    first, second, stranger = swarm
    one = sealed_of(2_500_000)
    with closing(ipfs_store(first.url, tmp_path / "store")) as store, closing(KuboRpc(first.url)) as rpc:
        store.put(one)
        (cid,) = rpc.pins(f"yilian/{str(tmp_path / 'store')[-100:]}")
    address = first.addresses()[0]
    assert connects(second, address)
    assert not connects(stranger, address)
    assert fetched(second, cid) == one.data
    with pytest.raises(httpx.HTTPError):
        fetched(stranger, cid)


def test_a_store_asks_no_other_node_for_what_it_misses(swarm: list[Daemon], tmp_path: Path) -> None:
    first, second, _ = swarm
    one = sealed_of(2_500_000)
    with closing(ipfs_store(first.url, tmp_path / "store")) as store, closing(KuboRpc(first.url)) as rpc:
        store.put(one)
        (cid,) = rpc.pins(f"yilian/{str(tmp_path / 'store')[-100:]}")
    assert connects(second, first.addresses()[0])
    with closing(KuboRpc(second.url)) as rpc, pytest.raises(NotFound):
        rpc.cat(cid, 0, 100)


def connects(node: Daemon, address: str) -> bool:
    answer = httpx.post(
        f"{node.url}/api/v0/swarm/connect", params={"arg": address}, timeout=2 * WAIT_S, trust_env=False
    )
    return answer.status_code == 200


def fetched(node: Daemon, cid: str) -> bytes:
    """By the node's own means, from whoever it is connected to."""
    answer = httpx.post(f"{node.url}/api/v0/cat", params={"arg": cid}, timeout=WAIT_S, trust_env=False)
    return answer.raise_for_status().content
