"""The path of a leaf to an anchored head of its hospital's log (docs/formats/ledger.md, "Leaves")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain import merkle
from domain.checks import check_integer, check_sequence
from domain.errors import Invalid
from domain.identifiers import check_digest, decode_bytes, encode_bytes
from domain.transactions import MAX_PROOF_HASHES


@dataclass(frozen=True, slots=True)
class LeafPath:
    """An RFC 6962 audit path.

    Attributes:
        incarnation: of the hospital's log.
        index: number of the leaf, from 0.
        size: of the tree whose root is anchored.
        hashes: siblings from leaf to root, base64url.
    """

    incarnation: int
    index: int
    size: int
    hashes: tuple[str, ...]

    def __post_init__(self) -> None:
        check_integer(self.incarnation, "incarnation", low=1)
        check_integer(self.size, "size", low=1)
        check_integer(self.index, "index")
        if self.index >= self.size:
            raise Invalid("the leaf lies outside the tree", place="index")
        for digest in check_sequence(self.hashes, "hashes", max_items=MAX_PROOF_HASHES):
            check_digest(digest, "hashes")


def leaf_path(incarnation: int, index: int, size: int, hashes: Sequence[bytes]) -> LeafPath:
    """A path from the siblings that :func:`domain.merkle.inclusion_proof` gives."""
    return LeafPath(incarnation, index, size, tuple(encode_bytes(item) for item in hashes))


def verify_leaf(leaf: bytes, path: LeafPath, root: str) -> None:
    """Verify that a leaf lies under an anchored root of the path's size and incarnation.

    Args:
        leaf: the leaf's JCS bytes.
        root: the anchored root, base64url.

    Raises:
        Invalid: the root is no digest.
        Tampered: the path does not lead from the leaf to the root.
    """
    expected = decode_bytes(root, "root", length=merkle.HASH_BYTES)
    hashes = [decode_bytes(item, "hashes", length=merkle.HASH_BYTES) for item in path.hashes]
    merkle.verify_inclusion(merkle.leaf_hash(leaf), path.index, path.size, hashes, expected)
