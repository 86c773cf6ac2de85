"""Everything that calls a node or a witness: whose certificates count, and that nobody else is told anything."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import NotFound, Unavailable
from network.witness.client import WitnessClient as ComparedWitness
from node_service.client import exchange_wire
from node_service.client.authorities import read_authorities
from node_service.client.exchange_client import ExchangeClient
from node_service.client.node_client import StaffClient
from node_service.client.transport import Transport
from node_service.client.witness_client import Questions, WitnessClient
from tests.tls_proxy import TlsProxy, tls_proxy
from tests.unit.chaincode.service.test_tls import NOW, Side

Call = Callable[[str, ssl.SSLContext | None], None]
SEARCH = exchange_wire.ExchangeSearch(opening=exchange_wire.Opening(access="a", patient="p"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TlsProxy]:
    """Answers 404 to whatever comes. Beside its certificate, the files of two authorities: ``own`` and ``other``."""
    (tmp_path / "other").write_bytes(Side.make("Huashan").authority.certificate_pem())
    with serving(tmp_path, NOW) as started:
        yield started


@contextmanager
def serving(folder: Path, at: datetime) -> Iterator[TlsProxy]:
    """A server whose certificate, of the authority in the file ``own``, is for the day after this moment."""
    side = Side.make("Renji", at)
    (folder / "own").write_bytes(side.authority.certificate_pem())
    with tls_proxy("http://127.0.0.1:9", side.write(folder, None), prefix="/nothing") as started:
        yield started


def another_hospitals_node(url: str, trusted: ssl.SSLContext | None) -> None:
    async def address(_msp_id: str) -> str:
        return url

    async def ask() -> None:
        client = ExchangeClient("AMSP", "signing-1", lambda _message: bytes(64), address, trusted=trusted)
        try:
            await client.search("BMSP", SEARCH)
        finally:
            await client.close()

    asyncio.run(ask())


def another_hospitals_witness(url: str, trusted: ssl.SSLContext | None) -> None:
    async def ask() -> None:
        questions = Questions(trusted=trusted)
        try:
            await questions.ask(url, "a" * 26)
        finally:
            await questions.close()

    asyncio.run(ask())


def a_witness_for_receipts(url: str, trusted: ssl.SSLContext | None) -> None:
    with closing(WitnessClient(Transport(url, trusted=trusted))) as client:
        client.health()


def a_witness_to_compare(url: str, trusted: ssl.SSLContext | None) -> None:
    with closing(ComparedWitness(url, trusted=trusted)) as client:
        client.note()


def a_node_from_the_command_line(url: str, trusted: ssl.SSLContext | None) -> None:
    with StaffClient(Transport(url, trusted=trusted)) as client:
        client.sign_in("doctor", "a password of this test")


@pytest.fixture(
    params=[
        another_hospitals_node,
        another_hospitals_witness,
        a_witness_for_receipts,
        a_witness_to_compare,
        a_node_from_the_command_line,
    ],
    ids=lambda call: call.__name__,
)
def call(request: pytest.FixtureRequest) -> Call:
    made: Call = request.param
    return made


def test_a_certificate_of_the_chosen_authority_is_trusted(server: TlsProxy, tmp_path: Path, call: Call) -> None:
    with pytest.raises(NotFound):
        call(server.url, read_authorities(str(tmp_path / "own")))
    assert server.tokens


@pytest.mark.parametrize(
    ("authorities", "host"), [("other", "127.0.0.1"), ("", "127.0.0.1"), ("own", "localhost")],
    ids=["another authority", "the public authorities", "another name"],
)  # fmt: skip
def test_who_has_another_certificate_is_named_so_and_told_nothing(
    server: TlsProxy, tmp_path: Path, call: Call, authorities: str, host: str
) -> None:
    trusted = read_authorities(str(tmp_path / authorities) if authorities else "")
    check_refused(call, server, f"https://{host}:{server.port}", trusted)


@pytest.mark.parametrize("at", [NOW - timedelta(days=2), NOW + timedelta(days=1)], ids=["expired", "not valid yet"])
def test_a_certificate_out_of_its_time_is_named_so_and_its_server_told_nothing(
    tmp_path: Path, call: Call, at: datetime
) -> None:
    """Of the chosen authority, and for this name."""
    with serving(tmp_path, at) as server:
        check_refused(call, server, server.url, read_authorities(str(tmp_path / "own")))


def check_refused(call: Call, server: TlsProxy, url: str, trusted: ssl.SSLContext | None) -> None:
    with pytest.raises(Unavailable) as caught:
        call(url, trusted)
    assert caught.value.reason == "https-certificate"
    assert "certificate" in caught.value.detail
    assert server.tokens == set()


def test_a_server_that_is_not_there_is_something_else(call: Call, tmp_path: Path, server: TlsProxy) -> None:
    trusted = read_authorities(str(tmp_path / "own"))
    with pytest.raises(Unavailable) as caught:
        call("https://127.0.0.1:9", trusted)
    assert caught.value.reason in ("no-answer", "witness")
    assert server.tokens == set()
