"""Increments: what came since the base, in frames sealed under a key from the base's.

A frame is length 4 ‖ nonce 12 ‖ ciphertext ‖ tag; its plaintext is one kind byte ‖ entries; its associated data
binds base and position. Frames are written whole or not acknowledged.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain import jcs
from domain.errors import Invalid, Tampered
from offchain.custody.forgetting.entries import ENTRY_BYTES
from offchain.custody.forgetting.layout import BaseKey

SECRETS: Final = 1
TOMBSTONES: Final = 2
MAX_ENTRIES_PER_FRAME: Final = 10_000
_LENGTH_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_OVERHEAD: Final = _NONCE_BYTES + 1 + _TAG_BYTES
MAX_FRAME_BYTES: Final = _LENGTH_BYTES + _OVERHEAD + MAX_ENTRIES_PER_FRAME * ENTRY_BYTES


@dataclass(frozen=True, slots=True)
class Frame:
    """One increment, opened: entries of one kind, and where the frame ends in its file."""

    kind: int
    entries: tuple[bytes, ...] = field(repr=False)
    end: int


class IncrementCipher:
    """Seals and opens the frames of one base."""

    __slots__ = ("_base_id", "_cipher")

    def __init__(self, key: BaseKey, base_id: str) -> None:
        info = jcs.canonical(["yilian custody increments 1", base_id])
        self._cipher = AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key.reveal()))
        self._base_id = base_id

    def seal(self, kind: int, entries: Sequence[bytes], offset: int) -> bytes:
        """The frame that stands at ``offset``. The nonce is random: a frame that failed may be followed by another."""
        nonce = os.urandom(_NONCE_BYTES)
        body = nonce + self._cipher.encrypt(nonce, bytes([kind]) + b"".join(entries), self._bound(offset))
        return len(body).to_bytes(_LENGTH_BYTES, "big") + body

    def open_all(self, data: bytes, offset: int) -> list[Frame]:
        """All whole frames of ``data``, which begins at ``offset`` of the file and reaches to its end.

        What a crash tore is left out: a frame that is shorter than its length, or whose end was never written.

        Raises:
            Tampered: a whole frame does not open.
        """
        frames: list[Frame] = []
        position = 0
        while (end := whole_frame_end(data, position)) is not None:
            frame = self._open(data[position + _LENGTH_BYTES : end], offset + position, offset + end)
            if frame is None and end == len(data) and _is_unwritten(data):
                break
            if frame is None:
                raise Tampered("an increment of the record secrets was altered", reason="secrets-increment")
            frames.append(frame)
            position = end
        return frames

    def _open(self, body: bytes, offset: int, end: int) -> Frame | None:
        try:
            plain = self._cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], self._bound(offset))
        except (InvalidTag, ValueError):
            return None
        entries = tuple(plain[start : start + ENTRY_BYTES] for start in range(1, len(plain), ENTRY_BYTES))
        return Frame(plain[0], entries, end)

    def _bound(self, offset: int) -> bytes:
        return jcs.canonical(["yilian custody increment 1", self._base_id, offset])


def whole_frame_end(data: bytes, position: int) -> int | None:
    """Where the frame that begins at ``position`` ends, None if it is not whole.

    Raises:
        Tampered: it says a length that no frame has.
    """
    start = position + _LENGTH_BYTES
    length = int.from_bytes(data[position:start], "big")
    if len(data) < start or (length == 0 and _is_unwritten(data)):
        return None
    if not _OVERHEAD < length <= MAX_FRAME_BYTES - _LENGTH_BYTES or (length - _OVERHEAD) % ENTRY_BYTES:
        raise Tampered("an increment of the record secrets has an impossible length", reason="secrets-increment")
    return start + length if start + length <= len(data) else None


def check_frame(data: bytes) -> None:
    """Refuse what is not exactly one frame in form.

    Raises:
        Invalid: it is not.
    """
    try:
        whole = whole_frame_end(data, 0) == len(data)
    except Tampered:
        whole = False
    if not whole:
        raise Invalid("exactly one increment is expected", place="increment")


def last_frame_start(data: bytes) -> int:
    """Where the last whole frame of a file begins; its length if there is none."""
    position, last = 0, len(data)
    while (end := whole_frame_end(data, position)) is not None:
        last, position = position, end
    return last


def _is_unwritten(data: bytes) -> bool:
    """A power cut may leave the file's new length without its bytes; a real tag of zeros has chance 2**-128."""
    return data.endswith(bytes(_TAG_BYTES))
