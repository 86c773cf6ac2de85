"""A channel with full blocks, as an auditor gets it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from chaincode.contract import v1
from domain import merkle
from domain.identifiers import encode_bytes
from domain.transactions import CreateRecord, encode
from network.blocks import member
from network.blocks.signature import PublicKey, verify_signature
from network.embedded.founding import CONTRACT, init
from network.embedded.ledger import EmbeddedLedger
from network.execution import Contract
from network.verifier.chain import verify_chain
from network.verifier.contract import ContractReplayer
from node_service.composition import SystemClock
from scripts.bench.comparison import Place
from scripts.bench.inputs import MSP_ID, fresh_identifier, registration

_MEMBERS: Final = (MSP_ID, "SouthMSP", "WestMSP")
_BLOCKS: Final = 16
_TRANSACTIONS_PER_BLOCK: Final = 25
_USERS_OF_VERIFY_SIGNATURE: Final[tuple[Any, ...]] = (member,)


@dataclass(frozen=True, slots=True)
class RecordedChain:
    """Serialized blocks from genesis on, and what their founder told auditors."""

    blocks: tuple[bytes, ...]
    genesis: bytes

    @property
    def transactions(self) -> int:
        """Transactions of the contract."""
        return _BLOCKS * _TRANSACTIONS_PER_BLOCK + 1

    def verify(self, *, replays: bool) -> float:
        """Verify everything; return how many transactions of the contract there are."""
        replay = ContractReplayer(CONTRACT, _contract) if replays else None
        report = verify_chain(self.blocks, expected_genesis=self.genesis, replay=replay)
        return report.codes["VALID"]


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature as the verifier checked it."""

    key: PublicKey
    signature: bytes
    message: bytes


def recorded_chain(place: Place) -> RecordedChain:
    """Make a channel of three members with blocks of many records."""
    clock = SystemClock()
    founding = init(place.folder / "chain", "yilian", _MEMBERS, clock=clock, random=os.urandom)
    with EmbeddedLedger(founding.directory, MSP_ID, clock, os.urandom) as ledger:
        ledger.submit(*encode(registration()))
        for _ in range(_BLOCKS):
            ledger.committer.commit([_envelope(ledger) for _ in range(_TRANSACTIONS_PER_BLOCK)])
        blocks = tuple(ledger.raw_block(number) for number in range(ledger.height()))
    return RecordedChain(blocks, bytes.fromhex(founding.genesis))


def signatures_of(chain: RecordedChain) -> list[Signature]:
    """Every signature that a verification checks, as often as it checks it."""
    found: list[Signature] = []
    with _listening(found):
        chain.verify(replays=False)
    return found


def _envelope(ledger: EmbeddedLedger) -> bytes:
    record = fresh_identifier()
    transaction = CreateRecord(record, encode_bytes(merkle.leaf_hash(record.encode())))
    return ledger.assemble(ledger.endorse(ledger.propose(*encode(transaction))))


def _contract(sequence: int) -> Contract | None:
    return v1.invoke if sequence == 1 else None


@contextmanager
def _listening(found: list[Signature]) -> Iterator[None]:
    original = verify_signature

    def listen(key: PublicKey, signature: bytes, message: bytes, scheme: ec.ECDSA) -> None:
        found.append(Signature(key, signature, message))
        original(key, signature, message, scheme)

    try:
        for module in _USERS_OF_VERIFY_SIGNATURE:
            module.verify_signature = listen
        yield
    finally:
        for module in _USERS_OF_VERIFY_SIGNATURE:
            module.verify_signature = original
