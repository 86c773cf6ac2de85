from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

import httpx
import pytest

from domain.errors import Denied, OutcomeUnknown, Tampered, Unavailable
from node_service.client.node_client import StaffClient
from node_service.client.transport import SENT_BYTES, Transport
from node_service.client.wallet_client import WalletClient

Handler = Callable[[httpx.Request], httpx.Response]


def transport(handler: Handler) -> Transport:
    return Transport("http://node/", http=httpx.Client(transport=httpx.MockTransport(handler)))


def token(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(
        201, json={"access_token": "yst_x", "token_type": "Bearer", "expires_in": 900, "subject": "s", "roles": []}
    )


def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(307, headers={"Location": "http://169.254.169.254/"})

    with pytest.raises(Exception, match="307"):
        transport(redirect).call("GET", "/hospital")
    assert asked == ["http://node/hospital"]


def test_an_endless_answer_is_given_up() -> None:
    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield bytes(1024)

    with pytest.raises(Tampered):
        transport(lambda _request: httpx.Response(200, stream=Endless())).call("GET", "/x", max_bytes=10_000)


def test_an_answer_that_drips_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 10_000, 10))
    monkeypatch.setattr("node_service.client.transport.time.monotonic", lambda: float(next(ticks)))

    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x"

    with pytest.raises(Unavailable):
        transport(lambda _request: httpx.Response(200, stream=Drip())).call("GET", "/x", timeout_s=30)


def test_a_lost_answer_to_a_post_is_an_unknown_outcome() -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("x")

    with pytest.raises(OutcomeUnknown):
        transport(fail).call("POST", "/wallet/statements", body=b"{}")


def test_without_a_session_nothing_is_sent() -> None:
    def unexpected(_request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing may be sent")

    with pytest.raises(Denied):
        StaffClient(transport(unexpected)).status()
    with pytest.raises(Denied):
        WalletClient(transport(unexpected), bytes(32), lambda message: message).records()


def test_the_token_travels_in_the_header_only() -> None:
    seen: list[httpx.Request] = []

    def node(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return token(request) if request.url.path == "/api/staff/sessions" else httpx.Response(200, json=[])

    client = StaffClient(transport(node))
    client.sign_in("dr", "secret password")
    client.notices()
    assert seen[1].headers["authorization"] == "Bearer yst_x"
    assert "yst_x" not in str(seen[1].url)
    assert "authorization" not in seen[0].headers


def test_query_parameters_that_are_none_are_left_out() -> None:
    seen: list[httpx.Request] = []

    def node(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return token(request) if request.method == "POST" else httpx.Response(200, json={"items": [], "next": None})

    client = StaffClient(transport(node))
    client.sign_in("dr", "secret password")
    client.patients(limit=5)
    assert str(seen[1].url) == "http://node/api/patients?limit=5"


def test_a_packed_answer_is_not_unpacked() -> None:
    """A thousand bytes may unfold to a million in one piece, before any bound is looked at."""
    asked: list[str] = []

    def bomb(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["accept-encoding"])
        return httpx.Response(
            200, headers={"Content-Encoding": "gzip, gzip"}, content=gzip.compress(gzip.compress(b""))
        )

    with pytest.raises(Tampered) as refused:
        transport(bomb).call("GET", "/x")
    assert (asked, refused.value.reason) == (["identity"], "content-encoding")


def test_a_long_body_is_sent_in_pieces_with_its_length() -> None:
    pieces: list[int] = []
    body = bytes(range(256)) * 4096

    class Receiver(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            assert isinstance(request.stream, httpx.SyncByteStream)
            received = list(request.stream)
            pieces.extend(map(len, received))
            assert b"".join(received) == body
            assert request.headers["content-length"] == str(len(body))
            assert "transfer-encoding" not in request.headers
            return httpx.Response(200)

    client = Transport("http://node/", http=httpx.Client(transport=Receiver()))
    client.call("POST", "/api/ingest/fhir", body=body)
    assert max(pieces) == SENT_BYTES
