"""Sealed messages between their stored form (``offchain.envelope``) and the bodies of the HTTP interface."""

from __future__ import annotations

from domain.identifiers import check_digest, decode_bytes, encode_bytes
from node_service.client import wire
from node_service.context import Node
from offchain.envelope.hpke import HPKE_HYBRID, RecipientPrivateKey
from offchain.envelope.messages import MAX_MESSAGE_BYTES, SealedMessage, open_message

_HPKE_OVERHEAD_BYTES = 2048


def to_wire(message: SealedMessage) -> wire.SealedMessage:
    """The message as a body."""
    return wire.SealedMessage(kid=message.key_id, alg=message.alg, sealed=encode_bytes(message.sealed))


def from_wire(body: wire.SealedMessage, place: str = "message") -> SealedMessage:
    """The message out of a body.

    Raises:
        Invalid: no digest as key id, too long, or not base64url.
    """
    limit = MAX_MESSAGE_BYTES + _HPKE_OVERHEAD_BYTES
    sealed = decode_bytes(body.sealed, f"{place}.sealed", max_length=limit)
    return SealedMessage(body.alg, check_digest(body.kid, f"{place}.kid"), sealed)


def open_for_hospital(node: Node, info: list[str | int], message: SealedMessage) -> bytes:
    """Open a message to this hospital's published ``seal`` key.

    Raises:
        Denied: it is for another key.
        Tampered: altered, or sealed for another kind or other ids.
    """
    return open_message(seal_key(node), info, message)


def seal_key(node: Node) -> RecipientPrivateKey:
    """The private half of the hospital's ``seal`` key."""
    return RecipientPrivateKey(HPKE_HYBRID, node.secrets.seal_key)
