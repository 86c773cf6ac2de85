"""The package that a peer installs so that it knows where the contract runs ("chaincode as a service").

Source: Hyperledger Fabric ``core/chaincode/persistence`` (package and label) and ``core/container/externalbuilder``
(``connection.json``). The package holds an address and no program: ``metadata.json`` {type, label} and ``code.tar.gz``
with ``connection.json``. The same content gives the same bytes on every machine, so everybody can compute a hospital's
package id: archives are stored, not compressed, because compressors differ between versions.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any, Final

from domain.errors import Invalid

TYPE: Final = "ccaas"
METADATA_FILE: Final = "metadata.json"
CODE_FILE: Final = "code.tar.gz"
CONNECTION_FILE: Final = "connection.json"
MAX_LABEL_CHARACTERS: Final = 128
MAX_CONNECTION_BYTES: Final = 1 << 20
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_FILE_MODE: Final = 0o644
_GZIP_HEADER: Final = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
"""RFC 1952: deflate, no flags, no time, unknown operating system."""

_MAX_STORED_BYTES: Final = 0xFFFF


def build_package(label: str, connection: Mapping[str, Any]) -> bytes:
    """The package's bytes, always the same for the same content.

    Args:
        label: what the operator calls this version, for example ``yilian_1``.
        connection: what the peer dials with: ``address``, ``dial_timeout``, ``tls_required``, ``root_cert``, and for
            mutual TLS ``client_auth_required``, ``client_cert``, ``client_key`` (PEM texts).

    Raises:
        Invalid: a label that Fabric refuses, or a connection without address, that is no JSON, or of over 1 MiB.
    """
    _check_label(label)
    code = _archive({CONNECTION_FILE: _connection(connection)})
    return _archive({METADATA_FILE: _json({"label": label, "type": TYPE}), CODE_FILE: code})


def package_id(label: str, package: bytes) -> str:
    """How peers name an installed package, and what the contract registers as: label ‖ ":" ‖ hex(SHA-256).

    Raises:
        Invalid: a label that Fabric refuses.
    """
    return f"{_check_label(label)}:{hashlib.sha256(package).hexdigest()}"


def _check_label(label: str) -> str:
    if len(label) > MAX_LABEL_CHARACTERS or not _LABEL.fullmatch(label):
        raise Invalid("a label is letters and digits, then also _ . + -", reason="label", place="label")
    return label


def _connection(connection: Mapping[str, Any]) -> bytes:
    if not isinstance(connection.get("address"), str) or not connection["address"]:
        raise Invalid("the connection names no address", reason="connection", place="address")
    try:
        encoded = _json(connection)
    except (TypeError, ValueError) as error:
        raise Invalid("the connection is no JSON", reason="connection", place=CONNECTION_FILE) from error
    if len(encoded) > MAX_CONNECTION_BYTES:
        raise Invalid(f"a connection has at most {MAX_CONNECTION_BYTES} bytes", reason="connection")
    return encoded


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def _archive(files: Mapping[str, bytes]) -> bytes:
    """A USTAR archive of regular files without owner and time, in gzip."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), _FILE_MODE
            archive.addfile(entry, io.BytesIO(content))
    return _gzip(raw.getvalue())


def _gzip(content: bytes) -> bytes:
    """RFC 1952 over the stored blocks of RFC 1951, section 3.2.4."""
    starts = range(0, len(content), _MAX_STORED_BYTES)
    blocks = (
        struct.pack("<BHH", start == starts[-1], len(block), len(block) ^ _MAX_STORED_BYTES) + block
        for start in starts
        for block in (content[start : start + _MAX_STORED_BYTES],)
    )
    return _GZIP_HEADER + b"".join(blocks) + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
