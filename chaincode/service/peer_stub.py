"""The contract's :class:`~chaincode.stub.Stub` over a conversation with a peer.

Writes are noted and told to the peer at the end (:mod:`chaincode.service.writes`), so the peer never answers a read
with an own write. The peer simulates on one committed state, so a key that was read once is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from google.protobuf.message import Message as Protobuf

from chaincode.service.conversation import GARBLED, Conversation
from chaincode.service.invocation import Invocation
from chaincode.service.message import Kind
from chaincode.service.protos import query_result, shim
from chaincode.stub import (
    Creator,
    Effects,
    KeyModification,
    Page,
    check_key,
    partial_composite_key_range,
    whole,
)
from domain.errors import Invalid
from network.blocks.proposal import NANOSECONDS
from network.blocks.protos import parse_into, serialize
from network.execution import moment

Parsed = TypeVar("Parsed", bound=Protobuf)
Item = TypeVar("Item")


class PeerStub:
    """What the contract sees of the ledger; one for each transaction, used by one thread.

    Attributes:
        transient: what the submitter sent besides the arguments; it is in no block.
        effects: what the contract would change.
    """

    __slots__ = ("_conversation", "_invocation", "_open", "_read", "effects")

    def __init__(self, invocation: Invocation, conversation: Conversation) -> None:
        self._invocation = invocation
        self._conversation = conversation
        self._read: dict[str, bytes | None] = {}
        self._open: dict[str, None] = {}
        self.effects = Effects()

    @property
    def tx_id(self) -> str:
        """The transaction's id."""
        return self._invocation.tx_id

    @property
    def timestamp(self) -> datetime:
        """The submitter's claim of the time."""
        return self._invocation.timestamp

    @property
    def channel(self) -> str:
        """The channel's name."""
        return self._invocation.channel

    @property
    def creator(self) -> Creator:
        """Who signed the proposal."""
        return self._invocation.creator

    @property
    def transient(self) -> Mapping[str, bytes]:
        """What the submitter sent besides the arguments."""
        return self._invocation.transient

    def get_state(self, key: str) -> bytes | None:
        """The value committed before this transaction, also where the transaction itself wrote the key."""
        check_key(key)
        if key not in self._read:
            self._read[key] = self._conversation.ask(Kind.GET_STATE, shim.GetState(key=key)) or None
        return self._read[key]

    def put_state(self, key: str, value: bytes) -> None:
        """Note a write (:meth:`Effects.put`)."""
        self.effects.put(key, value)

    def del_state(self, key: str) -> None:
        """Note a deletion (:meth:`Effects.delete`)."""
        self.effects.delete(key)

    def get_state_by_partial_composite_key(
        self, object_type: str, attributes: Sequence[str]
    ) -> Iterable[tuple[str, bytes]]:
        """All keys under a prefix.

        Raises:
            Invalid: there are more than :data:`~chaincode.stub.MAX_RANGE_ITEMS`.
        """
        start, end = partial_composite_key_range(object_type, attributes)
        first = self._conversation.ask(Kind.GET_STATE_BY_RANGE, shim.GetStateByRange(startKey=start, endKey=end))
        return list(whole(self._results(self._response(first), self._pair)))

    def get_state_by_partial_composite_key_with_pagination(
        self, object_type: str, attributes: Sequence[str], page_size: int, bookmark: str
    ) -> Page:
        """One page of the keys under a prefix (:meth:`Effects.open_page`)."""
        start, end = self.effects.open_page(object_type, attributes, page_size, bookmark)
        metadata = serialize(shim.QueryMetadata(pageSize=page_size, bookmark=bookmark))
        asked = shim.GetStateByRange(startKey=start, endKey=end, metadata=metadata)
        first = self._response(self._conversation.ask(Kind.GET_STATE_BY_RANGE, asked))
        told = self._parse(shim.QueryResponseMetadata(), first.metadata)
        return Page(tuple(whole(self._results(first, self._pair))), told.bookmark)

    def get_history_for_key(self, key: str) -> Iterable[KeyModification]:
        """The writes of a key, newest first, fetched while they are read."""
        check_key(key)
        first = self._conversation.ask(Kind.GET_HISTORY_FOR_KEY, shim.GetHistoryForKey(key=key))
        return whole(self._results(self._response(first), self._modification))

    def set_event(self, name: str, payload: bytes) -> None:
        """Set the event; the last one wins (:meth:`Effects.set_event`)."""
        self.effects.set_event(name, payload)

    def close_queries(self) -> None:
        """Let the peer forget queries that the contract did not read to their end.

        Raises:
            PeerFailed: the peer did not.
        """
        for query in tuple(self._open):
            self._close(query)

    def _results(self, first: Any, read: Callable[[bytes], Item]) -> Iterator[Item]:
        self._open[first.id] = None
        return self._read_on(first, read)

    def _read_on(self, first: Any, read: Callable[[bytes], Item]) -> Iterator[Item]:
        response = first
        try:
            while True:
                for result in response.results:
                    yield read(result.resultBytes)
                if not response.has_more:
                    return
                response = self._next(first.id)
        finally:
            self._close(first.id)

    def _close(self, query: str) -> None:
        """Once only: a query may be dropped by the contract and by the end of the transaction."""
        if query in self._open:
            del self._open[query]
            if not self._conversation.failed:
                self._conversation.ask(Kind.QUERY_STATE_CLOSE, shim.QueryStateClose(id=query))

    def _next(self, query: str) -> Any:
        response = self._response(self._conversation.ask(Kind.QUERY_STATE_NEXT, shim.QueryStateNext(id=query)))
        if not response.results:
            self._conversation.fail(GARBLED)
        return response

    def _response(self, payload: bytes) -> Any:
        return self._parse(shim.QueryResponse(), payload)

    def _pair(self, raw: bytes) -> tuple[str, bytes]:
        pair = self._parse(query_result.KV(), raw)
        return pair.key, pair.value

    def _modification(self, raw: bytes) -> KeyModification:
        past = self._parse(query_result.KeyModification(), raw)
        try:
            at = moment(past.timestamp.seconds * NANOSECONDS + past.timestamp.nanos)
        except Invalid:
            self._conversation.fail(GARBLED)
        return KeyModification(past.tx_id, at, None if past.is_delete else past.value)

    def _parse(self, message: Parsed, raw: bytes) -> Any:
        try:
            return parse_into(message, raw, "answer")
        except Invalid:
            self._conversation.fail(GARBLED)
