"""The replica as the store reaches it: the port :class:`Mirror` over the channel."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from domain.errors import Conflict, Invalid, Unavailable
from domain.identifiers import check_identifier, encode_bytes
from domain.jcs import JsonObject
from offchain.custody.forgetting import layout
from offchain.custody.forgetting.increments import MAX_FRAME_BYTES
from offchain.custody.forgetting.layout import BaseFiles
from offchain.custody.forgetting.mirroring import MirrorState
from offchain.custody.replica.channel import channel_context, receive_body, receive_header, send
from offchain.disk import Disk

TIMEOUT_S: Final = 5.0
INSTALL_TIMEOUT_S: Final = 300.0
_PIECE_BYTES: Final = 1 << 20


class RemoteMirror:
    """One connection, opened when it is needed; one caller at a time, which the store's own lock sees to."""

    def __init__(self, address: tuple[str, int], channel: Path) -> None:
        self._address = address
        self._channel = channel
        self._connection: ssl.SSLSocket | None = None

    def __repr__(self) -> str:
        return f"RemoteMirror({self._address!r})"

    def state(self) -> MirrorState | None:
        """See :meth:`Mirror.state`."""
        found = self._ask({"do": "state"})[0].get("state")
        if found is None:
            return None
        try:
            if not isinstance(found, dict):
                raise Invalid("no state", place="state")
            end, last = found.get("end"), found.get("lastFrame")
            if not isinstance(end, int) or not isinstance(last, int):
                raise Invalid("no state", place="state")
            return MirrorState(check_identifier(found.get("baseId"), "baseId"), end, last)
        except Invalid as error:
            raise Unavailable("the custody replica does not answer as one", reason="replica") from error

    def append(self, base_id: str, offset: int, frame: bytes) -> None:
        """See :meth:`Mirror.append`."""
        self._ask({"do": "append", "baseId": base_id, "offset": offset}, (frame,), body_bytes=len(frame))

    def last_frame(self, base_id: str, offset: int) -> bytes:
        """See :meth:`Mirror.last_frame`."""
        return self._ask({"do": "last", "baseId": base_id, "offset": offset})[1]

    def install(self, files: BaseFiles) -> None:
        """See :meth:`Mirror.install`."""
        disk = Disk()
        key = encode_bytes(layout.read_key(files.key, disk).reveal())
        with disk.opened(files.base) as descriptor:
            pieces = iter(lambda: os.read(descriptor, _PIECE_BYTES), b"")
            fields: JsonObject = {"do": "install", "number": files.number, "key": key}
            size = os.fstat(descriptor).st_size
            self._ask(fields, pieces, body_bytes=size, timeout_s=INSTALL_TIMEOUT_S)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(
        self, fields: JsonObject, body: Iterable[bytes] = (), *, body_bytes: int = 0, timeout_s: float = TIMEOUT_S
    ) -> tuple[JsonObject, bytes]:
        """One request, its answer and the answer's body; after any failure the connection is opened anew."""
        try:
            connection = self._connected()
            connection.settimeout(timeout_s)
            send(connection, fields, body, body_bytes=body_bytes)
            answer, answer_bytes = receive_header(connection)
            if answer_bytes > MAX_FRAME_BYTES:
                raise Invalid("an increment is smaller", place="bytes")
            received = b"".join(receive_body(connection, answer_bytes))
        except (OSError, EOFError, Invalid) as error:
            self.close()
            raise Unavailable("the custody replica cannot be reached", reason="replica") from error
        except BaseException:
            self.close()
            raise
        if "failed" in answer:
            self.close()
            raise _refusal(answer)
        return answer, received

    def _connected(self) -> ssl.SSLSocket:
        if self._connection is None:
            context = channel_context(self._channel, server=False)
            plain = socket.create_connection(self._address, timeout=TIMEOUT_S)
            try:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connection = context.wrap_socket(plain)
            except BaseException:
                plain.close()
                raise
        return self._connection


def _refusal(answer: JsonObject) -> Conflict | Unavailable:
    reason = answer.get("reason")
    reason = reason if isinstance(reason, str) and re.fullmatch("[a-z-]{1,40}", reason) else "no known reason"
    if answer.get("failed") == "conflict":
        return Conflict("the custody replica holds something else; docs/operations.md", reason="replica-diverged")
    return Unavailable(f"the custody replica failed: {reason}", reason="replica")


def parse_address(text: str) -> tuple[str, int]:
    """``host:port``.

    Raises:
        Invalid: it is not.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise Invalid("the replica's address is host:port", place="YILIAN_CUSTODY_REPLICA", reason="settings")
    return host, int(port)
