"""The rules that a block's own bytes can prove against the block before it, shared by everybody who verifies blocks.

The numbers are those of :mod:`network.verifier.chain`.
"""

from __future__ import annotations

from domain.errors import Invalid, Tampered
from network.blocks.block import Block, parse_block
from network.blocks.channel_config import APPLICATION, ChannelConfig, parse_config_envelope, read_channel_config
from network.blocks.transaction import Envelope, HeaderType, parse_envelope
from network.blocks.validation import UNSUPPORTED
from network.verifier.report import Rule

_CHANNEL = frozenset({"V2_0", "V3_0"})
_APPLICATION = frozenset({"V2_0", "V2_5"})


def read_canonical(raw: bytes, number: int) -> Block:
    """1. The bytes are one block in canonical encoding.

    Raises:
        Tampered: they are not; ``number`` is the block that was expected.
    """
    try:
        return parse_block(raw)
    except Invalid as error:
        raise tampered(error.detail, Rule.ENCODING, number) from error


def verify_header(block: Block, number: int, previous_hash: bytes) -> None:
    """2. and 3. The number follows, the header names the one before it, and its data hash is that of the transactions.

    Raises:
        Tampered: one of them does not hold.
    """
    if block.number != number:
        raise tampered(f"expected this block, found number {block.number}", Rule.NUMBER, number)
    if block.header.previous_hash != previous_hash:
        raise tampered("previous hash is not the hash of the header before", Rule.PREVIOUS_HASH, number)
    if block.header.data_hash != block.data_hash():
        raise tampered("data hash is not the hash of the transactions", Rule.DATA_HASH, number)


def verify_genesis(block: Block, expected: bytes | None) -> tuple[Envelope, ChannelConfig]:
    """4. The genesis block is the expected one and founds a channel: its envelope and its configuration.

    Raises:
        Tampered: it is another one, or founds nothing.
        Invalid: the channel has capabilities that this product does not know.
    """
    if expected is not None and block.header.hash() != expected:
        raise tampered("another channel's genesis block", Rule.GENESIS, 0)
    try:
        (raw,) = block.envelopes
        envelope = parse_envelope(raw)
        config = read_channel_config(parse_config_envelope(envelope).config)
    except (ValueError, Invalid) as error:
        if isinstance(error, Invalid) and error.reason == UNSUPPORTED:
            raise Invalid(error.detail, reason=error.reason, place="block 0") from error
        raise tampered("genesis block holds no configuration", Rule.GENESIS, 0) from error
    if envelope.type != HeaderType.CONFIG or config.sequence != 0 or not envelope.channel:
        raise tampered("genesis block founds no channel", Rule.GENESIS, 0)
    if block.validation_codes not in (b"", b"\0"):
        raise tampered("genesis transaction is not marked valid", Rule.VALIDATION_CODE, 0)
    if block.commit_hash or block.signatures or block.last_config or block.consenter_metadata:
        raise tampered("genesis block carries metadata of a later block", Rule.GENESIS, 0)
    verify_capabilities(config, 0)
    return envelope, config


def verify_last_config(block: Block, last_config: int, *, changes: bool) -> int:
    """6. The block names the latest configuration block; a configuration block stands alone and names itself.

    Args:
        last_config: the latest configuration block before this one.
        changes: whether this block holds a configuration.

    Raises:
        Tampered: it names another one, or the configuration shares its block.
    """
    if changes and len(block.envelopes) != 1:
        raise tampered("configuration shares its block", Rule.CONFIGURATION, block.number)
    expected = block.number if changes else last_config
    if block.last_config != expected:
        raise tampered(f"last configuration is block {expected}", Rule.LAST_CONFIG, block.number)
    return expected


def verify_capabilities(config: ChannelConfig, number: int) -> None:
    """Other capabilities mean other rules of validation than those known here.

    Raises:
        Invalid: the channel has such; this product is too old, which is no tampering.
    """
    known = ((config.capabilities(), _CHANNEL), (config.capabilities(APPLICATION), _APPLICATION))
    for found, supported in known:
        if not found or not found <= supported:
            detail = f"channel has capabilities other than {', '.join(sorted(supported))}"
            raise Invalid(detail, reason=UNSUPPORTED, place=f"block {number}")


def tampered(detail: str, rule: Rule, number: int) -> Tampered:
    """A broken rule in a block."""
    return Tampered(detail, reason=rule, place=f"block {number}")
