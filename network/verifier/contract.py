"""Our contract executed again over the state that the verifier built, with the stub that the embedded ledger uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaincode import stub
from domain.errors import Denied, Invalid
from network.blocks.identity import parse_identity
from network.blocks.proposal import Simulation
from network.blocks.transaction import Transaction
from network.execution import Contract, creator_of, moment, read_invocation, simulation_of
from network.verifier.replay import UNKNOWN_CONTRACT, StateView


@dataclass(frozen=True, slots=True)
class ContractReplayer:
    """A :class:`network.verifier.replay.ContractReplay`.

    Attributes:
        chaincode: the contract's name on the channel.
        contract_for: the contract of a definition's sequence; ``None`` where it is not known, which is an error.
    """

    chaincode: str
    contract_for: Callable[[int], Contract | None]

    def __call__(self, transaction: Transaction, sequence: int, state: StateView) -> Simulation | None:
        """Executes one transaction again.

        Raises:
            Invalid: no contract of this sequence, or the invocation cannot be read.
            Denied: another chaincode wrote this one's state, where no replay would see it.
        """
        if transaction.chaincode != self.chaincode:
            if any(item.namespace == self.chaincode and item.has_public_writes for item in transaction.rwsets):
                raise Denied("another chaincode wrote the contract's state", reason="namespace-written")
            return None
        contract = self.contract_for(sequence)
        if contract is None:
            raise Invalid(f"there is no contract of sequence {sequence} here", reason=UNKNOWN_CONTRACT)
        name, arguments = read_invocation(transaction.args)
        identity = parse_identity(transaction.envelope.creator)
        context = stub.TransactionStub(
            _NamespaceReader(state, self.chaincode),
            tx_id=transaction.tx_id,
            timestamp=moment(transaction.envelope.timestamp_ns),
            channel=transaction.envelope.channel,
            creator=creator_of(identity),
        )
        return simulation_of(self.chaincode, context.result(contract(context, name, arguments)))


@dataclass(frozen=True, slots=True)
class _NamespaceReader:
    """The contract's namespace as ``chaincode.stub.StateReader``."""

    state: StateView
    namespace: str

    def get(self, key: str) -> stub.StateValue | None:
        value, version = self.state.get(self.namespace, key), self.state.version(self.namespace, key)
        return None if value is None or version is None else stub.StateValue(value, stub.Version(*version))

    def range(self, start: str, end: str) -> Iterator[tuple[str, stub.StateValue]]:
        for key, version in self.state.scan(self.namespace, start, end):
            value = self.state.get(self.namespace, key)
            if value is not None:
                yield key, stub.StateValue(value, stub.Version(*version))

    def history(self, key: str) -> Iterator[stub.KeyModification]:
        """Refused: no peer checks what was read of the past, so a transaction that writes must not depend on it."""
        raise Invalid("a transaction in a block read history", reason="history-read")
