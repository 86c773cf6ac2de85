"""Blocks: reading and building ``common.Block`` with its metadata (protoutil/blockutils.go, commonutils.go)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import Invalid
from network.blocks.header import BlockHeader, data_hash
from network.blocks.proposal import build_signature_header
from network.blocks.protos import common, parse_exactly, serialize
from network.blocks.signature import Signer
from network.blocks.wire import repeated_bytes, split_fields

MAX_BLOCK_BYTES = 128 * 1024 * 1024
_METADATA_ENTRIES = 5
_SIGNATURES, _LAST_CONFIG, _FILTER, _ORDERER, _COMMIT_HASH = range(_METADATA_ENTRIES)


@dataclass(frozen=True, slots=True)
class BlockSignature:
    """One orderer's signature; exactly one of the two headers is there (Raft: signature, BFT: identifier)."""

    signature_header: bytes
    identifier_header: bytes
    signature: bytes

    def message(self, value: bytes, header_der: bytes) -> bytes:
        """The bytes signed: metadata value ‖ own header ‖ DER block header."""
        return value + (self.identifier_header or self.signature_header) + header_der


@dataclass(frozen=True, slots=True)
class Block:
    """A block as its holder keeps it.

    Attributes:
        header: what the chain and the orderers' signatures cover.
        envelopes: the transactions' bytes in order.
        signed_value: ``OrdererBlockMetadata`` as signed; empty in the genesis block.
        signatures: the orderers' signatures of this copy.
        last_config: number of the latest configuration block, from ``signed_value``.
        consenter_metadata: what the consensus protocol keeps, from ``signed_value``.
        validation_codes: TRANSACTIONS_FILTER, one byte per transaction; empty in an orderer's copy.
        commit_hash: the peer's running hash over codes and writes; empty in an orderer's copy.
    """

    header: BlockHeader
    envelopes: tuple[bytes, ...]
    signed_value: bytes
    signatures: tuple[BlockSignature, ...]
    last_config: int | None
    consenter_metadata: bytes
    validation_codes: bytes
    commit_hash: bytes

    @property
    def number(self) -> int:
        return self.header.number

    def data_hash(self) -> bytes:
        """Recomputed from the envelopes; ``header.data_hash`` is only a claim."""
        return data_hash(self.envelopes)


def parse_block(raw: bytes) -> Block:
    """Reads a serialized ``common.Block``.

    The bytes must be what Fabric writes for this content, so that nothing can hide beside the fields that are checked.

    Raises:
        Invalid: too large, not that message, or not its canonical encoding.
    """
    if len(raw) > MAX_BLOCK_BYTES:
        raise Invalid(f"block is larger than {MAX_BLOCK_BYTES} bytes", reason="too-large", place="block")
    header, data, metadata = _split(raw)
    entries = [*metadata, *[b""] * _METADATA_ENTRIES]
    if any(entries[_METADATA_ENTRIES:]) or entries[_ORDERER]:
        raise Invalid("block has unknown metadata", reason="bad-metadata", place="metadata")
    signed = parse_exactly(common.Metadata(), entries[_SIGNATURES], "Metadata")
    orderer = parse_exactly(common.OrdererBlockMetadata(), signed.value, "OrdererBlockMetadata")
    last_config = orderer.last_config.index if orderer.HasField("last_config") else None
    if entries[_LAST_CONFIG] not in (b"", _unsigned_last_config(last_config)):
        raise Invalid("unsigned last configuration is another one", reason="bad-metadata", place="metadata")
    commit = parse_exactly(common.Metadata(), entries[_COMMIT_HASH], "Metadata")
    if commit.signatures:
        raise Invalid("commit hash carries signatures", reason="bad-metadata", place="metadata")
    return Block(
        header=BlockHeader(header.number, header.previous_hash, header.data_hash),
        envelopes=data,
        signed_value=signed.value,
        signatures=tuple(_parse_signature(item) for item in signed.signatures),
        last_config=last_config,
        consenter_metadata=orderer.consenter_metadata,
        validation_codes=entries[_FILTER],
        commit_hash=commit.value,
    )


def _split(raw: bytes) -> tuple[Any, tuple[bytes, ...], tuple[bytes, ...]]:
    """Header, envelopes and metadata entries, copied once: blocks are large, and their hash is cheap to compute."""
    fields = split_fields(raw, 0, len(raw), "Block")
    if [number for number, _, _ in fields] != [1, 2, 3]:
        raise Invalid("block has other parts than header, data, metadata", reason="not-canonical", place="Block")
    header, data, metadata = ((start, end) for _, start, end in fields)
    return (
        parse_exactly(common.BlockHeader(), raw[slice(*header)], "BlockHeader"),
        repeated_bytes(raw, *data, "BlockData"),
        repeated_bytes(raw, *metadata, "BlockMetadata"),
    )


def build_block(
    *,
    number: int,
    previous_hash: bytes,
    envelopes: Sequence[bytes],
    last_config: int,
    orderer: Signer | None,
    orderer_nonce: bytes = b"",
    validation_codes: bytes = b"",
    commit_hash: bytes = b"",
) -> bytes:
    """Serializes a block; ``orderer`` signs it (``None`` in the genesis block only).

    ``validation_codes`` and ``commit_hash`` are the committing peer's; no signature covers them.

    Raises:
        Invalid: a filter whose length is not the number of envelopes.
    """
    if validation_codes and len(validation_codes) != len(envelopes):
        raise Invalid("one validation code per transaction", reason="bad-filter", place="metadata")
    header = BlockHeader(number, previous_hash, data_hash(envelopes))
    message: Any = common.Block()
    message.header.number = number
    message.header.previous_hash = previous_hash
    message.header.data_hash = header.data_hash
    message.data.data.extend(envelopes)
    signatures = _sign(header, last_config, orderer, orderer_nonce) if orderer is not None else b""
    commit = serialize(common.Metadata(value=commit_hash)) if commit_hash else b""
    message.metadata.metadata.extend([signatures, b"", validation_codes, b"", commit])
    return serialize(message)


def _sign(header: BlockHeader, last_config: int, orderer: Signer, nonce: bytes) -> bytes:
    value: Any = common.OrdererBlockMetadata()
    value.last_config.index = last_config
    value.last_config.SetInParent()
    metadata: Any = common.Metadata(value=serialize(value))
    signature_header = build_signature_header(orderer.identity, nonce)
    message = metadata.value + signature_header + header.der()
    metadata.signatures.add(signature_header=signature_header, signature=orderer.sign(message))
    return serialize(metadata)


def _parse_signature(message: Any) -> BlockSignature:
    if bool(message.signature_header) == bool(message.identifier_header):
        raise Invalid("block signature needs one header", reason="bad-metadata", place="metadata")
    return BlockSignature(message.signature_header, message.identifier_header, message.signature)


def _unsigned_last_config(index: int | None) -> bytes:
    """The copy that peers before 2.0 read; signed only within ``OrdererBlockMetadata``."""
    last_config = common.LastConfig(index=index or 0)
    return serialize(common.Metadata(value=serialize(last_config)))
