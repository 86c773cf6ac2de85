"""Changes of a running channel: read its configuration, change it, sign the difference, have it ordered.

Source: Fabric ``docs/source/config_update.md``; ``common/configtx.proto``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from domain.errors import Invalid, Unavailable
from network.blocks.block import parse_block
from network.blocks.channel_config import parse_config_envelope
from network.blocks.identity import parse_certificate, serialize_identity
from network.blocks.proposal import build_channel_header, build_payload, build_signature_header
from network.blocks.protos import common, configtx, serialize
from network.blocks.transaction import HeaderType, parse_envelope
from network.fabric.gateway.signers import private_key_signer
from network.topology.administration import Administration
from network.topology.description import Organization
from network.topology.engine import TIMED_OUT, ProgramFailed
from network.topology.layout import NodeFiles, disk_errors, write_file
from network.topology.waiting import wait_for

UPDATE_TIMEOUT_S: Final = 120.0
SEND_TIMEOUT_S: Final = 25.0
NONCE_BYTES: Final = 24
RESEND_AFTER_S: Final = 8.0
"""Longer than an ordering node waits for the leader to take what it forwards."""
_NO_DIFFERENCE: Final = "no differences detected"

Change = Callable[[Any], None]
"""Changes ``common.ConfigGroup`` of the channel in place."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The channel's latest configuration: the block that holds it, and ``common.Config``."""

    block: bytes
    config: Any

    @property
    def number(self) -> int:
        """Of the block."""
        return parse_block(self.block).number


def fetch_configuration(administration: Administration, asking: Organization, via: Organization) -> Configuration:
    """The latest configuration that an ordering node has.

    Raises:
        Unavailable: it does not answer, or refuses.
    """
    path = administration.layout.work / f"config-{asking.name}.block"
    named = ("-c", administration.topology.channel)
    administration.peer(asking, "channel", "fetch", "config", path, *named, *administration.ordering(via))
    with disk_errors(path):
        block = path.read_bytes()
    envelope = parse_envelope(parse_block(block).envelopes[0])
    return Configuration(block, parse_config_envelope(envelope).config)


@dataclass(slots=True)
class Submission:
    """A signed change on its way. An ordering node that took it may lose it, for example a leader whose certificate it
    renews, so it is sent again: in force it is only once, since it names the configuration that it changes."""

    administration: Administration
    envelope: Path
    sequence: int
    asking: Organization
    via: Organization
    _sent_at: float | None = None

    def attempt(self) -> Configuration | None:
        """Send it if that is due; the configuration that holds it, or None while there is none.

        Raises:
            Invalid: Fabric refuses the change.
            Unavailable: an ordering node cannot take it now.
        """
        if self._sent_at is None or time.monotonic() - self._sent_at > RESEND_AFTER_S:
            self._send()
        found = fetch_configuration(self.administration, self.asking, self.via)
        return found if found.config.sequence > self.sequence else None

    def _send(self) -> None:
        named = ("-f", self.envelope, "-c", self.administration.topology.channel)
        ordering = self.administration.ordering(self.via)
        try:
            self.administration.peer(self.asking, "channel", "update", *named, *ordering, timeout_s=SEND_TIMEOUT_S)
        except ProgramFailed as error:
            if self._sent_at is None and error.is_refusal:
                raise Invalid(error.detail, reason="change-refused") from error
            if self._sent_at is None and error.reason != TIMED_OUT:  # else it may be in, and once in it is refused
                raise
        self._sent_at = time.monotonic()


def change_channel(
    administration: Administration,
    change: Change,
    signing: Sequence[Organization],
    via: Organization | None = None,
) -> Configuration:
    """Change the channel's configuration and wait until the change is in force; nothing happens if it is already.

    Args:
        signing: whose administrators sign, of peers and of ordering nodes; the first one also asks.
        via: whose ordering node takes it; that of the first who signs if None.

    Raises:
        Invalid: Fabric refuses the change, for example since too few signed it.
        Unavailable: not ordered in time.
    """
    asking, orderer = signing[0], via or signing[0]
    present = fetch_configuration(administration, asking, orderer)
    update = _difference(administration, present.config, change)
    if update is None:
        return present
    envelope = administration.layout.work / "config-update.envelope"
    write_file(envelope, _signed(administration, update, signing))
    submission = Submission(administration, envelope, present.config.sequence, asking, orderer)
    return wait_for(submission.attempt, UPDATE_TIMEOUT_S, "the change of the channel")


def _difference(administration: Administration, config: Any, change: Change) -> bytes | None:
    """``common.ConfigUpdate`` that leads from a configuration to the changed one; None if they are equal."""
    changed = configtx.Config()
    changed.CopyFrom(config)
    change(changed.channel_group)
    work = administration.layout.work
    original, updated, update = work / "config-original.pb", work / "config-updated.pb", work / "config-update.pb"
    write_file(original, serialize(config))
    write_file(updated, serialize(changed))
    try:
        administration.binaries.run(
            "configtxlator", "compute_update", "--channel_id", administration.topology.channel,
            "--original", original, "--updated", updated, "--output", update,
        )  # fmt: skip
    except ProgramFailed as error:
        if _NO_DIFFERENCE in error.detail:
            return None
        raise
    with disk_errors(update):
        return update.read_bytes()


def _signed(administration: Administration, update: bytes, signing: Sequence[Organization]) -> bytes:
    """Administrators of peers decide about members, administrators of ordering nodes about ordering: both sign."""
    layout, content = administration.layout, configtx.ConfigUpdateEnvelope(config_update=update)
    for item in signing:
        _sign(content, item.msp, layout.admin(item))
        _sign(content, item.orderer_msp, layout.orderer_admin(item))
    channel = administration.topology.channel
    header = build_channel_header(HeaderType.CONFIG_UPDATE, channel, "", time.time_ns())
    return serialize(common.Envelope(payload=build_payload(header, b"", serialize(content))))


def _sign(content: Any, msp: str, files: NodeFiles) -> None:
    with disk_errors(files.certificate):
        identity = serialize_identity(msp, parse_certificate(files.certificate.read_bytes()))
        signer = private_key_signer(files.key.read_bytes())
    header = build_signature_header(identity, os.urandom(NONCE_BYTES))
    content.signatures.add(signature_header=header, signature=signer(signer.hash(header + content.config_update)))


def ordered_blocks(administration: Administration) -> int:
    """How many blocks the ordering node has that has most of them.

    Raises:
        Unavailable: none answers.
    """
    heights, failed = list[int](), Unavailable("nobody orders", reason="behind")
    for organization in administration.topology.organizations:
        try:
            heights.append(int(_told(administration, organization)["height"]))
        except Unavailable as error:
            failed = error
    if not heights:
        raise failed
    return max(heights)


def wait_level(
    administration: Administration,
    organization: Organization,
    height: int,
    *,
    orders: bool = False,
    timeout_s: float = UPDATE_TIMEOUT_S,
) -> None:
    """Wait until an ordering node has as many blocks and, if it ``orders``, is one of those who order.

    Raises:
        Unavailable: not in time.
    """

    def is_level() -> bool:
        told = _told(administration, organization)
        if told["height"] < height or told["status"] != "active":
            raise Unavailable(f"it is {told['status']} with {told['height']} of {height} blocks", reason="behind")
        if orders and told["consensusRelation"] != "consenter":
            raise Unavailable(f"it is a {told['consensusRelation']}", reason="behind")
        return True

    wait_for(is_level, timeout_s, f"the ordering node of {organization.name} level with the others")


def _told(administration: Administration, organization: Organization) -> Mapping[str, Any]:
    with administration.orderer_admin(organization) as endpoint:
        return endpoint.channel(administration.topology.channel)
