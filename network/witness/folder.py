"""A witness's own folder: what it witnesses, its key, its database. Nobody else needs to read it.

witness.json      channel, contract, genesis block, member: fixed when the witness was made
witness.key       Ed25519 seed, 32 bytes (mode 0600)
witness-key.json  the public key, for the member's node to publish (YILIAN_WITNESS_KEY_FILE)
witness.db        what it verified and signs
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import jcs, wire
from domain.checks import check_integer, check_text
from domain.errors import Conflict, Invalid, NotFound, Unavailable
from domain.identifiers import check_msp_id, encode_bytes
from domain.ports import RandomSource
from domain.witness_key import WitnessPublicKey

VERSION: Final = 1
SEED_BYTES: Final = 32
PUBLIC_KEY_FILE: Final = "witness-key.json"
DATABASE_FILE: Final = "witness.db"
_IDENTITY_FILE: Final = "witness.json"
_KEY_FILE: Final = "witness.key"
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_MAX_FILE_BYTES: Final = 4096
_GENESIS = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class WitnessIdentity:
    """What a witness witnesses, and for whom; ``genesis`` is the hex header hash of block 0."""

    channel: str
    contract: str
    genesis: str
    msp: str

    def __post_init__(self) -> None:
        check_text(self.channel, "channel", max_characters=249)
        check_text(self.contract, "contract", max_characters=64)
        check_msp_id(self.msp, "msp")
        if not isinstance(self.genesis, str) or not _GENESIS.fullmatch(self.genesis):
            raise Invalid("the genesis digest is 64 lower-case hexadecimal digits", place="genesis")


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """The witness's Ed25519 key; it signs what this process verified, and nothing else has it."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise Invalid("the witness's key is not of 32 bytes", reason="bad-key", place=_KEY_FILE)

    @property
    def public(self) -> bytes:
        """The public key."""
        return self._private().public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature (RFC 8032)."""
        return self._private().sign(message)

    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def create(folder: Path, identity: WitnessIdentity, random: RandomSource) -> WitnessPublicKey:
    """Make a witness: its folder and its key. ``witness.json`` comes last; without it the next run begins again.

    Raises:
        Conflict: there is a witness already.
        Unavailable: the disk refuses.
    """
    if (folder / _IDENTITY_FILE).exists():
        raise Conflict("there is a witness in this folder already", reason="witness-exists", place=folder.name)
    key = WitnessKey(random(SEED_BYTES))
    public = WitnessPublicKey(identity.channel, identity.msp, encode_bytes(key.public))
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        folder.chmod(_FOLDER_MODE)
        _write(folder / _KEY_FILE, key.seed)
        _write(folder / PUBLIC_KEY_FILE, public.encode())
        _write(folder / _IDENTITY_FILE, jcs.canonical({"v": VERSION, **wire.to_json(identity)}))
    except OSError as error:
        raise Unavailable(f"the witness cannot be made: {error.strerror}", reason="folder") from error
    return public


def load(folder: Path) -> tuple[WitnessIdentity, WitnessKey]:
    """Read a witness's identity and key.

    Raises:
        NotFound: there is no witness.
        Invalid: a file is not of its form.
        Unavailable: a file cannot be read.
    """
    try:
        fields = jcs.parse_object((folder / _IDENTITY_FILE).read_bytes(), max_bytes=_MAX_FILE_BYTES)
        seed = (folder / _KEY_FILE).read_bytes()
    except FileNotFoundError as error:
        raise NotFound("there is no witness in this folder", reason="no-witness", place=folder.name) from error
    except OSError as error:
        raise Unavailable(f"the witness's files cannot be read: {error.strerror}", reason="folder") from error
    check_integer(fields.pop("v", None), "v", low=VERSION, high=VERSION)
    return wire.from_json(WitnessIdentity, fields, _IDENTITY_FILE), WitnessKey(seed)


def _write(path: Path, content: bytes) -> None:
    """Durably, under its final name only as a whole, for the owner's eyes."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
