"""Calls to one peer: each with a deadline, each ended by ``close``, every failure in the client's own errors."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

import grpc

from network.fabric.gateway.errors import ErrorDetail, GatewayError, MalformedError
from network.fabric.gateway.protos import events, gateway, parse_into, rpc_status

_DETAILS = "grpc-status-details-bin"
_SERVICE = "/gateway.Gateway/"
_DELIVER = "/protos.Deliver/"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How many seconds each kind of call may take; a call can be given another one."""

    evaluate_s: float = 5.0
    endorse_s: float = 15.0
    submit_s: float = 5.0
    commit_status_s: float = 60.0

    def __post_init__(self) -> None:
        if min(astuple(self)) <= 0:
            raise ValueError("a deadline is a positive number of seconds")


class Rpc:
    """The services of one peer over one channel; threads may share it.

    Open calls are held weakly: a stream that nobody holds any more is cancelled when it is collected.
    """

    def __init__(self, channel: grpc.Channel, deadlines: Deadlines) -> None:
        self.deadlines = deadlines
        self._channel = channel
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed = False
        self._evaluate = self._unary("Evaluate", gateway.EvaluateResponse)
        self._endorse = self._unary("Endorse", gateway.EndorseResponse)
        self._submit = self._unary("Submit", gateway.SubmitResponse)
        self._commit_status = self._unary("CommitStatus", gateway.CommitStatusResponse)

    def _unary(self, name: str, response: Any) -> Any:
        return self._channel.unary_unary(
            _SERVICE + name,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def evaluate(self, request: Any, timeout_s: float | None) -> Any:
        return self._call(self._evaluate, request, _seconds(timeout_s, self.deadlines.evaluate_s))

    def endorse(self, request: Any, timeout_s: float | None) -> Any:
        return self._call(self._endorse, request, _seconds(timeout_s, self.deadlines.endorse_s))

    def submit(self, request: Any, timeout_s: float | None) -> Any:
        return self._call(self._submit, request, _seconds(timeout_s, self.deadlines.submit_s))

    def commit_status(self, request: Any, timeout_s: float | None) -> Any:
        return self._call(self._commit_status, request, _seconds(timeout_s, self.deadlines.commit_status_s))

    def chaincode_events(self, request: Any) -> Any:
        return self._stream(_SERVICE + "ChaincodeEvents", gateway.ChaincodeEventsResponse, request)

    def deliver(self, method: str, request: Any) -> Any:
        """``method`` is Deliver, DeliverFiltered or DeliverWithPrivateData; the one request is all that is sent."""
        return self._stream(_DELIVER + method, events.DeliverResponse, request)

    def close(self) -> None:
        """Ends every call and stream that is open; later ones are refused. The channel stays open."""
        with self._lock:
            self._closed = True
            calls = list(self._open)
        for call in calls:
            call.cancel()

    @property
    def is_closed(self) -> bool:
        return self._closed

    def _call(self, method: Any, request: Any, timeout_s: float) -> Any:
        if timeout_s <= 0:
            raise GatewayError("no time is left for the call", code=grpc.StatusCode.DEADLINE_EXCEEDED)
        with translated_errors():
            call = self._start(lambda: method.future(request, timeout=timeout_s))
            try:
                return call.result()
            finally:
                call.cancel()  # of a call that has ended: nothing; of one whose caller was interrupted: ends it

    def _stream(self, path: str, response: Any, request: Any) -> Any:
        method: Any = self._channel.unary_stream(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )
        with translated_errors():
            return self._start(lambda: method(request))

    def _start(self, start: Any) -> Any:
        with self._lock:
            if self._closed:
                raise GatewayError("the gateway is closed", code=grpc.StatusCode.CANCELLED)
            call = start()
            self._open.add(call)
            return call


@contextmanager
def translated_errors() -> Iterator[None]:
    """Failures of gRPC leave as ``GatewayError``."""
    try:
        yield
    except grpc.FutureCancelledError as error:
        raise GatewayError("the gateway was closed", code=grpc.StatusCode.CANCELLED) from error
    except grpc.RpcError as error:
        raise _read_error(error) from error
    except ValueError as error:
        # What grpc raises when the channel under it was closed.
        raise GatewayError("the channel is closed", code=grpc.StatusCode.CANCELLED) from error


def _seconds(given: float | None, default: float) -> float:
    return default if given is None else given


def _read_error(error: grpc.RpcError) -> GatewayError:
    if not isinstance(error, grpc.Call):
        return GatewayError("the call failed without a status", code=grpc.StatusCode.UNKNOWN)
    return GatewayError(error.details() or "", code=error.code(), details=_read_details(error.trailing_metadata()))


def _read_details(metadata: Any) -> tuple[ErrorDetail, ...]:
    """The ``gateway.ErrorDetail``s of ``grpc-status-details-bin``; others, and what is unreadable, are left out."""
    found = []
    for raw in (value for key, value in metadata or () if key == _DETAILS):
        for item in _read_status(raw).details:
            detail = gateway.ErrorDetail()
            if item.Is(detail.DESCRIPTOR):
                found.append(_read_detail(item.value))
    return tuple(found)


def _read_status(raw: Any) -> Any:
    try:
        return parse_into(rpc_status.Status(), raw, "google.rpc.Status")
    except MalformedError:
        return rpc_status.Status()


def _read_detail(raw: bytes) -> ErrorDetail:
    try:
        detail = parse_into(gateway.ErrorDetail(), raw, "ErrorDetail")
    except MalformedError:
        return ErrorDetail("", "", "the detail cannot be read")
    return ErrorDetail(detail.address, detail.msp_id, detail.message)
