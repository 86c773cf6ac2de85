"""The stub: all that the contract may see of the ledger, and an in-process stub with the rules of a Fabric peer.

Sources: Hyperledger Fabric ``shim.ChaincodeStubInterface``; ``core/ledger/kvledger/txmgmt/txmgr`` (simulator, query
executor) and ``rwsetutil`` (read sets). A transaction reads the state as it was committed before it, never its own
writes; what it read is recorded with versions, what it would write is recorded and applied by nobody but a valid block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple, Protocol, TypeVar

from domain.errors import Invalid

Item = TypeVar("Item")

MIN_CODE_POINT: Final = "\u0000"
MAX_CODE_POINT: Final = "\U0010ffff"
MAX_KEY_BYTES: Final = 4096
MAX_VALUE_BYTES: Final = 1 << 20
MAX_EVENT_BYTES: Final = 1 << 20
MAX_PAGE_ITEMS: Final = 1000
MAX_RANGE_ITEMS: Final = 9_999
"""A peer cuts longer results off and does not say so: at ``ledger.state.totalQueryLimit``, 10,000 unless set higher."""

ERROR_STATUS: Final = 400
"""Fabric's ERRORTHRESHOLD: answers from here on are errors, and no peer endorses them."""


class Version(NamedTuple):
    """Which transaction last wrote a key: block number and position in the block."""

    block: int
    tx: int


@dataclass(frozen=True, slots=True)
class StateValue:
    """A committed value with its version."""

    value: bytes
    version: Version


@dataclass(frozen=True, slots=True)
class KeyModification:
    """One past write of a key; ``value`` is None where the key was deleted (Fabric ``queryresult.KeyModification``)."""

    tx_id: str
    timestamp: datetime
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Creator:
    """Who signed the proposal, from the certificate that the ledger verified.

    Attributes:
        attributes: what Fabric CA put into the certificate's extension 1.2.3.4.5.6.7.8.1.
        organizational_units: the OU values of the certificate's subject.
    """

    msp_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    organizational_units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """The contract's answer; 200 is success, 400 and above an error that nobody endorses."""

    status: int
    message: str = ""
    payload: bytes = b""


class Page(NamedTuple):
    """One page of a range: keys and values, and the key at which the next page starts (empty after the last)."""

    items: tuple[tuple[str, bytes], ...]
    bookmark: str


class Stub(Protocol):
    """What the contract may see. Function and arguments are passed to the contract itself."""

    @property
    def tx_id(self) -> str:
        """The transaction's id."""

    @property
    def timestamp(self) -> datetime:
        """The submitter's claim of the time, from the proposal's channel header."""

    @property
    def channel(self) -> str:
        """The channel's name."""

    @property
    def creator(self) -> Creator:
        """Who signed the proposal."""

    def get_state(self, key: str) -> bytes | None:
        """The committed value of a key."""

    def put_state(self, key: str, value: bytes) -> None:
        """Write a key if the transaction becomes valid."""

    def del_state(self, key: str) -> None:
        """Delete a key if the transaction becomes valid."""

    def get_state_by_partial_composite_key(
        self, object_type: str, attributes: Sequence[str]
    ) -> Iterable[tuple[str, bytes]]:
        """All keys whose first attributes are these, in the order of their UTF-8 bytes; at most MAX_RANGE_ITEMS."""

    def get_state_by_partial_composite_key_with_pagination(
        self, object_type: str, attributes: Sequence[str], page_size: int, bookmark: str
    ) -> Page:
        """At most ``page_size`` of these keys from ``bookmark`` on; for queries only."""

    def get_history_for_key(self, key: str) -> Iterable[KeyModification]:
        """The writes of a key, newest first; not part of the read set, so for queries only."""

    def set_event(self, name: str, payload: bytes) -> None:
        """Set the transaction's one event; the last one wins."""


class StateReader(Protocol):
    """The committed state of the contract's namespace."""

    def get(self, key: str) -> StateValue | None:
        """Value and version of a key."""

    def range(self, start: str, end: str) -> Iterator[tuple[str, StateValue]]:
        """Keys from ``start`` up to, not including, ``end`` in the order of their UTF-8 bytes (as LevelDB has them)."""

    def history(self, key: str) -> Iterator[KeyModification]:
        """The valid writes of a key, newest first."""


@dataclass(frozen=True, slots=True)
class Read:
    """A key that was read, with the version seen; None where it was absent."""

    key: str
    version: Version | None


@dataclass(frozen=True, slots=True)
class RangeRead:
    """A range that was read: ``[start_key, end_key)`` where exhausted, else up to and including ``end_key``."""

    start_key: str
    end_key: str
    exhausted: bool
    reads: tuple[Read, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """A key that is written; ``value`` is None where it is deleted."""

    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class ChaincodeEvent:
    """The transaction's event."""

    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What an endorser learns by executing a proposal.

    Attributes:
        reads: single keys, sorted, each once.
        ranges: in the order in which they were asked.
        writes: sorted by key, the last write of each.
    """

    reads: tuple[Read, ...]
    ranges: tuple[RangeRead, ...]
    writes: tuple[Write, ...]
    event: ChaincodeEvent | None
    response: Response


class Effects:
    """What a transaction would change, under the rules that every stub keeps."""

    __slots__ = ("_event", "_paged", "_writes")

    def __init__(self) -> None:
        self._writes: dict[str, bytes | None] = {}
        self._event: ChaincodeEvent | None = None
        self._paged = False

    def put(self, key: str, value: bytes) -> None:
        """Note a write.

        Raises:
            Invalid: an empty or too long value, a bad key, or a write after a paged query.
        """
        if not value:
            raise Invalid("an empty value would delete the key", reason="empty-value")
        if len(value) > MAX_VALUE_BYTES:
            raise Invalid(f"a value is longer than {MAX_VALUE_BYTES} bytes", reason="too-large")
        self._write(key, value)

    def delete(self, key: str) -> None:
        """Note a deletion.

        Raises:
            Invalid: a bad key, or a write after a paged query.
        """
        self._write(key, None)

    def set_event(self, name: str, payload: bytes) -> None:
        """Note the event; the last one wins.

        Raises:
            Invalid: no name, or a payload that is too long.
        """
        if not name:
            raise Invalid("an event needs a name", reason="event-name")
        if len(payload) > MAX_EVENT_BYTES:
            raise Invalid(f"an event is longer than {MAX_EVENT_BYTES} bytes", reason="too-large")
        self._event = ChaincodeEvent(name, payload)

    def open_page(self, object_type: str, attributes: Sequence[str], page_size: int, bookmark: str) -> tuple[str, str]:
        """The range [start, end) in which a page is read; nothing can be written from here on.

        Raises:
            Invalid: a page size out of bounds, a bookmark outside the range, or the transaction wrote already.
        """
        start, end = partial_composite_key_range(object_type, attributes)
        if not 0 < page_size <= MAX_PAGE_ITEMS:
            raise Invalid(f"a page has 1 to {MAX_PAGE_ITEMS} items", reason="page-size")
        if bookmark and not start <= bookmark < end:
            raise Invalid("the bookmark lies outside the range", reason="bookmark")
        if self._writes:
            raise Invalid("paged queries are for transactions that do not write", reason="paged-query")
        self._paged = True
        return bookmark or start, end

    def of(self, response: Response) -> tuple[tuple[Write, ...], ChaincodeEvent | None]:
        """Writes sorted by key and the event, if the contract answers so; an error writes nothing and tells nobody."""
        if response.status >= ERROR_STATUS:
            return (), None
        return tuple(Write(key, self._writes[key]) for key in sorted(self._writes)), self._event

    def _write(self, key: str, value: bytes | None) -> None:
        check_key(key)
        if self._paged:
            raise Invalid("paged queries are for transactions that do not write", reason="paged-query")
        self._writes[key] = value


class TransactionStub:
    """A :class:`Stub` over a :class:`StateReader` that records what Fabric's simulator records."""

    __slots__ = ("_effects", "_ranges", "_reader", "_reads", "channel", "creator", "timestamp", "tx_id")

    def __init__(self, reader: StateReader, *, tx_id: str, timestamp: datetime, channel: str, creator: Creator) -> None:
        self.tx_id = tx_id
        self.timestamp = timestamp
        self.channel = channel
        self.creator = creator
        self._reader = reader
        self._reads: dict[str, Version | None] = {}
        self._ranges: dict[tuple[str, str, bool], RangeRead] = {}
        self._effects = Effects()

    def get_state(self, key: str) -> bytes | None:
        """The value committed before this transaction, also where the transaction itself wrote the key."""
        check_key(key)
        found = self._reader.get(key)
        self._reads[key] = found.version if found else None
        return found.value if found else None

    def put_state(self, key: str, value: bytes) -> None:
        """Record a write (:meth:`Effects.put`)."""
        self._effects.put(key, value)

    def del_state(self, key: str) -> None:
        """Record a deletion (:meth:`Effects.delete`)."""
        self._effects.delete(key)

    def get_state_by_partial_composite_key(
        self, object_type: str, attributes: Sequence[str]
    ) -> Iterable[tuple[str, bytes]]:
        """All keys under a prefix; the whole range is recorded, so that a phantom makes the transaction invalid.

        Raises:
            Invalid: there are more than :data:`MAX_RANGE_ITEMS`.
        """
        start, end = partial_composite_key_range(object_type, attributes)
        found = list(whole(self._reader.range(start, end)))
        self._record_range(start, end, True, found)
        return [(key, state.value) for key, state in found]

    def get_state_by_partial_composite_key_with_pagination(
        self, object_type: str, attributes: Sequence[str], page_size: int, bookmark: str
    ) -> Page:
        """One page of the keys under a prefix (:meth:`Effects.open_page`)."""
        start, end = self._effects.open_page(object_type, attributes, page_size, bookmark)
        found = list(islice(self._reader.range(start, end), page_size + 1))
        page, following = found[:page_size], found[page_size:]
        self._record_range(start, page[-1][0] if following else end, not following, page)
        return Page(tuple((key, state.value) for key, state in page), following[0][0] if following else "")

    def get_history_for_key(self, key: str) -> Iterable[KeyModification]:
        """The writes of a key, newest first."""
        check_key(key)
        return whole(self._reader.history(key))

    def set_event(self, name: str, payload: bytes) -> None:
        """Set the event; the last one wins (:meth:`Effects.set_event`)."""
        self._effects.set_event(name, payload)

    def result(self, response: Response) -> SimulationResult:
        """What was recorded, with the contract's answer; an error writes nothing and tells nobody."""
        writes, event = self._effects.of(response)
        return SimulationResult(
            reads=tuple(Read(key, self._reads[key]) for key in sorted(self._reads)),
            ranges=tuple(self._ranges.values()),
            writes=writes,
            event=event,
            response=response,
        )

    def _record_range(self, start: str, end: str, exhausted: bool, found: Sequence[tuple[str, StateValue]]) -> None:
        reads = tuple(Read(key, state.version) for key, state in found)
        self._ranges.setdefault((start, end, exhausted), RangeRead(start, end, exhausted, reads))


def whole(items: Iterable[Item]) -> Iterator[Item]:
    """The items of a result that is to be read whole.

    Raises:
        Invalid: one item too many: a peer might have cut the result off there.
    """
    for number, item in enumerate(items):
        if number == MAX_RANGE_ITEMS:
            raise Invalid(f"a result has over {MAX_RANGE_ITEMS} items: read it in pages", reason="range-too-large")
        yield item


def create_composite_key(object_type: str, attributes: Sequence[str]) -> str:
    """U+0000 ‖ object type ‖ U+0000 ‖ attribute ‖ U+0000 … (Fabric ``CreateCompositeKey``).

    Raises:
        Invalid: a part holds U+0000, U+10FFFF or a lone surrogate, or there is no object type.
    """
    if not object_type:
        raise Invalid("a composite key needs an object type", reason="composite-key")
    parts = [_check_part(part) for part in (object_type, *attributes)]
    return MIN_CODE_POINT + "".join(part + MIN_CODE_POINT for part in parts)


def split_composite_key(key: str) -> tuple[str, tuple[str, ...]]:
    """Object type and attributes of a composite key.

    Raises:
        Invalid: it is none.
    """
    parts = key.split(MIN_CODE_POINT)
    if len(parts) < 3 or parts[0] or parts[-1] or not parts[1]:
        raise Invalid("this is no composite key", reason="composite-key")
    for part in parts[1:-1]:
        _check_part(part)
    return parts[1], tuple(parts[2:-1])


def partial_composite_key_range(object_type: str, attributes: Sequence[str]) -> tuple[str, str]:
    """The range [start, end) of all composite keys that begin with these attributes."""
    start = create_composite_key(object_type, attributes)
    return start, start + MAX_CODE_POINT


def _check_part(part: str) -> str:
    if MIN_CODE_POINT in part or MAX_CODE_POINT in part:
        raise Invalid("a part of a composite key holds U+0000 or U+10FFFF", reason="composite-key")
    if not part.isascii() and any("\ud800" <= character <= "\udfff" for character in part):
        raise Invalid("a part of a composite key holds a lone surrogate", reason="composite-key")
    return part


def check_key(key: str) -> None:
    """Check a key's form.

    Raises:
        Invalid: it is empty, too long or no Unicode.
    """
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise Invalid("a key is not valid Unicode", reason="key") from None
    if not 0 < size <= MAX_KEY_BYTES:
        raise Invalid(f"a key has 1 to {MAX_KEY_BYTES} bytes", reason="key")
