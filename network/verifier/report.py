"""What a verification found, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from network.blocks.validation import ValidatedTransaction


class Rule(StrEnum):
    """The rules in the order of their checking; the ``reason`` of a ``Tampered`` error."""

    ENCODING = "encoding"
    NUMBER = "number"
    PREVIOUS_HASH = "previous-hash"
    DATA_HASH = "data-hash"
    GENESIS = "genesis"
    ORDERER_SIGNATURE = "orderer-signature"
    LAST_CONFIG = "last-config"
    CONFIGURATION = "configuration"
    VALIDATION_CODE = "validation-code"
    COMMIT_HASH = "commit-hash"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class OrdererSigner:
    """Who signed a block; ``consenter_id`` is 0 outside BFT ordering."""

    msp_id: str
    common_name: str
    certificate_der: bytes
    consenter_id: int = 0


@dataclass(frozen=True, slots=True)
class VerifiedBlock:
    """One block that passed every rule.

    Attributes:
        validity: which transactions are valid up to this block (:mod:`domain.validity`).
        transactions: with the codes recomputed from the bytes.
        orderer_signers: whose signatures this copy carries.
        config_sequence: of the configuration after this block.
        members: MSP ids of the channel's members by that configuration.
        replayed: how many of its transactions were executed again.
    """

    number: int
    header_hash: bytes
    validity: bytes
    transactions: tuple[ValidatedTransaction, ...]
    orderer_signers: tuple[OrdererSigner, ...]
    config_sequence: int
    members: tuple[str, ...]
    replayed: int

    @property
    def codes(self) -> bytes:
        """TRANSACTIONS_FILTER as recomputed."""
        return bytes(item.code for item in self.transactions)


@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """A channel verified from its genesis block on.

    Attributes:
        height: number of blocks.
        genesis_hash: header hash of block 0, which names the channel's founding configuration.
        head_hash: header hash of the last block.
        codes: how many transactions have each validation code, by Fabric's name.
        replayed: how many transactions were executed again.
        not_checked: what this verification could not or did not check, in words.
    """

    channel: str
    height: int
    genesis_hash: bytes
    head_hash: bytes
    transactions: int
    codes: Mapping[str, int]
    config_sequence: int
    replayed: int
    not_checked: tuple[str, ...]
