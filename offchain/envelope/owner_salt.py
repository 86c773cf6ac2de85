"""The salt of a leaf's owner commitment, derived from the data key: who may open a record can tell whose it is."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain import jcs
from domain.leaves import SALT_BYTES
from offchain.envelope.keys import DataKey


def owner_salt(key: DataKey, object_id: str) -> bytes:
    """HKDF-SHA-256(data key, no salt, info = JCS ["owner-salt", object id]), 32 bytes (RFC 5869).

    Patient and permitted readers hold the data key, so they recompute ``owner`` of the leaf; nobody else can.
    """
    info = jcs.canonical(["owner-salt", object_id])
    return HKDF(algorithm=SHA256(), length=SALT_BYTES, salt=None, info=info).derive(key.reveal())
