from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from domain.errors import Denied, NotFound, Tampered, Unavailable, YilianError
from node_service.client import exchange_wire, wire
from node_service.client.exchange_client import ExchangeClient

SEARCH = exchange_wire.ExchangeSearch(opening=exchange_wire.Opening(access="a", patient="p"))


class OtherHospital:
    """Answers like another hospital's node, and counts."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.live = {"token-1", "token-2"}
        self._answer = answer
        self._issued = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/exchange/token":
            self._issued += 1
            token = wire.Token(
                access_token=f"token-{self._issued}", token_type="Bearer", expires_in=300, subject="AMSP"
            )
            return httpx.Response(200, content=token.model_dump_json())
        if request.headers["authorization"].removeprefix("Bearer ") not in self.live:
            return httpx.Response(401, json={"title": "x", "status": 401, "reason": "no-session"})
        if self._answer is not None:
            return self._answer(request)
        return httpx.Response(200, json={"items": [], "next": None})

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]


def run(
    hospital: OtherHospital, work: Callable[[ExchangeClient], Awaitable[object]], refuse: YilianError | None = None
) -> object:
    async def address(msp_id: str) -> str:
        if refuse is not None:
            raise refuse
        return f"http://{msp_id.lower()}"

    async def worked() -> object:
        http = httpx.AsyncClient(transport=httpx.MockTransport(hospital), follow_redirects=False)
        client = ExchangeClient("AMSP", "signing-1", lambda message: bytes(64), address, http=http)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(worked())


def test_a_token_is_asked_once_and_used_until_it_ends() -> None:
    hospital = OtherHospital()

    async def twice(client: ExchangeClient) -> None:
        await client.search("BMSP", SEARCH)
        await client.search("BMSP", SEARCH)

    run(hospital, twice)
    assert hospital.paths == ["/exchange/token", "/exchange/search", "/exchange/search"]


def test_a_token_that_the_other_side_forgot_is_asked_anew_once() -> None:
    hospital = OtherHospital()
    hospital.live = {"token-2"}
    run(hospital, lambda client: client.search("BMSP", SEARCH))
    assert hospital.paths == ["/exchange/token", "/exchange/search"] * 2
    hospital.live = set()
    with pytest.raises(Denied):
        run(hospital, lambda client: client.search("BMSP", SEARCH))


def test_a_refused_address_is_never_called() -> None:
    hospital = OtherHospital()
    with pytest.raises(Denied):
        run(hospital, lambda client: client.search("BMSP", SEARCH), Denied("not on the list"))
    assert hospital.requests == []


def test_a_range_longer_than_asked_is_not_taken() -> None:
    hospital = OtherHospital(lambda _request: httpx.Response(206, content=bytes(101)))
    with pytest.raises(Tampered):
        run(hospital, lambda client: client.read_object("BMSP", "a", "d", 0, 100))


def test_a_range_is_asked_by_access_and_bytes() -> None:
    hospital = OtherHospital(lambda _request: httpx.Response(206, content=b"12345"))
    assert run(hospital, lambda client: client.read_object("BMSP", "a", "d", 10, 100)) == b"12345"
    request = hospital.requests[-1]
    assert request.headers["range"] == "bytes=10-109"
    assert request.url.params["access"] == "a"


def test_an_endless_error_is_given_up() -> None:
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield bytes(65536)

    hospital = OtherHospital(lambda _request: httpx.Response(500, stream=Endless()))
    with pytest.raises(Tampered):
        run(hospital, lambda client: client.search("BMSP", SEARCH))


def test_a_redirect_is_an_error_and_not_followed() -> None:
    hospital = OtherHospital(lambda _request: httpx.Response(302, headers={"Location": "http://127.0.0.1:22/"}))
    with pytest.raises(YilianError):
        run(hospital, lambda client: client.search("BMSP", SEARCH))
    assert {request.url.host for request in hospital.requests} == {"bmsp"}


def test_what_the_other_hospital_refuses_keeps_its_kind() -> None:
    hospital = OtherHospital(lambda _request: httpx.Response(404, json={"detail": "nothing", "reason": "not-found"}))
    with pytest.raises(NotFound):
        run(hospital, lambda client: client.search("BMSP", SEARCH))


def test_nobody_there_is_unavailable() -> None:
    def gone(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x")

    with pytest.raises(Unavailable):
        run(OtherHospital(gone), lambda client: client.search("BMSP", SEARCH))


@pytest.mark.parametrize("status", [200, 400])
def test_a_packed_answer_is_not_unpacked(status: int) -> None:
    packed = gzip.compress(b'{"items": [], "next": null}')
    hospital = OtherHospital(lambda _: httpx.Response(status, headers={"Content-Encoding": "gzip"}, content=packed))
    with pytest.raises(Tampered) as refused:
        run(hospital, lambda client: client.search("BMSP", SEARCH))
    assert refused.value.reason == "content-encoding"
    assert {request.headers["accept-encoding"] for request in hospital.requests} == {"identity"}
