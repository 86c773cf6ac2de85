"""What several cases work on: contents, sealed objects, Bundles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.identifiers import IDENTIFIER_BYTES, encode_bytes, identifier
from domain.transactions import OrganizationKey, RegisterOrganization
from offchain.envelope.content import Description
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey
from offchain.envelope.suite import SALT_BYTES
from scripts.bench.comparison import Place
from yilian.synthetic.history import write_histories

MIB: Final = 1 << 20
MSP_ID: Final = "NorthMSP"
DESCRIPTION: Final = Description("application/octet-stream")
FHIR_JSON: Final = "application/fhir+json"
_SYNTHETIC_PATIENTS: Final = 12
_SINCE: Final = "2026-01-01T00:00:00Z"


class Skipped(Exception):
    """A case cannot run here; the message says why."""


def fresh_identifier() -> str:
    """A random identifier."""
    return identifier(os.urandom(IDENTIFIER_BYTES))


def fresh_header() -> Header:
    """A header with a random object id and salt."""
    return Header(fresh_identifier(), MSP_ID, os.urandom(SALT_BYTES))


def fresh_key() -> DataKey:
    """A random data key."""
    return DataKey(os.urandom(32))


def registration() -> RegisterOrganization:
    """What lets an organisation write: its address and a key that nobody has."""
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    key = OrganizationKey("signing", "Ed25519", "signing-1", encode_bytes(public), _SINCE, None)
    return RegisterOrganization("http://127.0.0.1:8001", (key,))


def content_file(place: Place) -> Path:
    """A file of random bytes that the page cache holds."""
    path = place.folder / "content"
    with path.open("wb") as file:
        for _ in range(place.mebibytes):
            file.write(os.urandom(MIB))
        os.fsync(file.fileno())
    return path


def pieces(path: Path) -> Iterator[bytes]:
    """A file in pieces of 1 MiB."""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(MIB):
            yield piece


def bundles(place: Place) -> list[bytes]:
    """Synthea's transaction Bundles of the public data set, else made-up ones."""
    found: list[Path] = []
    if place.shared_data is not None:
        found = sorted((place.shared_data / "fhir" / "synthea").glob("*.json"))
    if not found:
        found = list(write_histories(place.folder / "histories", 1, _SYNTHETIC_PATIENTS, "en"))
    return [path.read_bytes() for path in found]
