"""The gRPC channel to a peer: TLS or mutual TLS, with bounds on messages, metadata, silence and reconnection."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from network.fabric.gateway.errors import MalformedError

MAX_MESSAGE_BYTES = 100 * 1024 * 1024
MAX_METADATA_BYTES = 1024 * 1024
KEEPALIVE_MS = 75_000
KEEPALIVE_TIMEOUT_MS = 20_000
FIRST_BACKOFF_MS = 200
LAST_BACKOFF_MS = 1_000
CONNECT_TIMEOUT_MS = 10_000

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Details of every endorser travel in the trailing metadata; beyond the default of 8 KiB the whole answer is lost.
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    # A peer hangs up on clients that ping more often than once a minute (keepalive.minInterval).
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", FIRST_BACKOFF_MS),
    # By its name a pause, by its effect the time that one attempt has, TLS handshake included.
    ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
    ("grpc.max_reconnect_backoff_ms", LAST_BACKOFF_MS),
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a client shows in mutual TLS, both in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    def hash(self) -> bytes:
        """SHA-256 of the certificate: ``tls_certificate_hash`` of ``connect``, which block events bind to it.

        Raises:
            MalformedError: the certificate is none.
        """
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate)
        except ValueError as error:
            raise MalformedError("the client certificate is no PEM certificate") from error
        return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def tls_channel(
    address: str, tls_root: bytes, *, server_name: str = "", client: ClientCertificate | None = None
) -> grpc.Channel:
    """A channel to one peer; whoever makes it closes it, after every gateway that uses it.

    Args:
        address: ``host:port``.
        tls_root: certificates (PEM) of the authorities that may have issued the peer's TLS certificate.
        server_name: the name in that certificate where it is not the host.
        client: own certificate, for mutual TLS.
    """
    credentials = grpc.ssl_channel_credentials(
        tls_root, client.key if client else None, client.certificate if client else None
    )
    override = (("grpc.ssl_target_name_override", server_name),) if server_name else ()
    return grpc.secure_channel(address, credentials, options=_OPTIONS + override)


def plain_channel(address: str) -> grpc.Channel:
    """A channel without TLS, for a peer on the same machine in a test."""
    return grpc.insecure_channel(address, options=_OPTIONS)
