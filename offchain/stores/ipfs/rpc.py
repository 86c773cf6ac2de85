"""Kubo's RPC (docs.ipfs.tech/reference/kubo/rpc), as much of it as a store needs; a deadline on every call."""

from __future__ import annotations

import json
import secrets
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

import httpx

from domain.certificates import is_untrusted
from domain.errors import Invalid, NotFound, Tampered, Unavailable, YilianError
from offchain.envelope.chunk_list import Buffer

LEAF_BYTES: Final = 1 << 20
"""Bytes of each block of a file but the last: below the 2 MiB that Kubo's nodes exchange."""
CHUNKER: Final = f"size-{LEAF_BYTES}"
_RAW_LEAF: Final = "bafkrei"
"""So begin CIDs of version 1 of raw bytes under SHA-256."""
MAX_LINE_BYTES: Final = 1 << 16
MAX_ANSWER_BYTES: Final = 1 << 20
MIN_TOKEN_CHARACTERS: Final = 16
_CONNECTIONS: Final = httpx.Limits(max_connections=32, max_keepalive_connections=8)
_ADD: Final = {
    "cid-version": "1", "raw-leaves": "true", "chunker": CHUNKER, "hash": "sha2-256", "pin": "true",
    "progress": "false", "quieter": "true",
}  # fmt: skip
_MISSING: Final = ("not found locally", "could not find", "failed to fetch all nodes")
_ALTERED: Final = (
    "different hash",
    "hash mismatch",
    "unmarshal",
    "proto:",
    "protobuf",
    "wrong wireType",
)
_FULL: Final = "no space left on device"


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the calls may take, in seconds.

    Attributes:
        ask_s: to learn whether the daemon is there.
        call_s: until an answer begins, or its next bytes come; an answer of at most a few chunks is whole by then.
        collect_s: for a garbage collection or a list of pins, which walk everything that is pinned.
    """

    ask_s: float = 2.0
    call_s: float = 30.0
    collect_s: float = 600.0


def check_address(url: str, token: str, *, plain: bool = False) -> None:
    """Whoever reaches the RPC owns the node: without a token on loopback alone, elsewhere by https.

    Args:
        plain: lets a token go over plain HTTP to a private address that is given as such, for a network that leads to
            the two of them and nowhere else; by a name somebody else could be reached.

    Raises:
        Invalid: the address is none, or not safe.
    """
    parsed = httpx.URL(url)
    bare = parsed.path in ("", "/") and not parsed.userinfo and not set("?#") & set(url)
    if parsed.scheme not in ("http", "https") or not parsed.host or not bare:
        raise Invalid("an address of Kubo's RPC is like http://127.0.0.1:5001", reason="ipfs-address")
    if token and (len(token) < MIN_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token):
        raise Invalid(f"a token of Kubo's RPC has {MIN_TOKEN_CHARACTERS} characters or more", reason="ipfs-token")
    is_guarded = parsed.scheme == "https" or (plain and _is_private(parsed.host))
    if not _is_loopback(parsed.host) and not (token and is_guarded):
        raise Invalid("Kubo's RPC is reached on loopback, or by https with a token", reason="ipfs-address")


class KuboRpc:
    """One Kubo node. Thread-safe. Every method raises ``Unavailable`` where the node is down, hung or full."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        plain: bool = False,
        trusted: ssl.SSLContext | None = None,
        waits: Waits | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Nothing is called yet.

        Args:
            plain: see :func:`check_address`.
            trusted: whose certificates count at an https address; None: those of the public authorities.
            transport: instead of connections over the network.

        Raises:
            Invalid: see :func:`check_address`.
        """
        check_address(url, token, plain=plain)
        self._base = url.rstrip("/") + "/api/v0/"
        self._waits = waits or Waits()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            verify=trusted or True,
            trust_env=False,
            follow_redirects=False,
            headers=headers,
            limits=_CONNECTIONS,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def version(self) -> str:
        """Kubo's version: the node answers, and would take other calls, too."""
        self._answer("repo/stat", {"size-only": "true"}, self._waits.ask_s)
        return str(self._answer("version", {}, self._waits.ask_s).get("Version", ""))

    def add(self, pieces: Iterable[Buffer], pin_name: str) -> str:
        """Add one file and pin it; it is durable on return.

        Returns:
            Its CID (version 1, raw leaves).
        """
        boundary = secrets.token_hex(16)
        content, kind = _multipart(pieces, boundary), f"multipart/form-data; boundary={boundary}"
        with self._called("add", {**_ADD, "pin-name": pin_name}, content=content, kind=kind) as lines:
            added = list(_json_lines(lines))
        if len(added) != 1:
            raise Unavailable("Kubo did not say what it added", reason="ipfs")
        return _cid(added[0].get("Hash"))

    def cat(self, cid: str, offset: int, length: int) -> bytes:
        """Bytes of a file as this node holds them, unverified; fewer at its end.

        Raises:
            NotFound: a block is not here; nobody else is asked.
            Tampered: a block is not what its CID says, so far as Kubo notices.
        """
        if length == 0:
            return b""
        data = bytearray()
        wanted = {"arg": cid, "offset": str(offset), "length": str(length), "offline": "true"}
        with self._called("cat", wanted) as pieces:
            for piece in _timed(pieces, self._waits.call_s):
                data += piece
                if len(data) > length:
                    raise Tampered("Kubo gave more bytes than it was asked for", reason="ipfs-answer")
        return bytes(data)

    def read(self, cid: str, offset: int, length: int) -> bytes:
        """Exactly these bytes of a file that has them, unverified, also where other blocks of it are lost.

        Kubo asks for blocks ahead, and ends its answer, or gives none, where one of them is missing. Then only the
        blocks that hold these bytes are asked for.

        Raises:
            NotFound: one of those is not here.
            Tampered: as :meth:`cat`.
        """
        try:
            data = self.cat(cid, offset, length)
        except NotFound:
            data = b""
        return data if len(data) == length else self._read_leaves(cid, offset, length)

    def _read_leaves(self, cid: str, offset: int, length: int) -> bytes:
        leaves = [cid] if cid.startswith(_RAW_LEAF) else self._leaves(cid)
        first, end = offset // LEAF_BYTES, offset + length
        blocks = [self._block(leaf) for leaf in leaves[first : -(-end // LEAF_BYTES)]]
        data = b"".join(blocks)[offset - first * LEAF_BYTES : end - first * LEAF_BYTES]
        if len(data) < length:
            raise NotFound("the node has not all of this object", reason="no-object")
        return data

    def _leaves(self, cid: str) -> list[str]:
        """The blocks of a file's bytes, in order; those above them have to be here."""
        found = list[str]()
        with self._called("refs", {"arg": cid, "recursive": "true", "offline": "true"}) as lines:
            for line in _json_lines(_timed(lines, self._waits.collect_s)):
                if line.get("Err"):
                    raise NotFound("the node has not all of this object", reason="no-object")
                found.append(_cid(line.get("Ref")))
        return [one for one in found if one.startswith(_RAW_LEAF)]

    def _block(self, cid: str) -> bytes:
        data = bytearray()
        with self._called("block/get", {"arg": cid, "offline": "true"}) as pieces:
            for piece in _timed(pieces, self._waits.call_s):
                data += piece
                if len(data) > LEAF_BYTES:
                    raise Tampered("Kubo gave more bytes than a block has", reason="ipfs-answer")
        return bytes(data)

    def stream(self, cid: str) -> Iterator[bytes]:
        """A whole file as this node holds it, unverified.

        Raises:
            NotFound, Tampered: as :meth:`cat`.
        """
        with self._called("cat", {"arg": cid, "offline": "true"}) as pieces:
            yield from pieces

    def pins(self, name: str) -> Iterator[str]:
        """The CIDs of the recursive pins of exactly this name."""
        yield from (cid for cid, given in self.named_pins(name) if given == name)

    def named_pins(self, beginning: str) -> Iterator[tuple[str, str]]:
        """CID and name of the recursive pins whose name begins so."""
        wanted = {"type": "recursive", "names": "true", "name": beginning, "stream": "true"}
        with self._called("pin/ls", wanted) as lines:
            for pin in _json_lines(_timed(lines, self._waits.collect_s)):
                name = str(pin.get("Name", ""))
                if name.startswith(beginning):
                    yield _cid(pin.get("Cid")), name

    def unpin(self, cid: str) -> bool:
        """Remove a pin; false if there was none."""
        try:
            self._answer("pin/rm", {"arg": cid}, self._waits.call_s)
        except Unavailable as error:
            if "not pinned" in error.place:
                return False
            raise
        return True

    def has(self, cid: str) -> bool:
        """True if the first block of a file is here."""
        try:
            self._answer("block/stat", {"arg": cid, "offline": "true"}, self._waits.call_s)
        except NotFound:
            return False
        return True

    def collect(self) -> None:
        """Remove every block that no pin holds, whatever it was left by; adding waits meanwhile."""
        with self._called("repo/gc", {"quiet": "true", "stream-errors": "true"}, wait_s=self._waits.collect_s) as lines:
            for line in _json_lines(_timed(lines, self._waits.collect_s)):
                if line.get("Error"):
                    raise Unavailable("Kubo could not remove a block", reason="ipfs")

    def _answer(self, call: str, params: Mapping[str, str], wait_s: float) -> Mapping[str, Any]:
        with self._called(call, params, wait_s=wait_s) as pieces:
            data = _bounded(pieces)
        return next(_json_lines(iter((data,))), {})

    @contextmanager
    def _called(
        self,
        call: str,
        params: Mapping[str, str],
        *,
        wait_s: float | None = None,
        content: Iterable[bytes] | None = None,
        kind: str = "application/octet-stream",
    ) -> Iterator[Iterator[bytes]]:
        try:
            with self._http.stream(
                "POST",
                self._base + call,
                params=dict(params),
                content=content,
                headers={"Content-Type": kind} if content is not None else None,
                timeout=httpx.Timeout(wait_s or self._waits.call_s, connect=self._waits.ask_s),
            ) as answer:
                if answer.status_code != 200:
                    raise _refusal(answer.status_code, _bounded(answer.iter_bytes()))
                yield answer.iter_bytes()
        except httpx.HTTPError as error:
            if isinstance(error, httpx.ConnectError) and is_untrusted(str(error)):
                raise Unavailable("the certificate of Kubo's RPC is not trusted", reason="ipfs-certificate") from error
            raise Unavailable(f"Kubo does not answer: {type(error).__name__}", reason="ipfs") from error


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_private(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return False


def _refusal(status: int, body: bytes) -> YilianError:
    """What an answer other than 200 means; Kubo says everything in the text of a 500."""
    if status in (401, 403):
        return Unavailable("Kubo refuses the token, or may not be called from here", reason="ipfs-denied")
    try:
        message = str(json.loads(body)["Message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Unavailable(f"Kubo answered {status}", reason="ipfs")
    if any(text in message for text in _MISSING):
        return NotFound("the node has not all of this object", reason="no-object")
    if _FULL in message:
        return Unavailable("the disk of the IPFS node is full", reason="disk-full")
    if any(text in message for text in _ALTERED):
        return Tampered("a block of the IPFS node was altered", reason="block-altered")
    return Unavailable("Kubo failed", reason="ipfs", place="not pinned" if "not pinned" in message else "")


def _timed(pieces: Iterator[bytes], seconds: float) -> Iterator[bytes]:
    """The same pieces; an answer that drips is given up."""
    end = time.monotonic() + seconds
    for piece in pieces:
        if time.monotonic() > end:
            raise Unavailable("Kubo answers too slowly", reason="ipfs")
        yield piece


def _bounded(pieces: Iterator[bytes]) -> bytes:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > MAX_ANSWER_BYTES:
            raise Unavailable("Kubo's answer is too long", reason="ipfs")
    return bytes(data)


def _json_lines(pieces: Iterator[bytes]) -> Iterator[Mapping[str, Any]]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise Unavailable("Kubo's answer is too long", reason="ipfs")
        yield from (_json(line) for line in lines if line.strip())
    if rest.strip():
        yield _json(rest)


def _cid(given: object) -> str:
    if not isinstance(given, str) or not given.isascii() or not given:
        raise Unavailable("Kubo's answer names no CID", reason="ipfs")
    return given


def _json(line: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Unavailable("Kubo's answer is no JSON object", reason="ipfs")
    return value


def _multipart(pieces: Iterable[Buffer], boundary: str) -> Iterator[bytes]:
    """One file without a name: what it is called would be told to whoever reads the node's log."""
    yield (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="object"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    for piece in pieces:
        yield bytes(piece)
    yield f"\r\n--{boundary}--\r\n".encode()
