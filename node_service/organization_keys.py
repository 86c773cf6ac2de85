"""The public halves of the node's keys, as its hospital publishes them in the ledger's registry."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.errors import Invalid, Unavailable
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.transactions import OrganizationKey
from domain.vocabulary import KEY_ALGORITHMS
from domain.witness_key import parse_witness_key
from node_service.client.wire import HospitalCard
from node_service.secrets import NodeSecrets
from node_service.settings import Settings
from offchain.envelope.hpke import HPKE_HYBRID, RecipientPrivateKey

_KID_HEX_CHARACTERS: Final = 32


def signing_kid(secrets: NodeSecrets) -> str:
    """The id of the ``signing`` key: derived from the key, so that it never names another."""
    return _kid("signing", _signing_public(secrets))


def sign(secrets: NodeSecrets, message: bytes) -> bytes:
    """Ed25519 signature by the ``signing`` key (RFC 8032)."""
    return Ed25519PrivateKey.from_private_bytes(secrets.signing_key).sign(message)


def published_keys(secrets: NodeSecrets, at: datetime) -> tuple[OrganizationKey, ...]:
    """``signing`` and ``seal`` as ``RegisterOrganization`` takes them, valid from ``at``."""
    publics = {"signing": _signing_public(secrets), "seal": _seal_public(secrets)}
    return tuple(
        OrganizationKey(use, KEY_ALGORITHMS[use], _kid(use, raw), encode_bytes(raw), instant(at), None)
        for use, raw in publics.items()
    )


def witness_keys(settings: Settings, channel: str, at: datetime) -> tuple[OrganizationKey, ...]:
    """``witness`` as ``RegisterOrganization`` takes it, from the file that the witness made; none without a file.

    The private half stays with the witness: whoever takes the node over cannot sign what the witness has not seen.

    Raises:
        Invalid: the file is not the public key of this hospital's witness on this channel.
        Unavailable: it cannot be read.
    """
    if not settings.witness_key_file:
        return ()
    try:
        encoded = Path(settings.witness_key_file).read_bytes()
    except OSError as error:
        raise Unavailable(f"the witness's key file cannot be read: {error.strerror}", reason="witness-key") from error
    public = parse_witness_key(encoded)
    if (public.channel, public.msp) != (channel, settings.msp_id):
        raise Invalid("the key is another witness's", reason="witness-key", place="YILIAN_WITNESS_KEY_FILE")
    kid = _kid("witness", public.raw)
    return (OrganizationKey("witness", KEY_ALGORITHMS["witness"], kid, public.key, instant(at), None),)


def hospital_card(settings: Settings, secrets: NodeSecrets, channel: str) -> HospitalCard:
    """What anybody may know about this hospital."""
    seal = _seal_public(secrets)
    return HospitalCard(
        msp_id=settings.msp_id,
        channel=channel,
        name=settings.name,
        url=settings.public_url,
        seal_kid=_kid("seal", seal),
        seal_key=encode_bytes(seal),
    )


def _signing_public(secrets: NodeSecrets) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(secrets.signing_key).public_key().public_bytes_raw()


def _seal_public(secrets: NodeSecrets) -> bytes:
    return RecipientPrivateKey(HPKE_HYBRID, secrets.seal_key).public.raw


def _kid(use: str, public: bytes) -> str:
    return f"{use}-{hashlib.sha256(public).hexdigest()[:_KID_HEX_CHARACTERS]}"
