"""Configuration updates: who may change what, and what comes out (Fabric common/configtx/update.go, validator.go)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from domain.errors import Denied, Invalid
from network.blocks.channel_config import ROOT, ChannelConfig, parse_config_envelope, read_channel_config
from network.blocks.policy import SignedData, signers
from network.blocks.protos import common, configtx, parse_into
from network.blocks.transaction import Envelope, HeaderType, parse_envelope

MAX_GROUP_DEPTH = 16


@dataclass(frozen=True, slots=True)
class ConfigUpdate:
    """A proposed change: the versions it was made against, the new values, and who signed it."""

    channel: str
    read_set: Any
    write_set: Any
    signed: tuple[SignedData, ...]


@dataclass(frozen=True, slots=True)
class _Element:
    """One group, value or policy of a configuration; ``path`` names the groups above it."""

    kind: str
    path: tuple[str, ...]
    key: str
    message: Any

    @property
    def place(self) -> tuple[str, tuple[str, ...]]:
        return (self.kind, (*self.path, self.key))

    def policy_path(self) -> str:
        """Where its ``mod_policy`` is looked up: absolute, or relative to its group (a group: to itself)."""
        name: str = self.message.mod_policy
        if not name:
            raise Invalid("element has no mod_policy", reason="bad-config-update", place="/".join(self.path))
        if name.startswith("/"):
            return name
        groups = (*self.path, self.key) if self.kind == "group" else self.path
        return "/".join(["", *groups, name])


_Elements = dict[tuple[str, tuple[str, ...]], _Element]


def parse_config_update(envelope: Envelope) -> ConfigUpdate:
    """Reads the update that led to the configuration of a CONFIG transaction.

    Raises:
        Invalid: the transaction holds no update.
    """
    last_update = parse_config_envelope(envelope).last_update
    update_envelope = parse_envelope(last_update.SerializeToString())
    if update_envelope.type != HeaderType.CONFIG_UPDATE:
        raise Invalid("last update is not a configuration update", reason="bad-config-update", place="last_update")
    message = parse_into(configtx.ConfigUpdateEnvelope(), update_envelope.data, "ConfigUpdateEnvelope")
    update = parse_into(configtx.ConfigUpdate(), message.config_update, "ConfigUpdate")
    signed = tuple(_signed_data(item, message.config_update) for item in message.signatures)
    return ConfigUpdate(update.channel_id, update.read_set, update.write_set, signed)


def apply_config_transaction(current: ChannelConfig, envelope: Envelope) -> ChannelConfig:
    """Checks a CONFIG transaction against the configuration before it and returns the new one.

    The sequence grows by one; the update was made against the current versions; each changed element's ``mod_policy``
    is satisfied by the update's signatures; and the new configuration is exactly the old one with the update applied.

    Raises:
        Denied: too few signatures for a changed element.
        Invalid: the update or its result is not what it should be.
    """
    proposed = parse_config_envelope(envelope).config
    if proposed.sequence != current.sequence + 1:
        raise Invalid("configuration sequence does not follow", reason="bad-config-update", place="sequence")
    update = parse_config_update(envelope)
    if update.channel != envelope.channel:
        raise Invalid("update is for another channel", reason="bad-config-update", place="channel_id")
    existing = _elements(current.group)
    _check_versions(existing, _elements(update.read_set))
    writes = _elements(update.write_set)
    delta = _delta(_elements(update.read_set), writes)
    _authorize(current, existing, delta, update)
    merged = {**existing, **delta}
    if any(place not in merged for place in writes):
        raise Invalid("write set names elements that do not appear", reason="bad-config-update", place="write_set")
    if _rebuild(merged, (ROOT,)) != proposed.channel_group:
        raise Invalid("configuration is not the result of its update", reason="bad-config-update", place="config")
    return read_channel_config(proposed)


def _signed_data(signature: Any, update: bytes) -> SignedData:
    header = parse_into(common.SignatureHeader(), signature.signature_header, "SignatureHeader")
    return SignedData(signature.signature_header + update, header.creator, signature.signature)


def _elements(root: Any) -> _Elements:
    return {element.place: element for element in _walk(root, (), ROOT)}


def _walk(group: Any, path: tuple[str, ...], key: str) -> Iterator[_Element]:
    if len(path) > MAX_GROUP_DEPTH:
        raise Invalid("configuration is nested too deep", reason="bad-config-update", place=key)
    yield _Element("group", path, key, group)
    below = (*path, key)
    yield from (_Element("value", below, name, group.values[name]) for name in sorted(group.values))
    yield from (_Element("policy", below, name, group.policies[name]) for name in sorted(group.policies))
    for name in sorted(group.groups):
        yield from _walk(group.groups[name], below, name)


def _check_versions(existing: _Elements, read_set: _Elements) -> None:
    for place, element in read_set.items():
        if place not in existing or existing[place].message.version != element.message.version:
            raise Invalid("update was made against another version", reason="stale-config-update", place=element.key)


def _delta(read_set: _Elements, write_set: _Elements) -> _Elements:
    return {
        place: element
        for place, element in write_set.items()
        if place not in read_set or read_set[place].message.version != element.message.version
    }


def _authorize(current: ChannelConfig, existing: _Elements, delta: _Elements, update: ConfigUpdate) -> None:
    if not delta:
        raise Invalid("update changes nothing", reason="bad-config-update", place="write_set")
    members = signers(update.signed, current.msps)
    for place, element in delta.items():
        element.policy_path()
        before = existing.get(place)
        version = 0 if before is None else before.message.version + 1
        if element.message.version != version:
            raise Invalid("element skips a version", reason="stale-config-update", place=element.key)
        if before is None:
            continue
        policy = current.policy(before.policy_path())
        if policy is None or not policy.satisfied_by(members):
            raise Denied("update lacks signatures", reason="config-update-policy", place=before.policy_path())


def _rebuild(merged: _Elements, path: tuple[str, ...]) -> Any:
    """The group at ``path`` with its members: the group says which, the elements say what."""
    source = _member(merged, "group", path).message
    group = configtx.ConfigGroup(version=source.version, mod_policy=source.mod_policy)
    for name in source.values:
        group.values[name].CopyFrom(_member(merged, "value", (*path, name)).message)
    for name in source.policies:
        group.policies[name].CopyFrom(_member(merged, "policy", (*path, name)).message)
    for name in source.groups:
        group.groups[name].CopyFrom(_rebuild(merged, (*path, name)))
    return group


def _member(merged: _Elements, kind: str, path: tuple[str, ...]) -> _Element:
    element = merged.get((kind, path))
    if element is None:
        raise Invalid("group names a member that is not there", reason="bad-config-update", place="/".join(path))
    return element
