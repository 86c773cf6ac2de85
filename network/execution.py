"""Between a block's bytes and the stub: how an invocation is read, and what a peer signs of an execution.

The embedded ledger's endorsers and the verifier's replay share it, so that both mean the same by one execution.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from chaincode import stub
from domain.errors import Denied, Invalid
from network.blocks.identity import Identity
from network.blocks.mvcc import record_range
from network.blocks.proposal import NANOSECONDS, ChaincodeEvent, Response, Simulation
from network.blocks.rwset import NamespaceRwset, Read, Version, Write

TIME_WINDOW = timedelta(seconds=60)


class Contract(Protocol):
    """One version of the contract: it answers every invocation, errors too, and sees the ledger through the stub."""

    def __call__(self, stub: stub.Stub, name: str, arguments: bytes, /) -> stub.Response: ...


def read_invocation(args: tuple[bytes, ...]) -> tuple[str, bytes]:
    """The name and the argument bytes of an invocation.

    Raises:
        Invalid: not two arguments, or the name is not UTF-8.
    """
    if len(args) != 2:
        raise Invalid("an invocation has a name and one argument", reason="bad-arguments", place="args")
    try:
        return args[0].decode(), args[1]
    except UnicodeDecodeError as error:
        raise Invalid("the name is not UTF-8", reason="bad-arguments", place="args") from error


def creator_of(identity: Identity) -> stub.Creator:
    """Who invokes, as the contract sees it."""
    return stub.Creator(identity.msp_id, identity.attributes(), identity.organizational_units)


def simulation_of(chaincode: str, result: stub.SimulationResult, *others: NamespaceRwset) -> Simulation:
    """What a peer signs: the contract's read and write set among ``others``, its answer and its event."""
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
    namespaces = tuple(sorted((*others, own), key=lambda item: item.namespace))
    return Simulation(namespaces, Response(answer.status, answer.message, answer.payload), event)


def moment(timestamp_ns: int) -> datetime:
    """A header's timestamp in UTC, to the microsecond.

    Raises:
        Invalid: no point in time that a calendar has.
    """
    seconds, rest = divmod(timestamp_ns, NANOSECONDS)
    try:
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=rest // 1000)
    except (ValueError, OverflowError, OSError) as error:
        raise Invalid("the timestamp is no point in time", reason="bad-timestamp", place="timestamp") from error


def verify_time(timestamp_ns: int, now: datetime) -> None:
    """Verify that a proposal's time, the submitter's claim, is near the clock of who is to execute it.

    Raises:
        Denied: it is over 60 s away.
        Invalid: no point in time that a calendar has.
    """
    if abs(moment(timestamp_ns) - now) > TIME_WINDOW:
        raise Denied("the proposal's time is over 60 s away from the clock here", reason="time-window")


def nanoseconds(at: datetime) -> int:
    """A point in time as headers have it."""
    return int(at.timestamp()) * NANOSECONDS + at.microsecond * 1000


def _read(read: stub.Read) -> Read:
    return Read(read.key, None if read.version is None else Version(*read.version))
