"""The service of a replica: one folder, one store that may write to it."""

from __future__ import annotations

import logging
import socket
import socketserver
import ssl
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final

from domain.checks import check_integer
from domain.errors import Conflict, Invalid, Tampered, YilianError
from domain.identifiers import decode_bytes
from domain.jcs import JsonObject
from offchain.custody.forgetting.increments import MAX_FRAME_BYTES
from offchain.custody.forgetting.layout import BaseKey
from offchain.custody.replica.channel import channel_context, receive_body, receive_header, send
from offchain.custody.replica.folder import ReplicaFolder
from offchain.envelope.suite import DATA_KEY_BYTES

HANDSHAKE_TIMEOUT_S: Final = 10.0
IDLE_TIMEOUT_S: Final = 3600.0
Answer = tuple[JsonObject, bytes]
_LOG: Final = logging.getLogger("yilian.custody.replica")


class ReplicaServer(socketserver.ThreadingTCPServer):
    """Listens for the store; ``serve_forever`` serves, ``server_address`` says where."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], folder: ReplicaFolder, channel: Path) -> None:
        """Listen.

        Raises:
            Unavailable: the channel's keys cannot be read.
            OSError: the address cannot be listened on.
        """
        self.folder = folder
        self.one_at_a_time = Lock()
        self.context = channel_context(channel, server=True)
        super().__init__(address, _Connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """A stranger or a broken connection is no event worth a trace."""
        _LOG.warning("a connection to the replica ended with an error")


class _Connection(socketserver.BaseRequestHandler):
    """One connection of the store."""

    server: ReplicaServer
    request: socket.socket

    def handle(self) -> None:
        self.request.settimeout(HANDSHAKE_TIMEOUT_S)
        with self.server.context.wrap_socket(self.request, server_side=True) as connection:
            connection.settimeout(IDLE_TIMEOUT_S)
            while self._serve_one(connection):
                pass

    def _serve_one(self, connection: ssl.SSLSocket) -> bool:
        try:
            fields, body_bytes = receive_header(connection)
        except EOFError:
            return False
        try:
            with self.server.one_at_a_time:
                answer, body = _OPERATIONS[str(fields.get("do"))](self.server.folder, fields, connection, body_bytes)
        except (YilianError, KeyError) as error:
            reason = error.reason if isinstance(error, YilianError) else "unknown-operation"
            kind = "conflict" if isinstance(error, Conflict) else "failed"
            send(connection, {"failed": kind, "reason": reason})
            return False  # part of a body may be unread
        send(connection, answer, (body,), body_bytes=len(body))
        return True


def _state(folder: ReplicaFolder, _fields: JsonObject, _connection: ssl.SSLSocket, _bytes: int) -> Answer:
    state = folder.state()
    if state is None:
        return {"state": None}, b""
    return {"state": {"baseId": state.base_id, "end": state.end, "lastFrame": state.last_frame}}, b""


def _append(folder: ReplicaFolder, fields: JsonObject, connection: ssl.SSLSocket, body_bytes: int) -> Answer:
    if body_bytes > MAX_FRAME_BYTES:
        raise Invalid("an increment is smaller", place="bytes")
    frame = b"".join(receive_body(connection, body_bytes))
    folder.append(str(fields.get("baseId")), _number(fields, "offset"), frame)
    return {}, b""


def _last(folder: ReplicaFolder, fields: JsonObject, _connection: ssl.SSLSocket, _bytes: int) -> Answer:
    return {}, folder.last_frame(str(fields.get("baseId")), _number(fields, "offset"))


def _install(folder: ReplicaFolder, fields: JsonObject, connection: ssl.SSLSocket, body_bytes: int) -> Answer:
    key = BaseKey(decode_bytes(fields.get("key"), "key", length=DATA_KEY_BYTES))
    try:
        folder.receive(check_integer(fields.get("number"), "number", low=1), key, receive_body(connection, body_bytes))
    except EOFError:
        raise Tampered("the base was not sent whole", reason="secrets-base") from None
    return {}, b""


def _number(fields: JsonObject, name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or value < 0:
        raise Invalid("a number is expected", place=name)
    return value


_OPERATIONS: Final[dict[str, Callable[[ReplicaFolder, JsonObject, ssl.SSLSocket, int], Answer]]] = {
    "state": _state,
    "append": _append,
    "last": _last,
    "install": _install,
}
