"""One of the hospital's append-only logs, kept in the database as the hashes of its perfect subtrees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from domain import merkle
from domain.errors import Tampered
from node_service.database.models import LogNode, LogSize

RECORDS: Final = "records"
ACCESS: Final = "access"
_QUERY_ITEMS: Final = 400
_SIZE: Final = select(LogSize.size).where(
    LogSize.log == bindparam("log"), LogSize.incarnation == bindparam("incarnation")
)
_LOCKED_SIZE: Final = _SIZE.with_for_update()
_HASHES: Final = select(LogNode.position, LogNode.hash).where(
    LogNode.log == bindparam("log"),
    LogNode.incarnation == bindparam("incarnation"),
    LogNode.level == bindparam("level"),
    LogNode.position.in_(bindparam("positions", expanding=True)),
)

Place = tuple[int, int]
"""Level and position of a perfect subtree; level 0 is a leaf."""


class Log:
    """A log as one database session sees it; appending needs a transaction that writes."""

    def __init__(self, session: Session, name: str, incarnation: int) -> None:
        self._session = session
        self._name = name
        self._incarnation = incarnation
        self._known: dict[Place, bytes] = {}
        self.size = self._stored_size()

    def append(self, leaf_hashes: Sequence[bytes]) -> int:
        """Append leaf hashes; return the index of the first one."""
        first = self._lock_size()
        self._load(frontier(first))
        rows: list[dict[str, object]] = []
        for index, leaf in enumerate(leaf_hashes, first):
            for level, position, value in merkle.completed_subtrees(index, leaf, self.read):
                self._known[level, position] = value
                rows.append({**self._key, "level": level, "position": position, "hash": value})
        self.size = first + len(leaf_hashes)
        if rows:
            self._session.execute(insert(LogNode), rows)
            self._session.execute(update(LogSize).filter_by(**self._key).values(size=self.size))
        return first

    def root(self, size: int | None = None) -> bytes:
        """The root of the first ``size`` leaves, of all by default."""
        wanted = self.size if size is None else size
        self._load(frontier(wanted))
        return merkle.root(wanted, self.read)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The audit path of one leaf in the first ``size`` leaves.

        Raises:
            ValueError: the leaf is not among them.
        """
        return self.inclusions([index], size)[0]

    def inclusions(self, indices: Sequence[int], size: int) -> list[list[bytes]]:
        """The audit paths of many leaves in the first ``size`` leaves, with few queries.

        Raises:
            ValueError: a leaf is not among them.
        """
        wanted: set[Place] = set()
        for index in indices:
            merkle.inclusion_proof(index, size, _recorder(wanted))
        self._load(wanted)
        return [merkle.inclusion_proof(index, size, self.read) for index in indices]

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """The proof that the first ``old_size`` leaves are a prefix of the first ``new_size``.

        Raises:
            ValueError: ``old_size`` is beyond ``new_size``.
        """
        wanted: set[Place] = set()
        merkle.consistency_proof(old_size, new_size, _recorder(wanted))
        self._load(wanted)
        return merkle.consistency_proof(old_size, new_size, self.read)

    def read(self, level: int, position: int) -> bytes:
        """The hash of one perfect subtree.

        Raises:
            Tampered: the database has lost it.
        """
        place = (level, position)
        if place not in self._known:
            self._load([place])
        if place not in self._known:
            raise Tampered(
                "a hash of the log is missing in the database", reason="log-node", place=f"{level}/{position}"
            )
        return self._known[place]

    @property
    def _key(self) -> dict[str, object]:
        return {"log": self._name, "incarnation": self._incarnation}

    def _stored_size(self) -> int:
        return self._session.execute(_SIZE, self._key).scalar_one_or_none() or 0

    def _lock_size(self) -> int:
        """The size, with its row locked until the transaction ends: one appender at a time."""
        size = self._session.execute(_LOCKED_SIZE, self._key).scalar_one_or_none()
        if size is None:
            self._session.execute(insert(LogSize).values(**self._key, size=0))
        return size or 0

    def _load(self, places: Iterable[Place]) -> None:
        by_level: dict[int, list[int]] = {}
        for level, position in places:
            if (level, position) not in self._known:
                by_level.setdefault(level, []).append(position)
        for level, positions in by_level.items():
            for start in range(0, len(positions), _QUERY_ITEMS):
                self._load_level(level, positions[start : start + _QUERY_ITEMS])

    def _load_level(self, level: int, positions: Sequence[int]) -> None:
        which = {**self._key, "level": level, "positions": positions}
        for position, value in self._session.execute(_HASHES, which):
            self._known[level, position] = value


def frontier(size: int) -> list[Place]:
    """The perfect subtrees that together cover the first ``size`` leaves: the right edge of the tree."""
    places: list[Place] = []
    begin = 0
    while begin < size:
        level = (size - begin).bit_length() - 1
        places.append((level, begin >> level))
        begin += 1 << level
    return places


def recomputed_root(log: Log, old_size: int, old_root: bytes, leaf_hashes: Sequence[bytes]) -> bytes:
    """The root after further leaves, computed from the right edge of an anchored tree and the leaves themselves.

    Nothing between is taken from the database: a flipped bit there never becomes a head on the ledger.

    Raises:
        Tampered: the right edge does not lead to the anchored root.
    """
    known = {place: log.read(*place) for place in frontier(old_size)}

    def read(level: int, position: int) -> bytes:
        return known[level, position]

    if merkle.root(old_size, read) != old_root:
        raise Tampered("the log does not continue its anchored head", reason="log-edge", place=f"size {old_size}")
    for index, leaf in enumerate(leaf_hashes, old_size):
        known.update(
            {(level, position): value for level, position, value in merkle.completed_subtrees(index, leaf, read)}
        )
    return merkle.root(old_size + len(leaf_hashes), read)


def _recorder(wanted: set[Place]) -> merkle.SubtreeReader:
    """A reader that only notes what is asked for, so that all of it can be fetched at once."""

    def read(level: int, position: int) -> bytes:
        wanted.add((level, position))
        return bytes(merkle.HASH_BYTES)

    return read
