"""The wallet's file: boxes sealed under a passphrase (Argon2id, RFC 9106; XSalsa20-Poly1305 of PyNaCl).

The seed has a box of its own, and so has each hospital. Daily use opens only the box of one hospital; the seed's box
opens for enrolment, rotation and recovery alone. Each box has its own key: BLAKE2b keyed with the Argon2id output over
the box's name. The file is replaced as a whole and durably, never changed in place.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.utils import random

from domain import jcs
from domain.checks import check_integer
from domain.errors import Denied, Invalid
from domain.identifiers import decode_bytes, encode_bytes

SEED_BOX: Final = "seed"
INDEX_BOX: Final = "index"
MIN_PASSPHRASE_CHARACTERS: Final = 10
MAX_FILE_BYTES: Final = 16 << 20
OPSLIMIT: Final = pwhash.argon2id.OPSLIMIT_MODERATE
MEMLIMIT: Final = pwhash.argon2id.MEMLIMIT_MODERATE
_KDF: Final = "argon2id"
_LIMITS: Final = {
    "opslimit": (pwhash.argon2id.OPSLIMIT_MIN, 16),
    "memlimit": (pwhash.argon2id.MEMLIMIT_MIN, 2 << 30),
}
"""What a file may ask for, so that an altered one cannot eat the machine; other values than its own never open it."""
_MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class _Work:
    """The parameters of Argon2id that a wallet file names."""

    salt: bytes
    opslimit: int
    memlimit: int

    def key(self, passphrase: str) -> bytes:
        return bytes(
            pwhash.argon2id.kdf(SecretBox.KEY_SIZE, passphrase.encode(), self.salt, self.opslimit, self.memlimit)
        )


class Vault:
    """An open wallet file; keeps the passphrase's key, opens boxes one at a time."""

    def __init__(self, path: Path, work: _Work, master: bytes, boxes: dict[str, bytes]) -> None:
        self._path, self._work, self._master, self._boxes = path, work, master, boxes

    def __repr__(self) -> str:
        return f"Vault({self._path.name!r})"

    @classmethod
    def create(cls, path: Path, passphrase: str) -> Self:
        """Make a new, empty wallet file.

        Raises:
            Invalid: the file exists, or the passphrase is too short.
        """
        if path.exists():
            raise Invalid(f"there is a wallet already at {path}", reason="wallet-exists")
        if len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
            raise Invalid(f"the passphrase needs at least {MIN_PASSPHRASE_CHARACTERS} characters", reason="passphrase")
        work = _Work(random(pwhash.argon2id.SALTBYTES), OPSLIMIT, MEMLIMIT)
        vault = cls(path, work, work.key(passphrase), {})
        vault.put(INDEX_BOX, {"hospitals": {}})
        return vault

    @classmethod
    def open(cls, path: Path, passphrase: str) -> Self:
        """Open a wallet file.

        Raises:
            Invalid: no wallet there, or of an unknown version.
            Denied: the passphrase does not fit, or the file was altered.
        """
        fields = _read(path)
        salt = decode_bytes(fields.get("salt"), "salt", length=pwhash.argon2id.SALTBYTES)
        boxes = {name: decode_bytes(box, name, max_length=MAX_FILE_BYTES) for name, box in fields["boxes"].items()}
        work = _Work(salt, fields["opslimit"], fields["memlimit"])
        vault = cls(path, work, work.key(passphrase), boxes)
        vault.get(INDEX_BOX)
        return vault

    def names(self) -> list[str]:
        """The names of the boxes."""
        return sorted(self._boxes)

    def get(self, name: str) -> dict[str, Any]:
        """The content of one box.

        Raises:
            Denied: the passphrase does not fit, or the box was altered or is not there.
        """
        try:
            content: dict[str, Any] = json.loads(SecretBox(self._box_key(name)).decrypt(self._boxes[name]))
        except (CryptoError, KeyError):
            raise Denied("the passphrase does not fit this wallet, or its file was altered", reason="vault") from None
        return content

    def put(self, name: str, content: dict[str, Any]) -> None:
        """Seal a box and write the file durably."""
        boxes = dict(self._boxes)
        boxes[name] = bytes(SecretBox(self._box_key(name)).encrypt(json.dumps(content).encode()))
        self._write(boxes)
        self._boxes = boxes

    def remove(self, name: str) -> None:
        """Take a box out and write the file durably; nothing happens if it is not there."""
        boxes = {kept: box for kept, box in self._boxes.items() if kept != name}
        if boxes != self._boxes:
            self._write(boxes)
            self._boxes = boxes

    def _box_key(self, name: str) -> bytes:
        return hashlib.blake2b(name.encode(), key=self._master, digest_size=SecretBox.KEY_SIZE).digest()

    def _write(self, boxes: dict[str, bytes]) -> None:
        fields = {
            "v": 1, "kdf": _KDF, "opslimit": self._work.opslimit, "memlimit": self._work.memlimit,
            "salt": encode_bytes(self._work.salt),
            "boxes": {name: encode_bytes(box) for name, box in sorted(boxes.items())},
        }  # fmt: skip
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".wallet-")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(fields, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(self._path.parent)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            fields = jcs.load(file.read(MAX_FILE_BYTES + 1), max_bytes=MAX_FILE_BYTES, max_depth=_MAX_DEPTH)
    except FileNotFoundError:
        raise Invalid(
            f"there is no wallet at {path}; make one with 'yilian wallet create'", reason="no-wallet"
        ) from None
    except (OSError, Invalid):
        raise Invalid(f"{path} is not a wallet that can be read", reason="wallet-file") from None
    if not isinstance(fields, dict) or fields.get("v") != 1 or not isinstance(fields.get("boxes"), dict):
        raise Invalid(f"{path} is not a wallet of a version that this program knows", reason="wallet-file")
    if fields.get("kdf") != _KDF:
        raise Invalid(f"{path} names another key derivation than this program knows", reason="wallet-file")
    for limit, (least, most) in _LIMITS.items():
        check_integer(fields.get(limit), limit, low=least, high=most)
    return fields


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
