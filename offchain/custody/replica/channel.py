"""The channel between store and replica: TLS 1.3, each end pinned to the other's one certificate; framed messages.

A message is length 4 ‖ JCS header ‖ body; the header says how many bytes the body has.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from domain import jcs
from domain.errors import Conflict, Invalid, Unavailable
from offchain.disk import Disk, disk_errors

OWN: Final = "own.pem"
PEER: Final = "peer.pem"
ENDS: Final = ("store", "replica")
MAX_HEADER_BYTES: Final = 4096
MAX_BODY_BYTES: Final = 1 << 32
VALID_FOR: Final = timedelta(days=5 * 365)
_PIECE_BYTES: Final = 1 << 20


def make_channel(folder: Path, now: datetime, disk: Disk | None = None) -> None:
    """Make fresh keys and certificates of both ends, in the folders ``store`` and ``replica``.

    Raises:
        Conflict: there is a channel already.
        Unavailable: the disk failed.
    """
    disk = disk or Disk()
    made = {end: _key_and_certificate(end, now) for end in ENDS}
    for end, other in zip(ENDS, reversed(ENDS), strict=True):
        with disk_errors("making the channel's folders"):
            (folder / end).mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / end / OWN).exists():
            raise Conflict("there is a channel already", reason="channel-exists")
        disk.write_file(folder / end / OWN, made[end], sync=True)
        disk.write_file(folder / end / PEER, (made[other][1],), sync=True)


def _key_and_certificate(end: str, now: datetime) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"yilian custody {end}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.PEM)


def channel_context(folder: Path, *, server: bool) -> ssl.SSLContext:
    """One end of the channel: it speaks to the holder of the pinned certificate and to nobody else.

    Raises:
        Unavailable: the folder has no keys.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate itself is pinned: it is the only one that verifies
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(folder / OWN)
        context.load_verify_locations(folder / PEER)
    except (OSError, ssl.SSLError):
        raise Unavailable("the keys of the channel to the replica cannot be read", reason="channel-keys") from None
    return context


def send(connection: ssl.SSLSocket, fields: jcs.JsonObject, body: Iterable[bytes] = (), *, body_bytes: int = 0) -> None:
    """Send one message.

    Raises:
        OSError: the connection failed.
    """
    header = jcs.canonical(fields | {"bytes": body_bytes})
    connection.sendall(len(header).to_bytes(4, "big") + header)
    for piece in body:
        connection.sendall(piece)


def receive_header(connection: ssl.SSLSocket) -> tuple[jcs.JsonObject, int]:
    """The header of the next message and the length of its body.

    Raises:
        EOFError: the other end has closed.
        Invalid: no header, or beyond the bounds.
        OSError: the connection failed.
    """
    length = int.from_bytes(_exactly(connection, 4), "big")
    if not 0 < length <= MAX_HEADER_BYTES:
        raise Invalid("a header of at most 4096 bytes is expected", place="header")
    fields = jcs.parse_object(_exactly(connection, length), max_bytes=MAX_HEADER_BYTES)
    body_bytes = fields.get("bytes")
    if not isinstance(body_bytes, int) or not 0 <= body_bytes <= MAX_BODY_BYTES:
        raise Invalid("the header says no possible length", place="bytes")
    return fields, body_bytes


def receive_body(connection: ssl.SSLSocket, body_bytes: int) -> Iterator[bytes]:
    """The body of a message, piece by piece.

    Raises:
        EOFError: the other end closed before its end.
        OSError: the connection failed.
    """
    left = body_bytes
    while left:
        piece = connection.recv(min(left, _PIECE_BYTES))
        if not piece:
            raise EOFError
        left -= len(piece)
        yield piece


def _exactly(connection: ssl.SSLSocket, count: int) -> bytes:
    return b"".join(receive_body(connection, count))
