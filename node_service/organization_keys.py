"""The public halves of the node's keys, as its hospital publishes them in the ledger's registry."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.transactions import OrganizationKey
from domain.vocabulary import KEY_ALGORITHMS
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
