"""Transport security of the service: files in PEM, read again for each connection, so that renewal needs no restart."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from domain.errors import Invalid, Unavailable, YilianError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the material lies.

    Attributes:
        certificate: the service's certificate, with intermediate ones after it.
        key: its private key, unencrypted, readable by the service's account only.
        client_roots: authorities of peers' certificates; None accepts any client.
    """

    certificate: Path
    key: Path
    client_roots: Path | None = None


def tls_files(certificate: Path | None, key: Path | None, client_roots: Path | None) -> TlsFiles | None:
    """The files that a command line names; None where it names none.

    Raises:
        Invalid: some of them without the others.
    """
    if certificate is None and key is None and client_roots is None:
        return None
    if certificate is None or key is None:
        raise Invalid("TLS needs a certificate and its key", reason="tls", place="tls")
    return TlsFiles(certificate, key, client_roots)


@dataclass(frozen=True, slots=True)
class _Material:
    certificate: bytes
    key: bytes
    client_roots: bytes | None

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(self.key, self.certificate)], self.client_roots)


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that follow the files. New files count from the next connection on, once they fit together.

    Raises:
        Invalid: certificate, key and roots do not fit together now.
        Unavailable: one of them cannot be read.
    """
    present = _read(files)
    renewal = _Renewal(files, present)
    return grpc.dynamic_ssl_server_credentials(
        present.configuration(),
        renewal.fetch,  # type: ignore[arg-type]  # None means "as before"
        require_client_authentication=files.client_roots is not None,
    )


class _Renewal:
    """What gRPC asks before each handshake."""

    def __init__(self, files: TlsFiles, present: _Material) -> None:
        self._files = files
        self._present = present
        self._lock = threading.Lock()

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """The new configuration, or None to keep the present one, also while new files do not fit together yet."""
        with self._lock:
            try:
                found = _read(self._files)
            except YilianError as error:
                _LOG.error("TLS files cannot be used, those before stay in use: %s at %s", error.reason, error.place)
                return None
            if found == self._present:
                return None
            self._present = found
            _LOG.info("TLS files were renewed")
            return found.configuration()


def _read(files: TlsFiles) -> _Material:
    roots = None if files.client_roots is None else _bytes(files.client_roots)
    found = _Material(_bytes(files.certificate), _bytes(files.key), roots)
    try:
        certificate = x509.load_pem_x509_certificates(found.certificate)[0]
        key = serialization.load_pem_private_key(found.key, password=None)
        if roots is not None:
            x509.load_pem_x509_certificates(roots)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid("a TLS file is not what it should be", reason="bad-tls-file", place="tls") from error
    if certificate.public_key() != key.public_key():
        raise Invalid("TLS certificate and key do not belong together", reason="bad-tls-file", place="tls")
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable("a TLS file cannot be read", reason="no-tls-file", place=path.name) from error
