"""A sealed base: all live secrets and all tombstones, sorted, in chunks under a key of its own.

Layout (docs/formats/custody.md): magic ‖ length ‖ JCS header ‖ chunks. A chunk holds up to 128 entries of 48 bytes;
its nonce is its number, which is safe because every base has a fresh key; the header is associated data.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain import jcs
from domain.errors import Invalid, Tampered
from domain.identifiers import IDENTIFIER_BYTES, check_identifier
from domain.instants import check_instant
from offchain.custody.forgetting.entries import ENTRY_BYTES
from offchain.custody.forgetting.layout import BaseKey
from offchain.disk import Disk

MAGIC: Final = b"YLB1"
MAX_HEADER_BYTES: Final = 1024
ENTRIES_PER_CHUNK: Final = 128
_TAG_BYTES: Final = 16
_CHUNK_BYTES: Final = ENTRIES_PER_CHUNK * ENTRY_BYTES
_CHUNKS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Replaced:
    """Which base a newer one replaces, and how many bytes of increments went into it."""

    base_id: str
    increments_bytes: int


@dataclass(frozen=True, slots=True)
class BaseHeader:
    """What a base says about itself in clear.

    Attributes:
        base_id: random, bound to every chunk and increment.
        number: counted from 1.
        made_at: when it was sealed; what was forgotten before becomes final once this is the only base.
        secrets, tombstones: how many entries of each kind follow, in this order.
        replaces: its predecessor, None for the first.
    """

    base_id: str
    number: int
    made_at: str
    secrets: int
    tombstones: int
    replaces: Replaced | None

    def __post_init__(self) -> None:
        check_identifier(self.base_id, "baseId")
        check_instant(self.made_at, "madeAt")
        if self.number < 1 or min(self.secrets, self.tombstones) < 0:
            raise Invalid("a base is counted from 1, its entries from 0", place="base")

    def encode(self) -> bytes:
        """Magic ‖ length ‖ JCS."""
        replaces: jcs.JsonValue = None
        if self.replaces is not None:
            replaces = {"baseId": self.replaces.base_id, "bytes": self.replaces.increments_bytes}
        fields: jcs.JsonObject = {
            "baseId": self.base_id,
            "madeAt": self.made_at,
            "number": self.number,
            "replaces": replaces,
            "secrets": self.secrets,
            "tombstones": self.tombstones,
        }
        encoded = jcs.canonical(fields)
        return MAGIC + len(encoded).to_bytes(4, "big") + encoded


def parse_header(start: bytes) -> tuple[BaseHeader, bytes]:
    """The header at the start of a base, and its bytes.

    Raises:
        Tampered: there is none.
    """
    length = int.from_bytes(start[4:8], "big")
    encoded = start[8 : 8 + length]
    try:
        if start[:4] != MAGIC or not 0 < length <= MAX_HEADER_BYTES:
            raise Invalid("no base", place="base")
        header = _header(jcs.parse_object(encoded, max_bytes=MAX_HEADER_BYTES))
    except (Invalid, KeyError, TypeError, ValueError) as error:
        raise Tampered("the base of the record secrets has no readable header", reason="secrets-base") from error
    return header, start[: 8 + length]


def _header(fields: jcs.JsonObject) -> BaseHeader:
    numbers = [fields["number"], fields["secrets"], fields["tombstones"]]
    number, secrets, tombstones = (value for value in numbers if isinstance(value, int))
    replaces = fields["replaces"]
    replaced: Replaced | None = None
    if replaces is not None:
        if not isinstance(replaces, dict) or not isinstance(replaces["bytes"], int):
            raise Invalid("a base replaces a base", place="replaces")
        replaced = Replaced(check_identifier(replaces["baseId"], "baseId"), replaces["bytes"])
    return BaseHeader(
        check_identifier(fields["baseId"], "baseId"),
        number,
        check_instant(fields["madeAt"], "madeAt"),
        secrets,
        tombstones,
        replaced,
    )


def sealed_pieces(header: BaseHeader, key: BaseKey, entries: Iterable[bytes]) -> Iterator[bytes]:
    """A base, piece by piece; ``entries`` are blocks of sorted entries, secrets first, in the header's numbers.

    Raises:
        Tampered: the entries are not as many as the header says.
    """
    head, cipher = header.encode(), AESGCM(key.reveal())
    yield head
    pending, number, total = bytearray(), 0, 0
    for block in entries:
        pending += block
        total += len(block) // ENTRY_BYTES
        while len(pending) >= _CHUNK_BYTES:
            yield cipher.encrypt(_nonce(number), bytes(pending[:_CHUNK_BYTES]), head)
            del pending[:_CHUNK_BYTES]
            number += 1
    if pending or number == 0:  # an empty base has one empty chunk: its tag speaks for the header
        yield cipher.encrypt(_nonce(number), bytes(pending), head)
    if total != header.secrets + header.tombstones:
        raise Tampered("the record secrets are not as many as counted", reason="secrets-base")


class SealedBase:
    """A base on disk, authenticated as a whole when it was opened; entries are decrypted where they are asked for.

    What lies in memory is the key and one id per chunk: a million secrets need 125 KB.
    """

    def __init__(self, path: Path, key: BaseKey, disk: Disk) -> None:
        """Open and authenticate.

        Raises:
            FileNotFoundError: there is no such base.
            Tampered: it was altered, or the key is another base's.
            Unavailable: the disk failed.
        """
        self._path = path
        self._disk = disk
        self._cipher = AESGCM(key.reveal())
        with disk.opened(path) as descriptor:
            self.header, self._head = parse_header(disk.read_at(descriptor, 0, 8 + MAX_HEADER_BYTES))
            self._total = self.header.secrets + self.header.tombstones
            self._first_ids = [chunk[:IDENTIFIER_BYTES] for chunk in self._chunks(descriptor, 0, self._total)]
            size = len(self._head) + self._total * ENTRY_BYTES + len(self._first_ids) * _TAG_BYTES
            if disk.read_at(descriptor, size, 1):
                raise Tampered("the base of the record secrets has bytes behind its end", reason="secrets-base")

    def __repr__(self) -> str:
        return f"SealedBase({self.header.number})"

    def secret(self, descriptor: int, record: bytes) -> bytes | None:
        """The entry of a record's secret; ``descriptor`` is of this base's file.

        Raises:
            Tampered: the chunk does not open any more.
        """
        return self._find(descriptor, record, 0, self.header.secrets)

    def tombstone(self, descriptor: int, record: bytes) -> bytes | None:
        """The entry of a record that was forgotten before this base was made."""
        return self._find(descriptor, record, self.header.secrets, self._total)

    def secrets(self) -> Iterator[bytes]:
        """Blocks of all secrets' entries, in order."""
        return self._blocks(0, self.header.secrets)

    def tombstones(self) -> Iterator[bytes]:
        """Blocks of all tombstones, in order."""
        return self._blocks(self.header.secrets, self._total)

    def _blocks(self, begin: int, end: int) -> Iterator[bytes]:
        with self._disk.opened(self._path) as descriptor:
            yield from self._entries(descriptor, begin, end)

    def _entries(self, descriptor: int, begin: int, end: int) -> Iterator[bytes]:
        if begin == end:
            return
        first = begin // ENTRIES_PER_CHUNK
        for number, chunk in enumerate(self._chunks(descriptor, first, end), first):
            start = number * ENTRIES_PER_CHUNK
            yield chunk[max(0, begin - start) * ENTRY_BYTES : (end - start) * ENTRY_BYTES]

    def _chunks(self, descriptor: int, first: int, end: int) -> Iterator[bytes]:
        """Opened chunks from chunk ``first`` up to the one with entry ``end`` − 1, read many at a time."""
        step = _CHUNK_BYTES + _TAG_BYTES
        last = max(1, -(-end // ENTRIES_PER_CHUNK))
        for at in range(first, last, _CHUNKS_AT_ONCE):
            until = min(at + _CHUNKS_AT_ONCE, last)
            data = self._disk.read_at(descriptor, len(self._head) + at * step, (until - at) * step)
            for number in range(at, until):
                sealed = data[(number - at) * step : (number - at + 1) * step]
                yield self._open(number, sealed)

    def _open(self, number: int, sealed: bytes) -> bytes:
        entries = min(ENTRIES_PER_CHUNK, self._total - number * ENTRIES_PER_CHUNK)
        try:
            return self._cipher.decrypt(_nonce(number), sealed[: entries * ENTRY_BYTES + _TAG_BYTES], self._head)
        except (InvalidTag, ValueError):
            raise Tampered(
                "the base of the record secrets was altered, or the key is another base's", reason="secrets-base"
            ) from None

    def _find(self, descriptor: int, record: bytes, begin: int, end: int) -> bytes | None:
        """Binary search in entries ``begin`` to ``end``: first for the chunk by its first id, then inside it."""
        low, high = begin // ENTRIES_PER_CHUNK, -(-end // ENTRIES_PER_CHUNK)
        if begin == end:
            return None
        own_start = low + (begin % ENTRIES_PER_CHUNK > 0)  # the chunk at the border begins with the other kind
        number = max(low, bisect_right(self._first_ids, record, own_start, high) - 1) if own_start < high else low
        block = b"".join(self._entries(descriptor, max(begin, number * ENTRIES_PER_CHUNK),
                                       min(end, (number + 1) * ENTRIES_PER_CHUNK)))  # fmt: skip
        return find_entry(block, record)


def find_entry(block: bytes, record: bytes) -> bytes | None:
    """The entry of a record in a sorted block."""
    low, high = 0, len(block) // ENTRY_BYTES
    while low < high:
        middle = (low + high) // 2
        entry = block[middle * ENTRY_BYTES : (middle + 1) * ENTRY_BYTES]
        if entry[:IDENTIFIER_BYTES] == record:
            return entry
        low, high = (middle + 1, high) if entry[:IDENTIFIER_BYTES] < record else (low, middle)
    return None


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
