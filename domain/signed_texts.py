"""Small signed statements of organisations: JCS text with ``v`` and ``type``, Ed25519 over the text's bytes.

The text travels verbatim, so that whoever keeps it can prove later what was said. What one key signs cannot be mistaken
for something else: each text names its type, and a checkpoint does not begin with a brace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from domain import ed25519, jcs, wire
from domain.checks import check_integer, check_member, check_text
from domain.errors import Tampered
from domain.identifiers import decode_bytes, encode_bytes

VERSION: Final = 1
MAX_TEXT_BYTES: Final = 4096
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class SignedText:
    """A statement as it travels: the exact text and its signature in base64url."""

    text: str
    signature: str

    def __post_init__(self) -> None:
        check_text(self.text, "text", max_characters=MAX_TEXT_BYTES)
        decode_bytes(self.signature, "signature", length=ed25519.SIGNATURE_BYTES)


def encode(kind: str, value: wire.Value) -> bytes:
    """The JCS bytes of a statement of a type."""
    return jcs.canonical({"v": VERSION, "type": kind, **wire.to_json(value)})


def parse(expected: type[wire.Value], kind: str, text: str) -> wire.Value:
    """Read a statement; nothing is verified.

    Raises:
        Invalid: not canonical, of another type or version, or a field breaks a rule.
    """
    fields = jcs.parse_object(text.encode("utf-8", "surrogatepass"), max_bytes=MAX_TEXT_BYTES)
    check_integer(fields.pop("v", None), "v", low=VERSION, high=VERSION)
    check_member(fields.pop("type", None), "type", (kind,))
    return wire.from_json(expected, fields, kind)


def sign_text(encoded: bytes, sign: Sign) -> SignedText:
    """A statement with its signature."""
    return SignedText(encoded.decode(), encode_bytes(sign(encoded)))


def verify_text(signed: SignedText, keys: Sequence[bytes]) -> None:
    """Verify that one of the keys signed the text.

    Raises:
        Tampered: none did.
    """
    signature, message = decode_bytes(signed.signature, "signature"), signed.text.encode("utf-8", "surrogatepass")
    for key in keys:
        try:
            ed25519.verify_signature(key, signature, message)
        except Tampered:
            continue
        return
    raise Tampered("no key of the signer signed this", reason="signature", place="signature")
