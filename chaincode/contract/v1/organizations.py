"""Members of the channel: each enters and updates itself (ledger.md, rules 1 and 2)."""

from __future__ import annotations

from chaincode.contract.v1.call import UNCHANGED, Call, Changes, Put
from domain.entries import OrganizationEntry
from domain.errors import Conflict
from domain.transactions import OrganizationKey, RegisterOrganization, UpdateOrganization


def register(call: Call, transaction: RegisterOrganization) -> Changes:
    """Enter the calling organisation."""
    entry = OrganizationEntry("active", transaction.url, transaction.keys, transaction.witness_url)
    present = call.read(OrganizationEntry, call.caller)
    if present == entry:
        return UNCHANGED
    if present is not None:
        raise Conflict("the organisation is registered already: update it", reason="registered")
    return (Put(entry, (call.caller,)),)


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
    return (Put(entry, (call.caller,)),)


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
