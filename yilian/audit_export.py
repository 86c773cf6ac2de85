"""An export of the ledger, verified whole, and the heads of a hospital's logs in it."""

from __future__ import annotations

from pathlib import Path

from domain import entries
from domain.identifiers import decode_bytes
from network.blocks.codes import code_name
from network.verifier.chain import verify_chain
from network.verifier.folder import read_blocks
from network.verifier.report import VerifiedBlock, VerifiedChain
from yilian.contract_versions import CONTRACT, contract_replayer, genesis_digest

AnchoredHeads = dict[tuple[str, int], dict[int, bytes]]
"""By log and incarnation: every anchored size with its root."""


def verify_folder(folder: Path, genesis: str | None, on_block: object = None) -> VerifiedChain:
    """Verify an export: chain, signatures, policies, codes, and the contract executed again.

    Args:
        folder: of ``NNNN.block`` files.
        genesis: hex header hash of block 0 as the auditor knows it, or None to take the folder's word for it.

    Raises:
        Tampered: a rule is broken; ``place`` is the block.
        Invalid, NotFound: no export, or ``genesis`` is no SHA-256 digest.
    """
    return verify_chain(
        read_blocks(folder),
        expected_genesis=genesis_digest(genesis),
        replay=contract_replayer(),
        on_block=on_block,  # type: ignore[arg-type]
    )


def anchored_heads(folder: Path, genesis: str | None, msp_id: str) -> AnchoredHeads:
    """Verify an export and collect every head that it anchors for one hospital.

    Raises:
        Tampered, Invalid, NotFound: as :func:`verify_folder`.
    """
    found: AnchoredHeads = {}

    def collect(block: VerifiedBlock) -> None:
        for item in block.transactions:
            transaction = item.transaction
            if transaction is not None and transaction.chaincode == CONTRACT and code_name(item.code) == "VALID":
                for rwset in transaction.rwsets:
                    for write in rwset.writes:
                        _collect_head(found, msp_id, write.key, write.value)

    verify_folder(folder, genesis, collect)
    return found


def _collect_head(found: AnchoredHeads, msp_id: str, key: str, value: bytes | None) -> None:
    parts = key.strip("\x00").split("\x00")
    if value is None or parts[:2] != ["log", msp_id] or len(parts) != 3:
        return
    entry = entries.parse(entries.LogEntry, value)
    for log, head in (("records", entry.records), ("access", entry.access)):
        found.setdefault((log, int(parts[2])), {})[head.size] = decode_bytes(head.root, "root")
