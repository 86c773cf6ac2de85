"""The file that tells a hospital's node or its witness how to reach the channel: ``yilian-fabric-connection``, 1.

Paths in it may be relative to the file. It holds no secret: the key stays in a file of its own, or in a token.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from domain.errors import Invalid, Unavailable
from domain.identifiers import check_msp_id

FORMAT: Final = "yilian-fabric-connection"
VERSION: Final = 1
MAX_BYTES: Final = 1 << 20
_DIGEST_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """One peer.

    Attributes:
        msp: the organisation that runs it.
        address: ``host:port`` of its gRPC service.
        tls_root: file with the certificate authority of its TLS certificate (PEM).
        server_name: name in that certificate where it is not the host; else empty.
    """

    msp: str
    address: str
    tls_root: Path
    server_name: str = ""

    def __post_init__(self) -> None:
        check_msp_id(self.msp, "msp")
        host, separator, port = self.address.rpartition(":")
        if not (host and separator and port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
            raise Invalid("a peer's address is host:port", reason="connection", place="address")


@dataclass(frozen=True, slots=True)
class Connection:
    """What a hospital needs to take part in a channel.

    Attributes:
        channel, contract: the channel's name and the name of the contract on it.
        genesis: header hash of block 0 in lower-case hex, learnt from elsewhere than the peer.
        msp: the hospital; ``certificate`` and ``key`` (PEM files) sign as its node or its witness.
        own_peer: what it believes for reading; decides releases.
        other_peers: peers of other hospitals that also take submissions and tell a transaction's status.
    """

    channel: str
    contract: str
    genesis: str
    msp: str
    certificate: Path
    key: Path
    own_peer: PeerAddress
    other_peers: tuple[PeerAddress, ...] = ()

    def __post_init__(self) -> None:
        check_msp_id(self.msp, "msp")
        if len(self.genesis) != _DIGEST_CHARACTERS or set(self.genesis) - set("0123456789abcdef"):
            raise Invalid("the genesis digest is 64 hexadecimal digits", reason="connection", place="genesis")
        if self.own_peer.msp != self.msp:
            raise Invalid("the own peer is another organisation's", reason="connection", place="own_peer.msp")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a connection file.

        Raises:
            Invalid: it is no connection file, or of a newer version; ``place`` names the field.
            Unavailable: it cannot be read.
        """
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise Unavailable(f"the connection file cannot be read: {error.strerror}", reason="connection") from error
        return cls.parse(raw, path.parent)

    @classmethod
    def parse(cls, raw: bytes, folder: Path) -> Self:
        """The connection that bytes describe; relative paths are below ``folder``.

        Raises:
            Invalid: as :meth:`read`.
        """
        fields = _fields(raw)
        try:
            return cls(
                channel=_text(fields, "channel"),
                contract=_text(fields, "contract"),
                genesis=_text(fields, "genesis"),
                msp=_text(fields, "msp"),
                certificate=folder / _text(fields, "certificate"),
                key=folder / _text(fields, "key"),
                own_peer=_peer(fields.get("own_peer"), "own_peer", folder),
                other_peers=tuple(
                    _peer(peer, f"other_peers.{at}", folder) for at, peer in enumerate(fields.get("other_peers", []))
                ),
            )
        except (TypeError, AttributeError) as error:
            raise Invalid("a field is of another kind than expected", reason="connection") from error

    def encode(self) -> bytes:
        """The file's bytes."""
        fields = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return (json.dumps(fields, indent=2, default=str, ensure_ascii=False) + "\n").encode()


def _fields(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_BYTES:
        raise Invalid(f"a connection file has at most {MAX_BYTES} bytes", reason="connection")
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Invalid("the connection file is no JSON", reason="connection") from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise Invalid(f"this is no file of format {FORMAT}", reason="connection", place="format")
    if fields.get("version") != VERSION:
        raise Invalid("the connection file is of another version", reason="connection", place="version")
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise Invalid("a connection file names it as text", reason="connection", place=name)
    return value


def _peer(fields: Any, place: str, folder: Path) -> PeerAddress:
    if not isinstance(fields, dict):
        raise Invalid("a peer is {msp, address, tls_root}", reason="connection", place=place)
    name = fields.get("server_name", "")
    if not isinstance(name, str):
        raise Invalid("a name is text", reason="connection", place=f"{place}.server_name")
    return PeerAddress(
        msp=_text(fields, "msp"),
        address=_text(fields, "address"),
        tls_root=folder / _text(fields, "tls_root"),
        server_name=name,
    )
