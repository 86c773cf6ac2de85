"""The Deliver service of one peer: its newest block, ranges of blocks, and blocks as they come, as raw bytes.

Fabric: ``peer/events.proto``, ``orderer/ab.proto``. Every call has a deadline and ends with ``close``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final

import grpc

from domain.errors import Invalid, Unavailable
from network.blocks.proposal import NANOSECONDS, build_payload, build_signature_header
from network.blocks.protos import common, parse_into, serialize
from network.blocks.wire import split_fields
from network.fabric.gateway import Identity, Signer, Sources
from network.fabric.gateway.protos import events, orderer

NEWEST_TIMEOUT_S: Final = 2.0
RANGE_TIMEOUT_S: Final = 20.0
FOLLOW_TIMEOUT_S: Final = 60.0
MAX_RANGE_BLOCKS: Final = 64
_METHOD: Final = "/protos.Deliver/Deliver"
_BLOCK_TAG: Final = 2 << 3 | 2
_NEWEST: Final = orderer.SeekPosition(newest=orderer.SeekNewest())
_WITHOUT_END: Final = 2**64 - 1


class Deliver:
    """Blocks of one channel from one peer. Threads share it; every method raises ``Unavailable`` where the peer fails.

    Args:
        channel: to the peer; whoever made it closes it.
        name: of the channel on the ledger.
    """

    def __init__(
        self, channel: grpc.Channel, name: str, identity: Identity, signer: Signer, sources: Sources | None = None
    ) -> None:
        self._name = name
        self._creator = identity.serialize()
        self._signer = signer
        self._sources = sources or Sources()
        self._method: Any = channel.unary_stream(_METHOD, request_serializer=None, response_deserializer=None)
        self._lock = threading.Lock()
        self._open: set[Any] = set()
        self._closed = False

    def close(self) -> None:
        """End every call; later ones are refused."""
        with self._lock:
            self._closed = True
            calls, self._open = self._open, set()
        for call in calls:
            call.cancel()

    def height(self) -> int:
        """The number of blocks that the peer has now."""
        for raw in self._call(_NEWEST, _NEWEST, NEWEST_TIMEOUT_S, header_only=True):
            return block_number(raw) + 1
        raise Unavailable("the peer shows no block", reason="peer-down")

    def range(self, start: int, end: int) -> Iterator[bytes]:
        """The blocks from ``start`` up to, not including, ``end``, which the peer has; in as many calls as it takes."""
        while start < end:
            begun = start
            try:
                for raw in self._call(_at(start), _at(min(start + MAX_RANGE_BLOCKS, end) - 1), RANGE_TIMEOUT_S):
                    yield raw
                    start += 1
            except Unavailable:
                if start == begun:
                    raise
            if start == begun:
                raise Unavailable("the peer does not show a block that it has", reason="peer-down")

    def follow(self, start: int) -> Iterator[bytes]:
        """The blocks from ``start`` on as they come; ends after a while, to be asked again."""
        return self._call(_at(start), _at(_WITHOUT_END), FOLLOW_TIMEOUT_S)

    def _call(self, start: Any, stop: Any, timeout_s: float, *, header_only: bool = False) -> Iterator[bytes]:
        call = self._begin(self._request(start, stop, header_only), timeout_s)
        try:
            for response in call:
                block = read_response(response)
                if block is None:
                    return
                yield block
        except grpc.RpcError as error:
            code = call.code()
            if code is grpc.StatusCode.DEADLINE_EXCEEDED and timeout_s == FOLLOW_TIMEOUT_S:
                return
            raise Unavailable(f"the peer does not show its blocks: {code.name}", reason="peer-down") from error
        finally:
            call.cancel()
            with self._lock:
                self._open.discard(call)

    def _begin(self, request: bytes, timeout_s: float) -> Any:
        with self._lock:
            if self._closed:
                raise Unavailable("the connection to the peer is closed", reason="ledger-closed")
            try:
                call = self._method(request, timeout=timeout_s)
            except ValueError as error:  # what grpc raises on a closed channel
                raise Unavailable("the connection to the peer is closed", reason="ledger-closed") from error
            self._open.add(call)
            return call

    def _request(self, start: Any, stop: Any, header_only: bool) -> bytes:
        """``common.Envelope`` of ``orderer.SeekInfo``; a peer too old to send the header alone sends all."""
        header = common.ChannelHeader(type=common.HeaderType.Value("DELIVER_SEEK_INFO"), channel_id=self._name)
        header.timestamp.seconds, header.timestamp.nanos = divmod(self._sources.clock_ns(), NANOSECONDS)
        content = orderer.SeekInfo.HEADER_WITH_SIG if header_only else orderer.SeekInfo.BLOCK
        seek = orderer.SeekInfo(start=start, stop=stop, content_type=content)
        payload = build_payload(serialize(header), build_signature_header(self._creator, b""), serialize(seek))
        signature = self._signer.sign(self._signer.hash(payload))
        return serialize(common.Envelope(payload=payload, signature=signature))


def read_response(raw: bytes) -> bytes | None:
    """The block in a ``DeliverResponse``; None where the peer says that all was sent.

    Raises:
        Unavailable: the peer refused, or sent something else.
    """
    if raw[:1] == bytes([_BLOCK_TAG]):
        try:
            ((_, begin, end),) = split_fields(raw, 0, len(raw), "DeliverResponse")
        except (Invalid, ValueError) as error:
            raise Unavailable("the peer's answer cannot be read", reason="peer-answer") from error
        return raw[begin:end]
    try:
        response = parse_into(events.DeliverResponse(), raw, "DeliverResponse")
    except Invalid as error:
        raise Unavailable("the peer's answer cannot be read", reason="peer-answer") from error
    if response.WhichOneof("Type") != "status":
        raise Unavailable("the peer sent something else than blocks", reason="peer-answer")
    known = response.status in common.Status.values()
    name = common.Status.Name(response.status) if known else str(response.status)
    if name == "SUCCESS":
        return None
    raise Unavailable(f"the peer refuses to show its blocks: {name}", reason="peer-refuses")


def block_number(raw: bytes) -> int:
    """The number that a block claims.

    Raises:
        Unavailable: the peer sent no block.
    """
    try:
        number, begin, end = split_fields(raw, 0, len(raw), "Block")[0]
        if number == 1:
            found: int = parse_into(common.BlockHeader(), raw[begin:end], "BlockHeader").number
            return found
    except (Invalid, IndexError) as error:
        raise Unavailable("the peer sent no block", reason="peer-answer") from error
    raise Unavailable("the peer sent no block", reason="peer-answer")


def _at(number: int) -> Any:
    return orderer.SeekPosition(specified=orderer.SeekSpecified(number=number))
