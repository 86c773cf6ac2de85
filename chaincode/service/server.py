"""The gRPC server to which peers connect."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import grpc

from chaincode.service.message import MAX_MESSAGE_BYTES
from chaincode.service.metrics import Metrics
from chaincode.service.pool import TransactionPool
from chaincode.service.protos import METHOD, SERVICE
from chaincode.service.runner import TransactionRunner
from chaincode.service.stream import PeerStream, Waits
from domain.errors import Invalid, Unavailable

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 30_000),  # a peer pings once a minute
    ("grpc.so_reuseport", 0),  # else two services could share a port, each with half of the connections
)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a service does at once.

    Attributes:
        threads: transactions that run at once.
        max_waiting: transactions that wait for a thread; one more is answered "busy".
        max_waiting_bytes: of all requests that wait or run.
        max_streams: streams of peers at once; a peer opens one.
    """

    threads: int = 32
    max_waiting: int = 512
    max_waiting_bytes: int = 256 << 20
    max_streams: int = 16
    waits: Waits = field(default_factory=Waits)

    def __post_init__(self) -> None:
        if self.threads < 1 or self.max_waiting < 0 or self.max_waiting_bytes < 1 or self.max_streams < 1:
            raise Invalid("a service runs at least one transaction of one peer", reason="settings", place="limits")


class ContractService:
    """Serves a contract to peers.

    Args:
        package_id: what the contract registers as; the peer refuses any other than the one it installed.
        credentials: None serves without TLS.
    """

    def __init__(
        self,
        package_id: str,
        runner: TransactionRunner,
        *,
        credentials: grpc.ServerCredentials | None = None,
        limits: Limits | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._package_id = package_id
        self._runner = runner
        self._credentials = credentials
        self._limits = limits or Limits()
        self.metrics = metrics or Metrics()
        self._pool = TransactionPool(
            threads=self._limits.threads,
            max_waiting=self._limits.max_waiting,
            max_bytes=self._limits.max_waiting_bytes,
        )
        self._lock = threading.Lock()
        self._streams: set[PeerStream] = set()
        self._is_serving = False
        self._server = self._new_server()

    @property
    def is_serving(self) -> bool:
        """Whether new transactions are taken."""
        return self._is_serving

    def start(self, address: str) -> int:
        """Listen on ``host:port`` and serve; returns the port.

        Raises:
            Unavailable: the address cannot be listened on.
        """
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise Unavailable("the address cannot be listened on", reason="address", place=address) from error
        self._server.start()
        self._is_serving = True
        return port

    def stop(self, timeout_s: float) -> bool:
        """Take nothing new, finish what runs within ``timeout_s``, end the streams; False if something was cut off."""
        self._is_serving = False
        deadline = time.monotonic() + timeout_s
        stopped = self._server.stop(timeout_s + 1)
        is_finished = self._pool.close(timeout_s)
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.end()
        stopped.wait(max(1.0, deadline - time.monotonic()))
        return is_finished

    def _new_server(self) -> grpc.Server:
        streams = self._limits.max_streams
        server = grpc.server(
            ThreadPoolExecutor(streams, thread_name_prefix="contract-stream"),
            options=_OPTIONS,
            maximum_concurrent_rpcs=streams,
        )
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._connect)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        return server

    def _connect(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """A peer's stream; requests and answers are bytes, so that what is no message is ours to judge."""
        stream = PeerStream(
            self._package_id, self._runner, self._pool, self.metrics, self._limits.waits, abandon=context.cancel
        )
        if not context.add_callback(stream.end):
            return
        with self._lock:
            self._streams.add(stream)
        self.metrics.streams.inc()
        try:
            yield from stream.serve(requests)
        except Unavailable as error:
            _LOG.error("a peer's stream is ended: %s", error.reason)
            context.set_code(grpc.StatusCode.DEADLINE_EXCEEDED)
        finally:
            self.metrics.streams.dec()
            with self._lock:
                self._streams.discard(stream)
