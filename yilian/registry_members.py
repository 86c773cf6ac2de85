"""The members file of a verified chain: whose witnesses sign, from configuration and registry in the chain itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.ed25519 import is_strict_public_key
from domain.entries import OrganizationEntry, parse
from domain.identifiers import decode_bytes
from domain.receipt_form import Member, Members
from network.blocks.codes import ValidationCode
from network.verifier.chain import ChainVerifier
from network.verifier.replay import ContractReplay
from network.verifier.report import VerifiedBlock

_PREFIX = "\0org\0"


@dataclass(slots=True)
class Registry:
    """The members as the blocks so far have them.

    Attributes:
        entries: what organisations published, also those that left.
        present: the channel's members by its configuration after the last block; None before the first.
    """

    contract: str
    entries: dict[str, OrganizationEntry] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    present: tuple[str, ...] | None = None

    def take(self, block: VerifiedBlock) -> None:
        """Take the members and the writes of a verified block over."""
        self.present = block.members
        for item in block.transactions:
            if item.code != ValidationCode.VALID or item.transaction is None:
                continue
            for rwset in item.transaction.rwsets:
                for write in rwset.writes if rwset.namespace == self.contract else ():
                    if write.key.startswith(_PREFIX) and write.value is not None:
                        self._enter(write.key[len(_PREFIX) : -1], parse(OrganizationEntry, write.value))

    def members(self, channel: str, ledger: str, at: str) -> Members:
        """The active members and their witness keys that are valid ``at``; who left the channel is none.

        A key counts for the member that published it first: all witnesses sign the same bytes, so who publishes
        another's key as its own would have its signatures too. A weak key counts for nobody.
        """
        active = sorted((msp_id, entry) for msp_id, entry in self.entries.items() if self._is_active(msp_id, entry))
        return Members(
            channel, ledger, tuple(Member(msp_id, self._keys(msp_id, entry, at)) for msp_id, entry in active)
        )

    def _is_active(self, msp_id: str, entry: OrganizationEntry) -> bool:
        return entry.status == "active" and (self.present is None or msp_id in self.present)

    def _enter(self, msp_id: str, entry: OrganizationEntry) -> None:
        self.entries[msp_id] = entry
        for key in entry.keys:
            if key.use == "witness":
                self.holders.setdefault(key.key, msp_id)

    def _keys(self, msp_id: str, entry: OrganizationEntry, at: str) -> tuple[str, ...]:
        valid = {
            key.key
            for key in entry.keys
            if key.use == "witness"
            and self.holders[key.key] == msp_id
            and is_strict_public_key(decode_bytes(key.key, "witness"))
            and key.valid_from <= at
            and (key.valid_until is None or at < key.valid_until)
        }
        return tuple(sorted(valid))


def members_of(
    blocks: Iterable[bytes], *, contract: str, genesis: bytes | None, replay: ContractReplay, at: str
) -> Members:
    """Verify a chain and give its members file.

    Raises:
        Tampered, Invalid: as :func:`network.verifier.chain.verify_chain`; also if there is no member.
    """
    verifier, registry = ChainVerifier(expected_genesis=genesis, replay=replay), Registry(contract)
    for raw in blocks:
        registry.take(verifier.add(raw))
    ledger = "embedded" if verifier.config.consensus_type == "embedded" else "fabric"
    return registry.members(verifier.report().channel, ledger, at)
