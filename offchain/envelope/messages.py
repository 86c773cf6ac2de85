"""Small private messages: to a hospital's ``seal`` key or to a patient's X25519 key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from domain import jcs
from domain.errors import Denied, Invalid
from domain.identifiers import check_digest, decode_bytes, encode_bytes
from offchain.envelope.hpke import RecipientPrivateKey, RecipientPublicKey, hpke_open, hpke_seal

MAX_MESSAGE_BYTES: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """A message only its recipient opens; ``key_id`` is the digest of the recipient's public key."""

    alg: str
    key_id: str
    sealed: bytes = field(repr=False)

    def encode(self) -> bytes:
        """The message in JCS."""
        return jcs.canonical({"alg": self.alg, "keyId": self.key_id, "sealed": encode_bytes(self.sealed)})

    @classmethod
    def parse(cls, encoded: bytes) -> SealedMessage:
        """Read a sealed message.

        Raises:
            Invalid: it is none, or longer than a message may be.
        """
        fields = jcs.parse_object(encoded, max_bytes=2 * MAX_MESSAGE_BYTES)
        if not isinstance(fields.get("alg"), str):
            raise Invalid("a sealed message names its algorithm", place="message.alg")
        sealed = decode_bytes(fields.get("sealed"), "message.sealed", max_length=MAX_MESSAGE_BYTES + 2048)
        return cls(str(fields["alg"]), check_digest(fields.get("keyId"), "message.keyId"), sealed)


def seal_message(public: RecipientPublicKey, info: list[str | int], plaintext: bytes) -> SealedMessage:
    """Seal a message, bound to ``info``: its kind and the ids that it belongs to.

    Raises:
        Invalid: the message is too long, or the key of small order.
    """
    if len(plaintext) > MAX_MESSAGE_BYTES:
        raise Invalid(f"a private message has at most {MAX_MESSAGE_BYTES} bytes", reason="too-large")
    return SealedMessage(public.alg, public.digest, hpke_seal(public, ["yilian message 1", *info], plaintext))


def open_message(private: RecipientPrivateKey, info: list[str | int], message: SealedMessage) -> bytes:
    """The message, if it was sealed to this key with the same ``info``.

    Raises:
        Denied: it is for another key (``no-wrap``).
        Tampered: it is for this key, but altered or of another kind or place.
    """
    if (message.alg, message.key_id) != (private.alg, private.public.digest):
        raise Denied("the message is for another key", reason="no-wrap")
    return hpke_open(private, ["yilian message 1", *info], message.sealed)
