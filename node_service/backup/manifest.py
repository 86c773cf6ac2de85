"""The manifest of a backup: what belongs to it, with digests, written last and authenticated under the custody keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain import jcs
from domain.checks import check_integer
from domain.errors import Invalid, NotFound, Tampered
from domain.identifiers import check_digest, check_msp_id, decode_bytes, encode_bytes
from domain.instants import check_instant

MANIFEST: Final = "manifest.json"
DATABASE: Final = "node.db"
IDENTITY: Final = "identity.sealed"
OBJECTS_LIST: Final = "objects.txt"
OBJECTS: Final = "objects"
CUSTODY: Final = "custody"
CUSTODY_LOG: Final = "custody.log"
VERSION: Final = 1
MAX_MANIFEST_BYTES: Final = 1 << 16
_PIECE_BYTES: Final = 1 << 20
_NAMES: Final = (IDENTITY, OBJECTS_LIST, CUSTODY_LOG)
_WITH_DATABASE: Final = (*_NAMES, DATABASE)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one backup holds.

    Attributes:
        msp_id: whose it is.
        at: when it was begun: what came later is not in it.
        files: SHA-256 of each file by name, in base64url; the custody snapshot vouches for itself. The database is
            one of them, unless a server has it.
        objects: how many sealed objects the database refers to.
        copied: how many of them lie in the backup itself.
    """

    msp_id: str
    at: str
    files: dict[str, str]
    objects: int
    copied: int

    def __post_init__(self) -> None:
        check_msp_id(self.msp_id, "mspId")
        check_instant(self.at, "at")
        check_integer(self.objects, "objects")
        check_integer(self.copied, "copied")
        if set(self.files) not in (set(_NAMES), set(_WITH_DATABASE)):
            raise Invalid("a backup has exactly its files, with or without database", place="files")
        for name, digest in self.files.items():
            check_digest(digest, f"files.{name}")

    @property
    def has_database(self) -> bool:
        """Whether the database is a part of the backup."""
        return DATABASE in self.files

    def encode(self) -> bytes:
        """The manifest in JCS: what is authenticated."""
        return jcs.canonical(
            {
                "at": self.at,
                "copied": self.copied,
                "files": dict(self.files),
                "mspId": self.msp_id,
                "objects": self.objects,
                "version": VERSION,
            }
        )

    @classmethod
    def of_folder(
        cls, folder: Path, msp_id: str, at: str, objects: int, copied: int, *, has_database: bool
    ) -> Manifest:
        """The manifest of what lies in a folder now; whether a database belongs to it says who made the backup."""
        names = _WITH_DATABASE if has_database else _NAMES
        return cls(msp_id, at, {name: file_digest(folder / name) for name in names}, objects, copied)

    def verify_files(self, folder: Path) -> None:
        """Read every file again.

        Raises:
            Tampered: one is missing or differs.
        """
        for name, digest in self.files.items():
            if not (folder / name).is_file() or file_digest(folder / name) != digest:
                raise Tampered("a file of the backup is not what was backed up", reason="backup", place=name)


def file_digest(path: Path) -> str:
    """SHA-256 of a file in base64url."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return encode_bytes(digest.digest())


def encode_signed(manifest: Manifest, mac: bytes) -> bytes:
    """The file: JCS {"mac", "manifest"}."""
    encoded = jcs.parse_object(manifest.encode(), max_bytes=MAX_MANIFEST_BYTES)
    return jcs.canonical({"mac": encode_bytes(mac), "manifest": encoded})


def read_signed(folder: Path) -> tuple[Manifest, bytes]:
    """The manifest of a backup and its authentication code, which the caller verifies.

    Raises:
        NotFound: there is no whole backup here.
        Tampered: it is no manifest.
    """
    try:
        with (folder / MANIFEST).open("rb") as file:
            encoded = file.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound("there is no finished backup in this folder", reason="no-backup") from None
    return parse_signed(encoded)


def parse_signed(encoded: bytes) -> tuple[Manifest, bytes]:
    """Read what :func:`encode_signed` wrote.

    Raises:
        Tampered: it is no manifest.
    """
    try:
        fields = jcs.parse_object(encoded, max_bytes=MAX_MANIFEST_BYTES)
        manifest, mac = _manifest(fields.get("manifest")), decode_bytes(fields.get("mac"), "mac", length=32)
        if encode_signed(manifest, mac) != encoded:
            raise Invalid("something stands in the manifest that is not authenticated", place="manifest")
    except Invalid as error:
        raise Tampered("the manifest of the backup cannot be read", reason="backup", place=MANIFEST) from error
    return manifest, mac


def _manifest(value: jcs.JsonValue) -> Manifest:
    if not isinstance(value, dict) or value.get("version") != VERSION or not isinstance(value.get("files"), dict):
        raise Invalid("this is no manifest of version 1", place="version")
    files = {name: check_digest(digest, name) for name, digest in dict(value["files"]).items()}  # type: ignore[arg-type]
    objects, copied = value.get("objects"), value.get("copied")
    if not isinstance(objects, int) or not isinstance(copied, int):
        raise Invalid("the manifest counts objects", place="objects")
    return Manifest(
        check_msp_id(value.get("mspId"), "mspId"), check_instant(value.get("at"), "at"), files, objects, copied
    )
