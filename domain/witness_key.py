"""The public half of a witness's key as a file: the witness writes it, its hospital's node publishes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain import ed25519, jcs, wire
from domain.checkpoints import key_name, verifier_key
from domain.checks import check_integer, check_member, check_text
from domain.errors import Invalid
from domain.identifiers import check_msp_id, decode_bytes

VERSION: Final = 1
TYPE: Final = "witness-key"
MAX_FILE_BYTES: Final = 4096
_MAX_CHANNEL_CHARACTERS: Final = 249


@dataclass(frozen=True, slots=True)
class WitnessPublicKey:
    """Whose witness signs with this Ed25519 key, on which channel."""

    channel: str
    msp: str
    key: str

    def __post_init__(self) -> None:
        check_text(self.channel, "channel", max_characters=_MAX_CHANNEL_CHARACTERS)
        check_msp_id(self.msp, "msp")
        if not ed25519.is_strict_public_key(self.raw):
            raise Invalid("a witness key is a point of the prime-order subgroup", place="key")

    @property
    def raw(self) -> bytes:
        """The key's bytes."""
        return decode_bytes(self.key, "key", length=ed25519.PUBLIC_KEY_BYTES)

    def verifier_key(self) -> str:
        """The key as ``golang.org/x/mod/sumdb/note`` reads it."""
        return verifier_key(key_name(self.channel, self.msp), self.raw)

    def encode(self) -> bytes:
        """JCS ``{"v": 1, "type": "witness-key", channel, msp, key}``."""
        return jcs.canonical({"v": VERSION, "type": TYPE, **wire.to_json(self)})


def parse_witness_key(encoded: bytes) -> WitnessPublicKey:
    """Read the file.

    Raises:
        Invalid: it is not of the form.
    """
    fields = jcs.parse_object(encoded, max_bytes=MAX_FILE_BYTES)
    check_integer(fields.pop("v", None), "v", low=VERSION, high=VERSION)
    check_member(fields.pop("type", None), "type", (TYPE,))
    return wire.from_json(WitnessPublicKey, fields, TYPE)
