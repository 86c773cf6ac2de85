"""Kubo's answers, also those of one that lies: bounded, translated, and never believed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from domain.errors import Invalid, NotFound, Tampered, Unavailable, YilianError
from offchain.stores.ipfs.rpc import MAX_ANSWER_BYTES, KuboRpc, Waits, check_address

URL = "http://127.0.0.1:5001"
TOKEN = "a-token-of-this-test-alone"
CID = "bafkreidwyyoygduam23o2mc3kfsrdyuhyg5gemsbjihun4a7u3n47jjrmm"


class Endless(httpx.SyncByteStream):
    def __init__(self, piece: bytes) -> None:
        self.piece = piece

    def __iter__(self) -> Iterator[bytes]:
        return itertools.repeat(self.piece)


def rpc(answer: httpx.Response | Callable[[httpx.Request], httpx.Response], **options: Any) -> KuboRpc:
    handler = answer if callable(answer) else lambda _: answer
    return KuboRpc(URL, transport=httpx.MockTransport(handler), **options)


def refusal(message: str) -> httpx.Response:
    return httpx.Response(500, json={"Message": message, "Code": 0, "Type": "error"})


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (refusal("block was not found locally (offline): ipld: could not find bafk"), NotFound, "no-object"),
        (refusal("write /blocks/X: no space left on device"), Unavailable, "disk-full"),
        (refusal("block in storage has different hash than requested"), Tampered, "block-altered"),
        (refusal("failed to decode: proto: wrong wireType"), Tampered, "block-altered"),
        (refusal("context deadline exceeded"), Unavailable, "ipfs"),
        (refusal("unexpected EOF"), Unavailable, "ipfs"),
        (httpx.Response(401), Unavailable, "ipfs-denied"),
        (httpx.Response(403, text="403 - Forbidden"), Unavailable, "ipfs-denied"),
        (httpx.Response(404), Unavailable, "ipfs"),
        (httpx.Response(302, headers={"Location": "http://127.0.0.1:1/"}), Unavailable, "ipfs"),
        (httpx.Response(500, text="no JSON"), Unavailable, "ipfs"),
        (httpx.Response(500, json=["no object"]), Unavailable, "ipfs"),
        (httpx.Response(500, stream=Endless(bytes(1 << 16))), Unavailable, "ipfs"),
        (httpx.Response(200, content=bytes(101)), Tampered, "ipfs-answer"),
        (httpx.Response(200, stream=Endless(bytes(10))), Tampered, "ipfs-answer"),
    ],
)
def test_what_kubo_answers_to_a_read_says_what_the_caller_can_do(
    answer: httpx.Response, error: type[YilianError], reason: str
) -> None:
    with pytest.raises(error) as caught:
        rpc(answer).cat(CID, 0, 100)
    assert caught.value.reason == reason
    assert CID not in str(caught.value)


def test_a_short_answer_is_given_as_it_is_and_nothing_is_asked_for_no_bytes() -> None:
    assert rpc(httpx.Response(200, content=b"ab")).cat(CID, 0, 100) == b"ab"
    assert rpc(httpx.Response(500)).cat(CID, 0, 0) == b""


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.WriteError, httpx.RemoteProtocolError])
def test_a_connection_that_fails_is_unavailable(error: type[httpx.TransportError]) -> None:
    def fails(_: httpx.Request) -> httpx.Response:
        raise error("failed")

    calls: list[Callable[[KuboRpc], object]] = [
        KuboRpc.version,
        KuboRpc.collect,
        lambda kubo: kubo.add([b"a"], "pin"),
        lambda kubo: kubo.cat(CID, 0, 1),
        lambda kubo: list(kubo.stream(CID)),
        lambda kubo: list(kubo.pins("pin")),
        lambda kubo: kubo.unpin(CID),
        lambda kubo: kubo.has(CID),
    ]
    for call in calls:
        with pytest.raises(Unavailable):
            call(rpc(fails))


def test_an_answer_that_drips_is_given_up_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr("offchain.stores.ipfs.rpc.time.monotonic", lambda: float(next(seconds)))
    with pytest.raises(Unavailable) as caught:
        rpc(httpx.Response(200, stream=Endless(b"a")), waits=Waits(call_s=20)).cat(CID, 0, 1 << 20)
    assert "slowly" in caught.value.detail


def test_every_call_is_a_post_with_the_token_and_reads_ask_this_node_alone() -> None:
    seen = list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        seen.append(request)
        if request.url.path.endswith("/add"):
            return httpx.Response(200, json={"Name": "object", "Hash": CID, "Size": "3"})
        return httpx.Response(200, content=b"{}")

    kubo = rpc(answer, token=TOKEN)
    kubo.version()
    assert kubo.add([b"ab", memoryview(b"c")], "yilian/A") == CID
    kubo.cat(CID, 5, 2)
    list(kubo.stream(CID))
    kubo.has(CID)
    kubo.unpin(CID)
    list(kubo.pins("yilian/A"))
    kubo.collect()
    assert {request.method for request in seen} == {"POST"}
    assert {request.headers["authorization"] for request in seen} == {f"Bearer {TOKEN}"}
    reads = [request for request in seen if request.url.path.rsplit("/", 1)[1] in ("cat", "stat")]
    assert all(request.url.params.get("offline") == "true" for request in reads if "arg" in request.url.params)
    (added,) = (request for request in seen if request.url.path.endswith("/add"))
    assert b"abc" in added.content
    assert dict(added.url.params)["pin-name"] == "yilian/A"
    assert TOKEN not in repr(kubo)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"Hash": 1}', b'["Hash"]', b'{"Hash": "a"}\n{"Hash": "b"}', b"\xff", b"a" * (1 << 20)]
)
def test_an_add_that_does_not_say_what_it_added_stores_nothing(body: bytes) -> None:
    with pytest.raises(Unavailable):
        rpc(httpx.Response(200, content=body)).add([b"a"], "pin")


@pytest.mark.parametrize("piece", [b"a" * 1000, b'{"Name":"other","Cid":"x"}', b" " * 1000])
def test_endless_lines_are_given_up(piece: bytes) -> None:
    with pytest.raises(Unavailable):
        list(rpc(httpx.Response(200, stream=Endless(piece))).pins("pin"))
    with pytest.raises(Unavailable):
        rpc(httpx.Response(200, stream=Endless(piece))).version()
    assert MAX_ANSWER_BYTES < 1 << 21


def test_pins_are_those_of_exactly_the_name() -> None:
    named = [("a", "yilian/A"), ("b", "yilian/A2"), ("c", "yilian/A")]
    lines = b"\n".join(json.dumps({"Cid": cid, "Name": name}).encode() for cid, name in named)
    pieces = [lines[start : start + 7] for start in range(0, len(lines), 7)]
    assert list(rpc(httpx.Response(200, content=iter(pieces))).pins("yilian/A")) == ["a", "c"]


def test_a_pin_that_is_not_there_is_told_and_a_block_that_collection_cannot_remove_too() -> None:
    assert not rpc(refusal("not pinned or pinned indirectly")).unpin(CID)
    with pytest.raises(Unavailable):
        rpc(refusal("disk trouble")).unpin(CID)
    with pytest.raises(Unavailable):
        rpc(httpx.Response(200, content=b'{"Key":{"/":"a"}}\n{"Error":"permission denied"}')).collect()


@pytest.mark.parametrize("url", [URL, "http://localhost:5001", "http://[::1]:5001", "https://ipfs.example/"])
def test_loopback_and_https_with_a_token_are_taken(url: str) -> None:
    check_address(url, TOKEN)


def test_plain_http_elsewhere_is_taken_where_the_network_is_the_two_nodes_own_and_only_with_a_token() -> None:
    check_address("http://10.201.17.2:5001", TOKEN, plain=True)
    for token, plain in ((TOKEN, False), ("", True), ("", False)):
        with pytest.raises(Invalid):
            check_address("http://10.201.17.2:5001", token, plain=plain)


@pytest.mark.parametrize("host", ["ipfs", "8.8.8.8", "kubo.example.org", "[2001:4860:4860::8888]"])
def test_plain_http_goes_to_no_name_and_to_no_public_address(host: str) -> None:
    with pytest.raises(Invalid):
        check_address(f"http://{host}:5001", TOKEN, plain=True)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:5001", "http://", "http://127.0.0.1:5001/x", "http://127.0.0.1.example"]
    + [f"{URL}{end}" for end in ("?x=1", "#f", "?", "#", "/?x=1", "/#f")],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(Invalid):
        check_address(url, TOKEN)
