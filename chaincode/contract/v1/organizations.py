"""Members of the channel: each enters and updates itself (ledger.md, rules 1 and 2)."""

from __future__ import annotations

from typing import Final

from chaincode.contract.v1.call import UNCHANGED, Call, Changes, Put
from domain.checkpoints import key_hash, key_name
from domain.ed25519 import is_strict_public_key
from domain.entries import KeyHolderEntry, OrganizationEntry
from domain.errors import Conflict, Invalid
from domain.identifiers import decode_bytes
from domain.transactions import OrganizationKey, RegisterOrganization, UpdateOrganization

SIGNATURE_USES: Final = frozenset({"signing", "witness"})


def register(call: Call, transaction: RegisterOrganization) -> Changes:
    """Enter the calling organisation."""
    entry = OrganizationEntry("active", transaction.url, transaction.keys, transaction.witness_url)
    present = call.read(OrganizationEntry, call.caller)
    if present == entry:
        return UNCHANGED
    if present is not None:
        raise Conflict("the organisation is registered already: update it", reason="registered")
    return (Put(entry, (call.caller,)), *_held(call, transaction.keys))


def update(call: Call, transaction: UpdateOrganization) -> Changes:
    """Replace addresses and keys of the calling organisation."""
    present = call.read(OrganizationEntry, call.caller)
    if present is None:
        raise Conflict("the organisation is not registered", reason="not-registered")
    entry = OrganizationEntry(present.status, transaction.url, transaction.keys, transaction.witness_url)
    if present == entry:
        return UNCHANGED
    published = {key.kid: key for key in transaction.keys}
    for key in present.keys:
        _check_kept(key, published.get(key.kid))
    return (Put(entry, (call.caller,)), *_held(call, transaction.keys))


def _held(call: Call, keys: tuple[OrganizationKey, ...]) -> Changes:
    """Signature keys belong to who published them first.

    All witnesses sign the same bytes: with another member's key in its own entry, a member would have that one's
    signatures count as its own, or as nobody's.
    """
    _check_told_apart(call, keys)
    changes = []
    for text in dict.fromkeys(key.key for key in keys if key.use in SIGNATURE_USES):
        if not is_strict_public_key(decode_bytes(text, "keys.key")):
            raise Invalid("a signature key is no point of the prime-order subgroup", reason="weak-key", place="keys")
        holder = call.read(KeyHolderEntry, text)
        if holder is None:
            changes.append(Put(KeyHolderEntry(call.caller), (text,)))
        elif holder.msp != call.caller:
            raise Conflict("another member has published this key", reason="key-of-another", place="keys")
    return tuple(changes)


def _check_told_apart(call: Call, keys: tuple[OrganizationKey, ...]) -> None:
    """A signature line names its key by four bytes of a hash, which anybody can make collide.

    With two such keys, one after the other, a member could turn every receipt that bears its signature into one that
    does not hold.
    """
    name = key_name(call.stub.channel, call.caller)
    hashes = [key_hash(name, decode_bytes(key.key, "keys.key")) for key in keys if key.use == "witness"]
    if len(set(hashes)) != len(hashes):
        raise Conflict("signatures do not tell two witness keys apart", reason="key-hash", place="keys")


def _check_kept(before: OrganizationKey, after: OrganizationKey | None) -> None:
    """What was signed with a published key must stay verifiable; an end may be set or come earlier, never later."""
    if after is None:
        raise Conflict("a published key may be ended, never removed", reason="key-removed", place="keys")
    same = (before.use, before.alg, before.key, before.valid_from) == (
        after.use,
        after.alg,
        after.key,
        after.valid_from,
    )
    if not same:
        raise Conflict("a published key cannot change", reason="key-changed", place="keys")
    if before.valid_until is not None and (after.valid_until is None or after.valid_until > before.valid_until):
        raise Conflict("the end of a published key cannot move to later", reason="key-revived", place="keys")
