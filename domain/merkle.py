"""Append-only Merkle logs: roots, inclusion and consistency proofs.

Source: RFC 6962 section 2.1 (hashes, audit paths, consistency proofs); verification procedures of RFC 9162
sections 2.1.3.2 and 2.1.4.2. A hash is 32 bytes of SHA-256. A log of ``n`` leaves is kept as the hashes of its
perfect subtrees: ``(level, index)`` covers leaves ``index * 2**level`` up to, not including,
``(index + 1) * 2**level``; such a hash never changes once the leaves are there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from domain.errors import Tampered

HASH_BYTES = 32
SubtreeReader = Callable[[int, int], bytes]


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 ‖ leaf), RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right), RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def empty_root() -> bytes:
    """The root of a log without leaves: SHA-256 of nothing."""
    return hashlib.sha256().digest()


def completed_subtrees(index: int, leaf: bytes, read: SubtreeReader) -> list[tuple[int, int, bytes]]:
    """The perfect subtrees that appending leaf hash number ``index`` completes, lowest first, itself included."""
    level, position, value = 0, index, leaf
    completed = [(level, position, value)]
    while position & 1:
        value = node_hash(read(level, position - 1), value)
        level, position = level + 1, position >> 1
        completed.append((level, position, value))
    return completed


def root(size: int, read: SubtreeReader) -> bytes:
    """The root of the first ``size`` leaves."""
    return _range_root(0, size, read) if size else empty_root()


def inclusion_proof(index: int, size: int, read: SubtreeReader) -> list[bytes]:
    """The audit path of leaf ``index`` in the first ``size`` leaves, leaf to root (RFC 6962 section 2.1.1).

    Raises:
        ValueError: ``index`` is not below ``size``.
    """
    if not 0 <= index < size:
        raise ValueError("the leaf is not within the tree")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_range_root(middle, end, read))
            end = middle
        else:
            path.append(_range_root(begin, middle, read))
            begin = middle
    return path[::-1]


def consistency_proof(old_size: int, new_size: int, read: SubtreeReader) -> list[bytes]:
    """Nodes proving that the first ``old_size`` leaves are a prefix of ``new_size`` (RFC 6962 section 2.1.2).

    Raises:
        ValueError: ``old_size`` is beyond ``new_size``.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError("the old tree is larger than the new one")
    if old_size in (0, new_size):
        return []
    path: list[bytes] = []
    begin, end, complete = 0, new_size, True
    while old_size - begin != end - begin:
        middle = begin + _split(end - begin)
        if old_size <= middle:
            path.append(_range_root(middle, end, read))
            end = middle
        else:
            path.append(_range_root(begin, middle, read))
            begin, complete = middle, False
    if not complete:
        path.append(_range_root(begin, end, read))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected_root: bytes) -> None:
    """Verify an audit path for a leaf hash (RFC 9162 section 2.1.3.2).

    Raises:
        Tampered: the path does not lead from the leaf to the root.
    """
    if not 0 <= index < size:
        raise Tampered("the leaf index is outside the tree", reason="inclusion")
    position, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise Tampered("the inclusion path is too long", reason="inclusion")
        if position & 1 or position == last:
            value = node_hash(sibling, value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or value != expected_root:
        raise Tampered("the inclusion path does not lead to the root", reason="inclusion")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Verify that an old tree is a prefix of a new one (RFC 9162 section 2.1.4.2).

    Raises:
        Tampered: the proof does not connect the two roots.
    """
    if old_size > new_size or old_size < 0:
        raise Tampered("the log became shorter", reason="consistency")
    if old_size == new_size or old_size == 0:
        expected = old_root if old_size == new_size else None
        empty_is_right = old_size > 0 or old_root == empty_root()
        if path or not empty_is_right or (expected is not None and expected != new_root):
            raise Tampered("the two heads of the log do not agree", reason="consistency")
        return
    _verify_growth(old_size, old_root, new_size, new_root, path)


def _verify_growth(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    nodes = list(path)
    if old_size & (old_size - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes:
        raise Tampered("the consistency proof is empty", reason="consistency")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_value = new_value = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise Tampered("the consistency proof is too long", reason="consistency")
        if position & 1 or position == last:
            old_value, new_value = node_hash(node, old_value), node_hash(node, new_value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new_value = node_hash(new_value, node)
        position, last = position >> 1, last >> 1
    if last != 0 or old_value != old_root or new_value != new_root:
        raise Tampered("the two heads of the log do not agree", reason="consistency")


class MemoryTree:
    """A log's hashes in memory, for verifiers, small logs and tests."""

    __slots__ = ("_levels", "size")

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = []
        self.size = 0
        for leaf in leaf_hashes:
            self.append(leaf)

    def append(self, leaf: bytes) -> int:
        """Append a leaf hash and return its index."""
        index = self.size
        for level, _, value in completed_subtrees(index, leaf, self.read):
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(value)
        self.size += 1
        return index

    def read(self, level: int, index: int) -> bytes:
        """The hash of one perfect subtree."""
        return self._levels[level][index]

    def root(self, size: int | None = None) -> bytes:
        """The root of the first ``size`` leaves, of all by default."""
        return root(self.size if size is None else size, self.read)


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_root(begin: int, end: int, read: SubtreeReader) -> bytes:
    """The root of leaves [begin, end); ``begin`` is a multiple of a power of two at least as large as the range."""
    parts: list[bytes] = []
    position = begin
    while position < end:
        level = (end - position).bit_length() - 1
        parts.append(read(level, position >> level))
        position += 1 << level
    value = parts.pop()
    while parts:
        value = node_hash(parts.pop(), value)
    return value
