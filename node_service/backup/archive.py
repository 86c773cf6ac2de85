"""Making a backup: database, objects, record secrets, identity keys, and the manifest last.

A database on PostgreSQL is archived by its server's own tools before the rest (docs/operations.md, “PostgreSQL”).
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain import jcs
from domain.errors import Conflict, Invalid, Unavailable
from node_service import secrets
from node_service.backup.held import HeldDatabase, HeldInFile, HeldOnServer
from node_service.backup.manifest import (
    CUSTODY,
    CUSTODY_LOG,
    DATABASE,
    IDENTITY,
    MANIFEST,
    OBJECTS_LIST,
    Manifest,
    encode_signed,
)
from node_service.backup.ports import CopyObjects, CustodyToBackUp
from node_service.profiles import KEY_ORIGIN_FILE
from node_service.settings import Settings

_PAGES_AT_ONCE: Final = 4096
STORE_ID_FILE: Final = "store-id"
"""By which the restored node finds again what it has in IPFS (``offchain/stores/opening.py``)."""
IDENTITY_FILES: Final = (secrets.FILE_NAME, KEY_ORIGIN_FILE, STORE_ID_FILE)


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds.

    Attributes:
        manifest: of the backup.
        gone: digests that the database names and the store has not: erased meanwhile, or lost.
    """

    manifest: Manifest
    gone: tuple[str, ...]


def back_up(
    settings: Settings, custody: CustodyToBackUp, copy: CopyObjects | None, folder: Path, at: str
) -> BackupReport:
    """Back a node up, while it runs, into a folder that is new or empty.

    The database comes first: objects and secrets are durable before the rows that need them, so what is copied
    later holds all that the archive refers to. PostgreSQL's base backup is made before this one for that reason.

    Args:
        copy: copies objects into the backup; None where the store has a backup of its own.

    Raises:
        Conflict: there is something in the folder: a backup, or one that broke off.
        Tampered: an object of the store was altered.
        Unavailable: disk, database, store or custody.
    """
    _make_folder(folder)
    digests = _database(settings, folder).read().digests
    gone = () if copy is None else copy(digests)
    _write(folder / OBJECTS_LIST, "".join(f"{digest}\n" for digest in digests).encode())
    custody.snapshot(folder / CUSTODY)
    custody.copy_log(folder / CUSTODY_LOG)
    keys = custody.backup_keys()
    _write(folder / IDENTITY, keys.seal(_identity(settings.data_dir)))
    copied = 0 if copy is None else len(digests) - len(gone)
    has_database = sqlite_path(settings) is not None
    manifest = Manifest.of_folder(folder, settings.msp_id, at, len(digests), copied, has_database=has_database)
    _write(folder / MANIFEST, encode_signed(manifest, keys.authenticate(manifest.encode())))
    return BackupReport(manifest, gone)


def sqlite_path(settings: Settings) -> Path | None:
    """The file of the node's database; None where a server has it.

    Raises:
        Invalid: a database that no backup knows.
    """
    kind, _, path = settings.sqlalchemy_url.partition(":")
    if kind.startswith("postgresql"):
        return None
    if kind != "sqlite" or not path.startswith("///") or path == "///":
        raise Invalid("backups know SQLite's file and PostgreSQL", reason="database", place="YILIAN_DATABASE_URL")
    return Path(path.removeprefix("///"))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"the backup's folder cannot be made: {error.strerror}", reason="folder") from error
    if (folder / MANIFEST).exists():
        raise Conflict("there is a backup in this folder already", reason="backup-exists")
    if any(folder.iterdir()):
        raise Conflict("the backup's folder is not empty: name a new one", reason="not-empty")


def _database(settings: Settings, folder: Path) -> HeldDatabase:
    """The archived database; on a server the present one, which refers to all that an archive before it did."""
    source = sqlite_path(settings)
    if source is None:
        return HeldOnServer(settings.sqlalchemy_url)
    _archive_file(source, folder / DATABASE)
    return HeldInFile(folder / DATABASE)


def _archive_file(source: Path, target: Path) -> None:
    """SQLite's online backup: one consistent state, also while the node writes."""
    target.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.backup(copy, pages=_PAGES_AT_ONCE)
            copy.execute("PRAGMA journal_mode=DELETE")
            if copy.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                raise Unavailable("the archived database is damaged; try again", reason="backup")
    except sqlite3.Error as error:
        raise Unavailable("the database cannot be archived now", reason="backup") from error
    target.chmod(0o600)
    _sync(target)


def _identity(data_dir: Path) -> bytes:
    files = {name: (data_dir / name).read_text() for name in IDENTITY_FILES if (data_dir / name).exists()}
    return jcs.canonical(dict(files))


def identity_files(identity: bytes) -> dict[str, bytes]:
    """The identity keys' files by name.

    Raises:
        Invalid: something else was sealed.
    """
    files = json.loads(identity)
    if not isinstance(files, dict) or not set(files) <= set(IDENTITY_FILES):
        raise Invalid("the backup seals no identity keys", reason="backup")
    return {name: str(text).encode() for name, text in files.items()}


def _write(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync(path.parent)
    except OSError as error:
        raise Unavailable(f"the backup cannot be written: {error.strerror}", reason="backup") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
