"""Kubo behind a proxy by https, with a certificate of the hospital's own authority: it streams, and tells no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import pytest

from domain.errors import NotFound, Unavailable
from node_service.client.authorities import read_authorities
from node_service.composition import SystemClock, open_blobs
from offchain.stores import SealedStore
from offchain.stores.ipfs.rpc import KuboRpc
from scripts.kubo import Daemon
from tests.conformance.stores.conftest import TOKEN
from tests.conformance.stores.test_node_on_stores import settings
from tests.tls_proxy import TlsProxy, tls_proxy
from tests.unit.chaincode.service.test_tls import Side
from tests.unit.offchain.sealing import sealed_of

LARGE: Final = 2_500_000
PIECE_BYTES: Final = 1 << 20
PIECES: Final = 64


@pytest.fixture
def proxy(guarded_kubo: Daemon, tmp_path: Path) -> Iterator[TlsProxy]:
    """Beside its certificate, the files of two authorities: ``own`` and ``other``."""
    side = Side.make("Renji")
    (tmp_path / "own").write_bytes(side.authority.certificate_pem())
    (tmp_path / "other").write_bytes(Side.make("Huashan").authority.certificate_pem())
    with tls_proxy(guarded_kubo.url, side.write(tmp_path, None), "/api/v0/") as started:
        yield started


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def open_over(url: str, folder: Path, token: Path, authorities: str, opened: ExitStack) -> SealedStore:
    """The store of a node that names this authority; none: the public ones."""
    ca_file = str(folder / authorities) if authorities else ""
    chosen = settings(folder, stores=(url,), ipfs_token_file=str(token), ipfs_ca_file=ca_file, profile="production")
    return open_blobs(chosen, SystemClock(), opened)


def test_a_store_works_over_https_with_the_hospitals_own_authority(
    proxy: TlsProxy, tmp_path: Path, token: Path, opened: ExitStack
) -> None:
    store = open_over(proxy.url, tmp_path, token, "own", opened)
    small, large = [sealed_of() for _ in range(20)], sealed_of(LARGE)
    store.put_many(small)
    store.put(large)
    assert store.report().ready
    for one in (*small, large):
        with store.get(one.digest) as found:
            assert found.whole().data == one.data
    assert store.get_range(large.digest, 1_048_000, 2_000) == large.data[1_048_000:1_050_000]
    assert store.delete_many([small[0].digest, large.digest]) == 2
    for gone in (small[0], large):
        with pytest.raises(NotFound):
            store.verify(gone.digest)
    assert sorted(store.digests()) == sorted(one.digest for one in small[1:])
    assert not store.settle()
    assert proxy.tokens == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("authorities", "host"), [("other", "127.0.0.1"), ("", "127.0.0.1"), ("own", "localhost")],
    ids=["another authority", "the public authorities", "another name"],
)  # fmt: skip
def test_a_certificate_that_is_not_trusted_is_unavailable_and_is_not_told_the_token(
    proxy: TlsProxy, tmp_path: Path, token: Path, opened: ExitStack, authorities: str, host: str
) -> None:
    store = open_over(f"https://{host}:{proxy.port}", tmp_path, token, authorities, opened)
    for call in (lambda: store.put(sealed_of()), lambda: store.put_many([sealed_of()]), lambda: list(store.digests())):
        with pytest.raises(Unavailable) as caught:
            call()
        assert caught.value.reason == "ipfs-certificate"
    assert not store.report().ready
    assert store.settle(), "it is down"
    assert proxy.tokens == set()


def test_bytes_go_through_in_both_directions_as_they_come(proxy: TlsProxy, tmp_path: Path) -> None:
    arrived = list[int]()

    def pieces() -> Iterator[bytes]:
        for _ in range(PIECES):
            yield bytes(PIECE_BYTES)
            arrived.append(proxy.taken_bytes)

    with closing(KuboRpc(proxy.url, TOKEN, trusted=read_authorities(str(tmp_path / "own")))) as rpc:
        cid = rpc.add(pieces(), "yilian/test")
        assert arrived[PIECES // 2] > 0, "the first bytes are there before the last are made"
        stream = rpc.stream(cid)
        next(stream)
        assert proxy.given_bytes < PIECES * PIECE_BYTES, "what nobody has asked for yet is not sent"
        assert sum(len(piece) for piece in stream) < PIECES * PIECE_BYTES <= proxy.given_bytes
        assert rpc.unpin(cid)
