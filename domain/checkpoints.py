"""Checkpoints of a witness log: the body that all witnesses sign, and the signed note around it.

Source: C2SP ``tlog-checkpoint`` and ``signed-note``; ``golang.org/x/mod/sumdb/note`` reads what is written here.
Narrower than those: a checkpoint has no extension lines, and no key signs a note twice. All witnesses of a channel
sign the same body, so notes of one size are merged by joining their signature lines (docs/formats/witness.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from domain import ed25519
from domain.checks import check_integer
from domain.errors import Invalid, Tampered
from domain.identifiers import DIGEST_BYTES, check_msp_id

Sign = Callable[[bytes], bytes]
WitnessKeys = Mapping[str, Sequence[bytes]]
"""The Ed25519 keys of each member's witness, by MSP id."""

MAX_NOTE_BYTES: Final = 32 * 1024
MAX_SIGNATURES: Final = 100
KEY_HASH_BYTES: Final = 4
_ALGORITHM: Final = b"\x01"
_PREFIX: Final = "yilian/"
_ORIGIN = re.compile(r"yilian/[a-z][a-z0-9.-]{0,248}")
_SIZE = re.compile(r"[1-9][0-9]{0,15}")
_NAME = re.compile(r"[!-*,-~]{1,400}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size and root of the witness log of a channel; the log has a genesis block before anything is signed."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not _ORIGIN.fullmatch(self.origin):
            raise Invalid("the origin of a checkpoint is yilian/ and a channel", place="origin")
        check_integer(self.size, "size", low=1)
        if len(self.root) != DIGEST_BYTES:
            raise Invalid("a root of 32 bytes is expected", place="root")

    @property
    def channel(self) -> str:
        """The channel that the origin names."""
        return self.origin.removeprefix(_PREFIX)

    def body(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the key's name, the first bytes of its hash, and the signature."""

    name: str
    key_hash: bytes
    signature: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise Invalid("the name of a key has no space and no plus sign", place="signature")
        if len(self.key_hash) != KEY_HASH_BYTES or not self.signature:
            raise Invalid("a signature line holds a key hash and a signature", place="signature")

    def line(self) -> str:
        """The line as it stands in the note."""
        return f"— {self.name} {base64.b64encode(self.key_hash + self.signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A checkpoint with the signature lines below it; parsing says nothing about whether they hold."""

    checkpoint: Checkpoint
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise Invalid(f"a note has 1 to {MAX_SIGNATURES} signatures", place="signatures")
        if len({(item.name, item.key_hash) for item in self.signatures}) != len(self.signatures):
            raise Invalid("a key signs a note once", place="signatures")

    def text(self) -> str:
        """The note as it is kept and sent."""
        return f"{self.checkpoint.body()}\n{''.join(item.line() for item in self.signatures)}"


def origin_of(channel: str) -> str:
    """The origin line of a channel's checkpoints."""
    return _PREFIX + channel


def key_name(channel: str, msp_id: str) -> str:
    """The name of a member's witness key."""
    return f"{origin_of(channel)}/{check_msp_id(msp_id, 'msp')}"


def key_hash(name: str, public_key: bytes) -> bytes:
    """First 4 bytes of SHA-256(name ‖ U+000A ‖ 0x01 ‖ public key), which finds the key for a signature line."""
    return hashlib.sha256(name.encode() + b"\n" + _ALGORITHM + public_key).digest()[:KEY_HASH_BYTES]


def verifier_key(name: str, public_key: bytes) -> str:
    """The key as ``note.NewVerifier`` of golang.org/x/mod reads it."""
    return f"{name}+{key_hash(name, public_key).hex()}+{base64.b64encode(_ALGORITHM + public_key).decode()}"


def sign_checkpoint(checkpoint: Checkpoint, msp_id: str, public_key: bytes, sign: Sign) -> SignedNote:
    """A note with one signature, by a member's witness key."""
    name = key_name(checkpoint.channel, msp_id)
    signature = sign(checkpoint.body().encode())
    return SignedNote(checkpoint, (NoteSignature(name, key_hash(name, public_key), signature),))


def parse_body(text: str) -> Checkpoint:
    """Read the body of a checkpoint in its one spelling.

    Raises:
        Invalid: otherwise.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not _SIZE.fullmatch(lines[1]):
        raise Invalid("a checkpoint has three lines: origin, size, root", place="checkpoint")
    return Checkpoint(lines[0], int(lines[1]), _base64(lines[2]))


def parse_note(text: str) -> SignedNote:
    """Read a signed note in its one spelling; no signature is verified.

    Raises:
        Invalid: too long, or not three lines, an empty line and signature lines.
    """
    if len(text) > MAX_NOTE_BYTES:
        raise Invalid(f"a note is longer than {MAX_NOTE_BYTES} bytes", reason="too-large", place="note")
    body, separator, lines = text.partition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise Invalid("a note has an empty line before its signatures", place="note")
    return SignedNote(parse_body(body + "\n"), tuple(_signature(line) for line in lines[:-1].split("\n")))


def merge(notes: Iterable[SignedNote]) -> SignedNote:
    """One note with the signature lines of all, ordered by name and key hash.

    Raises:
        Invalid: there is none, or one key has given two signatures.
        Tampered: they are not of one checkpoint.
    """
    given = list(notes)
    if not given:
        raise Invalid("there is no note to merge", place="notes")
    if any(note.checkpoint != given[0].checkpoint for note in given):
        raise Tampered("the notes are of different checkpoints", reason="checkpoint")
    lines = {line for note in given for line in note.signatures}
    ordered = sorted(lines, key=lambda line: (line.name, line.key_hash, line.signature))
    return SignedNote(given[0].checkpoint, tuple(ordered))


def verify_note(note: SignedNote, keys: WitnessKeys) -> tuple[str, ...]:
    """Verify the signatures by known keys; lines of other keys are passed over, as ``note.Open`` does.

    Returns:
        The MSP ids of the signers, sorted, each once; none if no line is by a known key.

    Raises:
        Tampered: a signature by a known key does not hold.
    """
    channel, message = note.checkpoint.channel, note.checkpoint.body().encode()
    known = {(name, key_hash(name, key)): (msp_id, key) for msp_id, name, key in _named(channel, keys)}
    signers = set()
    for line in note.signatures:
        found = known.get((line.name, line.key_hash))
        if found is not None:
            ed25519.verify_signature(found[1], line.signature, message)
            signers.add(found[0])
    return tuple(sorted(signers))


def _named(channel: str, keys: WitnessKeys) -> Iterable[tuple[str, str, bytes]]:
    for msp_id, own in keys.items():
        for key in own:
            yield msp_id, key_name(channel, msp_id), key


def _signature(line: str) -> NoteSignature:
    dash, name, encoded = (*line.split(" "), "", "")[:3]
    if dash != "—" or line.count(" ") != 2:
        raise Invalid("a signature line is a dash, a key's name and a signature", place="signature")
    value = _base64(encoded)
    return NoteSignature(name, value[:KEY_HASH_BYTES], value[KEY_HASH_BYTES:])


def _base64(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("standard base64 is expected", place="note") from None
    if base64.b64encode(value).decode() != text:
        raise Invalid("base64 has stray bits at its end", place="note")
    return value
