"""Restoring a node from a backup into an empty data folder, and saying what the backup does not hold.

A database on PostgreSQL was restored by its server's own tools before; it is compared with keys and objects, and left
as it is.
"""

from __future__ import annotations

import hmac
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.errors import Conflict, Invalid, Tampered, Unavailable
from node_service import secrets
from node_service.backup.archive import identity_files, sqlite_path
from node_service.backup.held import Held, HeldInFile, HeldOnServer
from node_service.backup.manifest import CUSTODY_LOG, DATABASE, IDENTITY, Manifest, read_signed
from node_service.backup.ports import BackupKeys, CopyObjects, CustodyToRestore, RestoredCustody
from node_service.settings import Settings

RECORDS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was restored, and what was not.

    Attributes:
        manifest: of the backup.
        records: how many records (and kept Bundles) the database holds, erased ones apart.
        without_key: those whose secret is in no snapshot: newer than its last increment; to be stored again.
        forgotten: those that were forgotten after the backup was made: their erasure is to be done again.
        missing_objects: digests of sealed objects that were not in the backup; nothing fetches them by itself.
    """

    manifest: Manifest
    records: int
    without_key: tuple[str, ...]
    forgotten: tuple[str, ...]
    missing_objects: tuple[str, ...]


def restore(
    settings: Settings,
    folder: Path,
    custody: CustodyToRestore,
    custody_folder: str,
    copy_into: Callable[[Path], CopyObjects],
    at: str,
) -> RestoreReport:
    """Restore a backup; the data folder appears whole or not at all.

    Args:
        settings: of the node to be; its data folder is empty or does not exist.
        custody_folder: name of the custody's folder within the data folder.
        copy_into: copies objects of the backup into the store of a data folder.

    Raises:
        Conflict: the data folder is in use, the backup is another hospital's, root key and snapshot do not fit, or the
            server's database is empty or of other keys.
        Invalid: the backup is of a node with another kind of database than the settings name.
        NotFound: there is no finished backup.
        Tampered: something in the backup was altered.
        Unavailable: the disk failed.
    """
    manifest = verified_manifest(folder, custody.keys)
    if manifest.msp_id != settings.msp_id:
        raise Conflict("the backup is another hospital's", reason="other-hospital", place=manifest.msp_id)
    target, on_server = settings.data_dir, _on_server(settings, manifest)
    if target.exists() and any(target.iterdir()):
        raise Conflict("the data folder is not empty; a restore never overwrites", reason="not-empty")
    building = target.with_name(f".{target.name}.restoring")
    shutil.rmtree(building, ignore_errors=True)
    try:
        building.mkdir(mode=0o700, parents=True)
        _put_identity(building, custody.keys.open((folder / IDENTITY).read_bytes()))
        database = on_server or _put_database(folder, building)
        restored = custody.restore(building / custody_folder, folder / CUSTODY_LOG, at)
        database.verify_keys(secrets.load(building), restored.key_ids)
        held = database.read()
        if held.newest > at:  # the clock here is behind the one of then
            restored.note_lost(held.newest)
        report = _report(manifest, held, restored, copy_into(building))
        _sync_tree(building)
        building.replace(target)
    except OSError as error:
        raise Unavailable(f"the data folder cannot be written: {error.strerror}", reason="disk") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return report


def verified_manifest(folder: Path, keys: BackupKeys) -> Manifest:
    """The manifest, after its authentication code and the digests of all files were verified.

    Raises:
        NotFound: there is no finished backup.
        Tampered: something was altered, or the keys are another hospital's.
    """
    manifest, mac = read_signed(folder)
    if not hmac.compare_digest(keys.authenticate(manifest.encode()), mac):
        raise Tampered("the backup was not made with these keys, or was altered", reason="backup")
    manifest.verify_files(folder)
    return manifest


def _put_identity(building: Path, identity: bytes) -> None:
    for name, content in identity_files(identity).items():
        descriptor = os.open(building / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _on_server(settings: Settings, manifest: Manifest) -> HeldOnServer | None:
    """The restored database of a server; None where the backup has the database."""
    if sqlite_path(settings) is not None:
        if not manifest.has_database:
            raise Invalid(
                "the backup is of a node on PostgreSQL: restore the server's own backup and name it",
                reason="database", place="YILIAN_DATABASE_URL",
            )  # fmt: skip
        return None
    if manifest.has_database:
        raise Invalid(
            "the backup holds a database of SQLite: leave this empty", reason="database", place="YILIAN_DATABASE_URL"
        )
    return HeldOnServer(settings.sqlalchemy_url)


def _put_database(folder: Path, building: Path) -> HeldInFile:
    shutil.copyfile(folder / DATABASE, building / DATABASE)
    (building / DATABASE).chmod(0o600)
    return HeldInFile(building / DATABASE)


def _report(manifest: Manifest, held: Held, custody: RestoredCustody, copy: CopyObjects) -> RestoreReport:
    without, forgotten = list[str](), list[str]()
    for start in range(0, len(held.records), RECORDS_AT_ONCE):
        batch = held.records[start : start + RECORDS_AT_ONCE]
        for record, standing in zip(batch, custody.standing(batch), strict=True):
            if standing == "unknown":
                without.append(record)
            elif standing == "forgotten":
                forgotten.append(record)
    return RestoreReport(manifest, len(held.records), tuple(without), tuple(forgotten), copy(held.digests))


def _sync_tree(folder: Path) -> None:
    """Objects and custody were synced when they were written; this is for the rest and for the names."""
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
