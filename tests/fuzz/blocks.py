"""Targets: blocks of a Fabric channel and the layers within them."""

from __future__ import annotations

from functools import partial
from typing import Final

from network.blocks.block import parse_block
from network.blocks.channel_config import parse_config_envelope, read_channel_config
from network.blocks.config_update import parse_config_update
from network.blocks.identity import parse_identity
from network.blocks.msp import parse_msp
from network.blocks.policy import parse_signature_policy
from network.blocks.rwset import parse_rwsets, serialize_rwsets
from network.blocks.transaction import Envelope, HeaderType, parse_envelope, parse_transaction
from network.blocks.wire import repeated_bytes, split_fields
from tests.fuzz.target import Target, accepted


def fuzz_block(data: bytes) -> None:
    """A block that is read has every byte of its envelopes, and its layers are read or refused one by one."""
    for block in accepted(partial(parse_block, data)):
        assert sum(map(len, block.envelopes)) < len(data)
        assert len(block.header.hash()) == len(block.data_hash())
        for raw in block.envelopes:
            fuzz_envelope(raw)
    for spans in accepted(partial(split_fields, data, 0, len(data), "test")):
        assert all(0 <= start <= end <= len(data) for _, start, end in spans)
    for items in accepted(partial(repeated_bytes, data, 0, len(data), "test")):
        assert sum(map(len, items)) <= len(data)


def fuzz_envelope(data: bytes) -> None:
    """An envelope without its block."""
    for envelope in accepted(partial(parse_envelope, data)):
        assert envelope.type_name
        if envelope.type == HeaderType.CONFIG:
            accepted(partial(_configuration, envelope))
            accepted(partial(parse_config_update, envelope))
        else:
            for transaction in accepted(partial(parse_transaction, envelope)):
                accepted(partial(getattr, transaction, "args"))


def fuzz_rwset(data: bytes) -> None:
    """What was read is written and read again as the same, but for private collections, which are never written."""
    for rwsets in accepted(partial(parse_rwsets, data)):
        if not any(one.collections or one.metadata_write_keys for one in rwsets):
            assert parse_rwsets(serialize_rwsets(rwsets)) == rwsets


def fuzz_membership(data: bytes) -> None:
    """Identities, membership definitions and policies with hostile certificates."""
    for parse in (parse_identity, parse_msp, parse_signature_policy):
        accepted(partial(parse, data))


def _configuration(envelope: Envelope) -> None:
    read_channel_config(parse_config_envelope(envelope).config)


def _none() -> list[bytes]:
    """All seeds lie in the corpus: keys and certificates cannot be made twice alike."""
    return []


TARGETS: Final = tuple(
    Target(name, call, _none, takes_json=False)
    for name, call in (
        ("block", fuzz_block),
        ("envelope", fuzz_envelope),
        ("rwset", fuzz_rwset),
        ("membership", fuzz_membership),
    )
)
