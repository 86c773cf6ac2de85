"""The mirrored store: the same objects on several media, of which some may be down or damaged.

A write is acknowledged when enough media have it; what the others miss is written down before, in ``owed.db``, and
brought to them later. An object that was deleted is gone at once for readers, and for each medium when that medium has
deleted it. A copy that is missing or altered is replaced by one that verifies.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from domain.errors import Invalid, NotFound, Tampered, Unavailable, YilianError
from domain.identifiers import DIGEST_BYTES, decode_bytes
from domain.instants import instant
from domain.ports import Clock, StoreCopy, StoredBlob, StoreReport
from offchain.disk import disk_errors
from offchain.envelope.chunk_list import Buffer
from offchain.envelope.sealed import SealedBytes, SealedObject, SealedStream, received
from offchain.stores import SealedStore
from offchain.stores.lock import locked
from offchain.stores.opened import OpeningStore
from offchain.stores.owed import Owed

Answer = TypeVar("Answer")
REST_S: Final = 5.0
"""How long a medium that failed is left alone, so that a hung one does not slow every call down."""
LOCK_WAIT_S: Final = 60.0
SETTLE_AT_ONCE: Final = 500
_ONE_OBJECT: Final = ("ipfs-held", "ipfs-neighbour")
_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Mirror:
    """One medium, and how it fared last."""

    name: str
    store: SealedStore = field(repr=False)
    rests_until_s: float = 0.0
    healed: int = 0

    @property
    def rests(self) -> bool:
        """True if it failed a moment ago."""
        return time.monotonic() < self.rests_until_s

    def failed(self, error: Unavailable) -> None:
        """Leave it alone for a while, unless only an object of it is in the way."""
        if error.reason in _ONE_OBJECT:
            return
        if not self.rests:
            _LOG.warning("the store %s fails: %s", self.name, error.reason)
        self.rests_until_s = time.monotonic() + REST_S


class MirroredStore(OpeningStore):
    """Several stores as one (see :class:`domain.ports.BlobStore`)."""

    def __init__(self, mirrors: Sequence[tuple[str, SealedStore]], folder: Path, clock: Clock, *, quorum: int) -> None:
        """Open the notes; the first mirror is read and written first.

        Args:
            quorum: how many mirrors must have an object before it counts as stored.

        Raises:
            Invalid: fewer than two mirrors, a name twice, or an impossible quorum.
            Unavailable, Tampered: the notes cannot be opened.
        """
        names = [name for name, _ in mirrors]
        if len(set(names)) < max(2, len(names)) or not 1 <= quorum <= len(names):
            raise Invalid("two mirrors or more are needed, and a quorum of one to all", reason="settings")
        with disk_errors("opening the store"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mirrors = [Mirror(name, store) for name, store in mirrors]
        self._owed = Owed(folder / "owed.db")
        self._lock = folder / "lock"
        self._clock = clock
        self._quorum = quorum

    def close(self) -> None:
        """Close the notes; the mirrors are closed by whoever opened them."""
        self._owed.close()

    def put(self, sealed: SealedBytes | SealedStream, *, digest: str | None = None) -> StoredBlob:
        """Store one object on enough mirrors. A stream goes to the first that is well, and from there to the others.

        Raises:
            Tampered: it has not the ``digest`` that was expected; nothing is stored.
            Unavailable: fewer than the quorum have it; nothing is acknowledged.
        """
        if isinstance(sealed, SealedBytes):
            if digest is not None and sealed.digest != digest:
                raise Tampered("the object is not the expected one", reason="not-anchored", place=digest)
            return self.put_many([sealed])[0]
        first = self._ordered()[0]
        try:
            stored = first.store.put(sealed, digest=digest)
        except Unavailable as error:
            first.failed(error)
            raise

        def copy(mirror: Mirror) -> None:
            if mirror is not first:
                _copy(first.store, mirror.store, stored.digest)

        self._spread([stored.digest], copy)
        return stored

    def put_many(self, sealed: Sequence[SealedBytes]) -> list[StoredBlob]:
        """Store many objects on enough mirrors.

        Raises:
            Unavailable: fewer than the quorum have all; nothing is acknowledged, and the call may be repeated.
        """
        self._spread([one.digest for one in sealed], lambda mirror: mirror.store.put_many(sealed))
        return [StoredBlob(one.digest, one.chunk_list.total_bytes) for one in sealed]

    @contextmanager
    def get(self, digest: str) -> Iterator[SealedObject]:
        """Open an object on the first mirror that gives it; a chunk that is not there or altered comes from another.

        Raises:
            NotFound: no mirror has it.
            Tampered: none has it as it was anchored.
            Unavailable: those that may have it are down.
        """
        self._refuse_erased(digest)
        with ExitStack() as stack:
            yield _Reading(self._ordered(), digest, stack, self._note).open()

    def exists(self, digest: str) -> bool:
        """True if a mirror has it.

        Raises:
            Unavailable: none that answers has it, and one is down.
        """
        if self._owed.is_erased(_checked(digest)):
            return False
        down: Unavailable | None = None
        for mirror in self._ordered():
            try:
                if mirror.store.exists(digest):
                    return True
            except Unavailable as error:
                mirror.failed(error)
                down = error
        if down is not None:
            raise down
        return False

    def verify(self, digest: str) -> None:
        """Read and verify every copy; one that is missing or altered is replaced from one that verifies.

        Raises:
            NotFound, Tampered, Unavailable: no copy verifies.
        """
        self._refuse_erased(digest)
        well, damaged, failures = 0, list[Mirror](), list[YilianError]()
        for mirror in self._mirrors:
            try:
                mirror.store.verify(digest)
                well += 1
            except Unavailable as error:
                mirror.failed(error)
                failures.append(error)
            except (NotFound, Tampered) as error:
                damaged.append(mirror)
                failures.append(error)
        if not well:
            raise _worst(failures)
        for mirror in damaged:
            self._owed.note_damaged(mirror.name, digest, self._now())
            try:
                self._heal(mirror, digest)
            except Unavailable as error:
                mirror.failed(error)  # the note stays

    def delete(self, digest: str) -> bool:
        """Delete an object on every mirror; false if none had it.

        Raises:
            Unavailable: no mirror could; readers get it no more, and it is deleted later.
        """
        return bool(self.delete_many([digest]))

    def delete_many(self, digests: Sequence[str]) -> int:
        """Delete objects on every mirror; one that is down does it later, by the note. How many there were.

        Raises:
            Unavailable: as :meth:`delete`.
        """
        wanted = sorted({_checked(digest) for digest in digests})
        counts, down = [0], list[Unavailable]()
        with locked(self._lock, fcntl.LOCK_EX, LOCK_WAIT_S):
            self._owed.note([mirror.name for mirror in self._mirrors], wanted, "erase", self._now())
            for mirror in self._mirrors:
                try:
                    counts.append(mirror.store.delete_many(wanted))
                    self._owed.settled(mirror.name, wanted)
                except Unavailable as error:
                    mirror.failed(error)
                    down.append(error)
        if len(down) == len(self._mirrors):
            raise down[0]
        return max(counts)

    def digests(self) -> Iterator[str]:
        """The digests of all mirrors that answer, in no order.

        Raises:
            Unavailable: none answers.
        """
        seen = set[str]()
        for held in self._each(lambda mirror: list(mirror.store.digests())):
            seen.update(held)
        yield from (digest for digest in seen if not self._owed.is_erased(digest))

    def collect(self, is_referenced: Callable[[str], bool], now: datetime) -> list[str]:
        """Collect on every mirror that answers.

        Raises:
            Unavailable: none answers.
        """
        removed = set[str]()
        for some in self._each(lambda mirror: mirror.store.collect(is_referenced, now)):
            removed.update(some)
        return sorted(removed)

    def settle(self) -> bool:
        """Bring to every mirror that answers what it owes, erasures first; true if something is still owed."""
        for step in (self._erase_owed, self._copy_owed):
            for mirror in self._mirrors:
                try:
                    step(mirror)
                except Unavailable as error:
                    mirror.failed(error)
        return any(self._owed.of(mirror.name, kind, 1) for mirror in self._mirrors for kind in ("copy", "erase"))

    def report(self) -> StoreReport:
        """Each mirror by name."""
        return StoreReport(tuple(self._copy_report(mirror) for mirror in self._mirrors), self._quorum)

    def unfinished_erasures(self) -> Sequence[tuple[str, str]]:
        """Mirrors that owe erasures, each with the oldest note's time."""
        debts = ((mirror.name, self._owed.debt(mirror.name).erasing_since) for mirror in self._mirrors)
        return [(name, since) for name, since in debts if since is not None]

    def _spread(self, digests: Sequence[str], write: Callable[[Mirror], object]) -> None:
        """Write everywhere; what a mirror misses is written down before anybody is told that the objects are stored."""
        present, missing = list[Mirror](), list[Mirror]()
        for mirror in self._mirrors:
            try:
                if mirror.rests:
                    raise Unavailable("it failed a moment ago", reason="resting")
                write(mirror)
                present.append(mirror)
            except Unavailable as error:
                missing.append(mirror)
                if error.reason != "resting":
                    mirror.failed(error)
        if len(present) < self._quorum:
            raise Unavailable("too few stores are up", reason="store-quorum")
        self._owed.note([mirror.name for mirror in missing], digests, "copy", self._now())
        for mirror in present:
            self._owed.settled(mirror.name, digests)

    def _note(self, mirror: Mirror, digest: str, error: YilianError) -> None:
        if isinstance(error, Unavailable):
            mirror.failed(error)
            return
        _LOG.warning("a copy in the store %s is damaged: %s", mirror.name, error.reason)
        self._owed.note_damaged(mirror.name, digest, self._now())

    def _heal(self, mirror: Mirror, digest: str) -> None:
        """Replace a copy, unless the object was deleted meanwhile; under the lock that a deletion takes.

        While any mirror still has to erase it, none gets it from there.

        Raises:
            Unavailable: this mirror is down. Where no other one has it now, the note stays.
        """
        with locked(self._lock, fcntl.LOCK_EX, LOCK_WAIT_S):
            if not self._owed.owes_copy(mirror.name, digest):
                return
            if self._owed.is_erased(digest):
                self._owed.settled(mirror.name, [digest])
                return
            failures = list[YilianError]()
            for source in (one for one in self._ordered() if one is not mirror):
                try:
                    source.store.verify(digest)
                except (NotFound, Tampered, Unavailable) as error:
                    failures.append(error)
                    continue
                _copy(source.store, mirror.store, digest)
                mirror.healed += 1
                self._owed.settled(mirror.name, [digest])
                return
            if all(isinstance(error, NotFound) for error in failures):
                self._owed.settled(mirror.name, [digest])  # nobody has it any more

    def _copy_owed(self, mirror: Mirror) -> None:
        for digest in self._owed.of(mirror.name, "copy", SETTLE_AT_ONCE):
            self._heal(mirror, digest)

    def _erase_owed(self, mirror: Mirror) -> None:
        mirror.store.settle()
        with locked(self._lock, fcntl.LOCK_EX, LOCK_WAIT_S):
            owed = self._owed.of(mirror.name, "erase", SETTLE_AT_ONCE)
            if owed:
                mirror.store.delete_many(owed)
                self._owed.settled(mirror.name, owed)

    def _each(self, ask: Callable[[Mirror], Answer]) -> Iterator[Answer]:
        down = list[Unavailable]()
        for mirror in self._mirrors:
            try:
                yield ask(mirror)
            except Unavailable as error:
                mirror.failed(error)
                down.append(error)
        if len(down) == len(self._mirrors):
            raise down[0]

    def _copy_report(self, mirror: Mirror) -> StoreCopy:
        debt = self._owed.debt(mirror.name)
        return StoreCopy(
            mirror.name, mirror.store.report().ready, debt.copies, debt.erasures, debt.erasing_since, mirror.healed
        )

    def _ordered(self) -> Sequence[Mirror]:
        return sorted(self._mirrors, key=lambda mirror: mirror.rests)

    def _refuse_erased(self, digest: str) -> None:
        if self._owed.is_erased(_checked(digest)):
            raise NotFound("the store has no such object", reason="no-object", place=digest)

    def _now(self) -> str:
        return instant(self._clock.now())


class _Reading:
    """One object being read: from the first mirror that gives it, and chunk by chunk from the next where that fails."""

    def __init__(
        self,
        mirrors: Sequence[Mirror],
        digest: str,
        stack: ExitStack,
        note: Callable[[Mirror, str, YilianError], None],
    ) -> None:
        self._left = list(mirrors)
        self._digest = digest
        self._stack = stack
        self._note = note
        self._opened: list[tuple[Mirror, SealedObject]] = []

    def open(self) -> SealedObject:
        """The object on the next mirror that has it well.

        Raises:
            NotFound, Tampered, Unavailable: none of those that are left has.
        """
        failures = list[tuple[Mirror, YilianError]]()
        while self._left:
            mirror = self._left.pop(0)
            try:
                sealed = self._stack.enter_context(mirror.store.get(self._digest))
            except (NotFound, Tampered, Unavailable) as error:
                failures.append((mirror, error))
                continue
            for failed, reason in failures:
                self._note(failed, self._digest, reason)
            position = len(self._opened)
            self._opened.append((mirror, sealed.or_elsewhere(partial(self._elsewhere, position))))
            return self._opened[-1][1]
        raise _worst([reason for _, reason in failures])

    def _elsewhere(self, position: int, index: int, error: YilianError) -> Buffer:
        if position + 1 == len(self._opened):
            self._note(self._opened[position][0], self._digest, error)
            try:
                self.open()
            except (NotFound, Tampered, Unavailable):
                raise error from None  # nobody else has it: what is wrong with the copy that was read
        return self._opened[position + 1][1].chunk(index)


def _copy(source: SealedStore, target: SealedStore, digest: str) -> None:
    with source.get(digest) as sealed:
        target.put(received(sealed.pieces(), max_bytes=sealed.geometry.total_bytes), digest=digest)


def _worst(failures: Collection[YilianError]) -> YilianError:
    """What to tell: a mirror that is down may have it; altered is worse than missing."""
    order = (Unavailable, Tampered, NotFound)
    unknown = NotFound("the store has no such object", reason="no-object")
    return next((error for kind in order for error in failures if isinstance(error, kind)), unknown)


def _checked(digest: str) -> str:
    decode_bytes(digest, "digest", length=DIGEST_BYTES)
    return digest
