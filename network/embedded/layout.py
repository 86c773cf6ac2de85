"""Where everything of an embedded ledger lies below its directory.

    ledger.db                                         blocks, state, history (SQLite, WAL)
    channel.json                                      channel, contract, header hash of the genesis block, organisations
    organisations/<MSP id>/ca/{cert,key}.pem          root certificate authority of the organisation
    organisations/<MSP id>/peer/{cert,key}.pem        endorser (OU peer)
    organisations/<MSP id>/node/{cert,key}.pem        node service (OU client, attribute yilian.role=node)
    organisations/<MSP id>/auditor/{cert,key}.pem     auditor (OU client, attribute yilian.role=auditor)
    organisations/<MSP id>/admin/{cert,key}.pem       administrator (OU admin)
    orderer/<MSP id>/{ca,orderer,admin}/{cert,key}.pem  the ordering organisation; signs the blocks

Directories have mode 0700, files 0600.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from domain.errors import Invalid, Unavailable
from domain.identifiers import check_msp_id

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one embedded ledger."""

    directory: Path

    @property
    def database(self) -> Path:
        return self.directory / "ledger.db"

    @property
    def channel(self) -> Path:
        return self.directory / "channel.json"

    def identity(self, msp_id: str, role: str) -> Path:
        """The folder with ``cert.pem`` and ``key.pem`` of an organisation's identity."""
        return self.directory / "organisations" / check_msp_id(msp_id, "msp_id") / role

    def ordering(self, msp_id: str, role: str) -> Path:
        """The same for the ordering organisation."""
        return self.directory / "orderer" / check_msp_id(msp_id, "msp_id") / role


def create_directory(path: Path) -> None:
    """Makes a directory that only its owner may enter; what is there stays.

    Raises:
        Invalid: it holds something already, or is no directory.
        Unavailable: the disk refuses.
    """
    try:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise Invalid("the directory is not empty", reason="not-empty", place=path.name)
        path.chmod(DIRECTORY_MODE)
    except (FileExistsError, NotADirectoryError) as error:
        raise Invalid("there is a file of that name", reason="not-empty", place=path.name) from error
    except OSError as error:
        raise Unavailable(f"the directory cannot be made: {error.strerror}", place=path.name) from error


def write_file(path: Path, content: bytes) -> None:
    """Writes a new file durably that only its owner may read.

    Raises:
        Unavailable: the disk refuses, or the file is there.
    """
    try:
        for folder in reversed(path.parents):
            folder.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        sync_directory(path.parent)
    except OSError as error:
        raise Unavailable(f"the file cannot be written: {error.strerror}", place=path.name) from error


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
