"""Events as they arrive: an iterator that any thread may close."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc

from network.fabric.gateway.errors import GatewayError
from network.fabric.gateway.rpc import Rpc, translated_errors

_T = TypeVar("_T")


class Completed(Exception):
    """The peer said that everything asked for was sent."""


class EventStream(Iterator[_T], Generic[_T]):
    """Events in the order of the channel, until it is closed.

    Iteration blocks; it stops quietly after ``close`` (of this stream or of its gateway, from any thread) and never
    otherwise: a stream that breaks, or that the peer ends, raises. One thread iterates.
    """

    def __init__(self, rpc: Rpc, call: Any, read: Callable[[Any], Iterable[_T]], idle_s: float | None) -> None:
        self._rpc = rpc
        self._call = call
        self._read = read
        self._idle_s = idle_s
        self._pending: deque[_T] = deque()
        self._closed = False
        self._idle = False
        self._failure: GatewayError | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        """The next event.

        Raises:
            GatewayError: the stream broke or was refused, or nothing came for ``idle_s`` (DEADLINE_EXCEEDED); again at
                every later call. To go on, ask anew from a checkpoint.
            StopIteration: closed.
        """
        if self._failure is not None:
            raise self._failure
        while not self._pending and not self.is_closed:
            self._receive()
        if self.is_closed:
            raise StopIteration
        return self._pending.popleft()

    def close(self) -> None:
        """Ends the stream; whoever waits in it stops. What was received and not yet taken is dropped."""
        self._closed = True
        self._call.cancel()

    @property
    def is_closed(self) -> bool:
        return self._closed or self._rpc.is_closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _receive(self) -> None:
        try:
            with translated_errors():
                response = self._next_response()
            self._pending.extend(self._read(response))
        except Completed:
            self.close()
        except StopIteration:
            self._fail(GatewayError("the peer ended the stream", code=grpc.StatusCode.UNAVAILABLE))
        except GatewayError as error:
            self._fail(error)

    def _fail(self, error: GatewayError) -> None:
        if self.is_closed:
            return
        self._failure = error
        if self._idle:
            message = f"nothing arrived for {self._idle_s} seconds"
            self._failure = GatewayError(message, code=grpc.StatusCode.DEADLINE_EXCEEDED)
        self._call.cancel()
        raise self._failure from error.__cause__

    def _next_response(self) -> Any:
        if self._idle_s is None:
            return next(self._call)
        timer = threading.Timer(self._idle_s, self._expire)
        timer.daemon = True
        timer.start()
        try:
            return next(self._call)
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self._idle = True
        self._call.cancel()
