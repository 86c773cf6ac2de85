"""Our contract executed again over the state that the verifier built, with the stub that the embedded ledger uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from chaincode import stub
from domain.errors import Denied, Invalid
from network.blocks.identity import parse_identity
from network.blocks.mvcc import record_range
from network.blocks.proposal import NANOSECONDS, ChaincodeEvent, Response, Simulation
from network.blocks.rwset import NamespaceRwset, Read, Version, Write
from network.blocks.transaction import Transaction
from network.verifier.replay import UNKNOWN_CONTRACT, StateView


class Contract(Protocol):
    """One version of the contract: answers every invocation, errors too."""

    def __call__(self, stub: stub.Stub, name: str, arguments: bytes, /) -> stub.Response: ...


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
            if any(item.namespace == self.chaincode and item.has_writes for item in transaction.rwsets):
                raise Denied("another chaincode wrote the contract's state", reason="namespace-written")
            return None
        contract = self.contract_for(sequence)
        if contract is None:
            raise Invalid(f"there is no contract of sequence {sequence} here", reason=UNKNOWN_CONTRACT)
        name, arguments = _invocation(transaction)
        identity = parse_identity(transaction.envelope.creator)
        context = stub.TransactionStub(
            _NamespaceReader(state, self.chaincode),
            tx_id=transaction.tx_id,
            timestamp=_moment(transaction.envelope.timestamp_ns),
            channel=transaction.envelope.channel,
            creator=stub.Creator(identity.msp_id, identity.attributes(), identity.organizational_units),
        )
        return _simulation(self.chaincode, context.result(contract(context, name, arguments)))


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


def _invocation(transaction: Transaction) -> tuple[str, bytes]:
    if len(transaction.args) != 2:
        raise Invalid("an invocation has a name and one argument", reason="bad-arguments", place="args")
    try:
        return transaction.args[0].decode(), transaction.args[1]
    except UnicodeDecodeError as error:
        raise Invalid("the name is not UTF-8", reason="bad-arguments", place="args") from error


def _moment(timestamp_ns: int) -> datetime:
    seconds, rest = divmod(timestamp_ns, NANOSECONDS)
    try:
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=rest // 1000)
    except (ValueError, OverflowError, OSError) as error:
        raise Invalid("the timestamp is no point in time", reason="bad-timestamp", place="timestamp") from error


def _simulation(chaincode: str, result: stub.SimulationResult) -> Simulation:
    own = NamespaceRwset(
        chaincode,
        reads=tuple(_read(read) for read in result.reads),
        writes=tuple(Write(write.key, write.value) for write in result.writes),
        range_queries=tuple(
            record_range(item.start_key, item.end_key, [_read(read) for read in item.reads], exhausted=item.exhausted)
            for item in result.ranges
        ),
    )
    answer = result.response
    event = None if result.event is None else ChaincodeEvent(result.event.name, result.event.payload)
    return Simulation((own,), Response(answer.status, answer.message, answer.payload), event)


def _read(read: stub.Read) -> Read:
    return Read(read.key, None if read.version is None else Version(*read.version))
