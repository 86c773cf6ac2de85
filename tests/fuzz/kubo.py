"""Target: what a Kubo node answers, which may be anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

import httpx

from domain.errors import NotFound, Tampered, Unavailable
from offchain.stores.ipfs.rpc import KuboRpc
from tests.fuzz.target import SECRET, Target, accepted, as_json

_CID: Final = "bafybeidwyyoygduam23o2mc3kfsrdyuhyg5gemsbjihun4a7u3n47jjrmm"
_LEAF: Final = "bafkreidwyyoygduam23o2mc3kfsrdyuhyg5gemsbjihun4a7u3n47jjrmm"
_LENGTH: Final = 100
_PIECE_BYTES: Final = 4096
_CALLS: Final[tuple[Callable[[KuboRpc], object], ...]] = (
    KuboRpc.version,
    KuboRpc.collect,
    lambda rpc: rpc.add((b"x",), "n"),
    lambda rpc: rpc.unpin(_CID),
    lambda rpc: rpc.has(_CID),
    lambda rpc: list(rpc.stream(_CID)),
)


class Answer(httpx.SyncByteStream):
    """A body that comes in pieces."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._body), _PIECE_BYTES):
            yield self._body[start : start + _PIECE_BYTES]


class Node(httpx.BaseTransport):
    """Gives the same answer to every call."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return httpx.Response(self.status, stream=Answer(self.body))


def fuzz_kubo(data: bytes) -> None:
    """Every call with this answer, also as a refusal: bounded, as asked for, or an error that does not quote it."""
    rpc, node = _rpc()
    for node.status in (200, 500):
        node.body = data
        for call in _CALLS:
            accepted(lambda: call(rpc), NotFound, Tampered, Unavailable)  # noqa: B023
        for part in accepted(lambda: rpc.cat(_CID, 0, _LENGTH), NotFound, Tampered, Unavailable):
            assert len(part) <= _LENGTH
        for whole in accepted(lambda: rpc.read(_CID, 0, _LENGTH), NotFound, Tampered, Unavailable):
            assert len(whole) == _LENGTH
        for pins in accepted(lambda: list(rpc.named_pins("n")), NotFound, Tampered, Unavailable):
            assert all(name.startswith("n") for _, name in pins)


@cache
def _rpc() -> tuple[KuboRpc, Node]:
    node = Node()
    return KuboRpc("http://127.0.0.1:5001", transport=node), node


def _answers() -> list[bytes]:
    messages = ("block was not found locally (offline)", "unmarshal", "no space left on device", "not pinned", SECRET)
    lines: list[object] = [
        {"Name": "object", "Hash": _CID, "Size": "1"},
        {"Version": "0.40.0", SECRET: SECRET},
        {"Cid": _CID, "Name": "name", "Type": "recursive"},
        {"Ref": _LEAF, "Err": ""},
        {"Name": "n"},
        {"Ref": "", "Err": SECRET},
        {"Key": {"/": _CID}, "Error": SECRET},
        *({"Message": message, "Code": 0, "Type": "error"} for message in messages),
    ]
    return [
        *map(as_json, lines),
        b"\n".join(map(as_json, lines)),
        bytes(_LENGTH),
        b"[" * 5_000,
        b'{"Ref":"%s\\ud800"}' % _LEAF.encode(),
    ]


TARGETS: Final = (Target("kubo", fuzz_kubo, _answers),)
