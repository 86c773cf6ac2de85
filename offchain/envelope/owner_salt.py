"""The salt of a leaf's owner commitment, derived from the data key: who may open a record can tell whose it is."""

from __future__ import annotations

from offchain.envelope.keys import DataKey, derive_owner_salt


def owner_salt(key: DataKey, object_id: str) -> bytes:
    """The owner salt of the record that this key opens (:func:`offchain.envelope.keys.derive_owner_salt`).

    Patient and permitted readers hold the data key, so they recompute ``owner`` of the leaf; nobody else can.
    """
    return derive_owner_salt(key, object_id)
