"""Merkle logs against the definition of RFC 6962 and the vectors of Certificate Transparency."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import merkle
from domain.errors import Tampered

CT_LEAVES = [
    bytes.fromhex(item)
    for item in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
SIZES = 33


@contextmanager
def tampered(reason: str) -> Iterator[None]:
    """What is within is refused as tampered, with this reason."""
    with pytest.raises(Tampered) as refused:
        yield
    assert (refused.value.reason, refused.value.place) == (reason, "")
    assert " " in refused.value.detail


def leaf(number: int) -> bytes:
    return merkle.leaf_hash(str(number).encode())


def tree(size: int) -> merkle.MemoryTree:
    return merkle.MemoryTree(leaf(number) for number in range(size))


def largest_power_below(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH(D[n]) as RFC 6962 section 2.1 defines it, over leaf hashes."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = largest_power_below(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]) of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = largest_power_below(len(leaves))
    if index < split:
        return [*naive_path(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive_root(leaves[:split])]


def naive_consistency(old: int, leaves: list[bytes], complete: bool = True) -> list[bytes]:
    """SUBPROOF(m, D[n], b) of RFC 6962 section 2.1.2."""
    if old == len(leaves):
        return [] if complete else [naive_root(leaves)]
    split = largest_power_below(len(leaves))
    if old <= split:
        return [*naive_consistency(old, leaves[:split], complete), naive_root(leaves[split:])]
    return [*naive_consistency(old - split, leaves[split:], False), naive_root(leaves[:split])]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_of_certificate_transparency(size: int) -> None:
    built = merkle.MemoryTree(merkle.leaf_hash(item) for item in CT_LEAVES)
    assert built.root(size).hex() == CT_ROOTS[size - 1]


def test_roots_and_proofs_are_those_of_the_definition() -> None:
    built = tree(SIZES)
    leaves = [leaf(number) for number in range(SIZES)]
    for size in range(SIZES + 1):
        assert built.root(size) == naive_root(leaves[:size])
        for number in range(size):
            assert merkle.inclusion_proof(number, size, built.read) == naive_path(number, leaves[:size])
        for old in range(1, size + 1):
            assert merkle.consistency_proof(old, size, built.read) == naive_consistency(old, leaves[:size])


def test_every_inclusion_proof_verifies_for_its_leaf_place_and_size_alone() -> None:
    built = tree(SIZES)
    for size in range(1, SIZES + 1):
        root = built.root(size)
        for index in range(size):
            path = merkle.inclusion_proof(index, size, built.read)
            merkle.verify_inclusion(leaf(index), index, size, path, root)
            for wrong in (index - 1, index + 1, size):
                with tampered("inclusion"):
                    merkle.verify_inclusion(leaf(index), wrong, size, path, root)


def test_every_consistency_proof_verifies_for_its_two_trees_alone() -> None:
    built = tree(SIZES)
    for new in range(SIZES + 1):
        for old in range(new + 1):
            path = merkle.consistency_proof(old, new, built.read)
            merkle.verify_consistency(old, built.root(old), new, built.root(new), path)
            if 0 < old < new:
                with tampered("consistency"):
                    merkle.verify_consistency(old, leaf(99), new, built.root(new), path)
            if old > 0:
                with tampered("consistency"):
                    merkle.verify_consistency(old, built.root(old), new, leaf(99), path)


@given(st.data())
def test_a_changed_path_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, SIZES))
    index = data.draw(st.integers(0, size - 1))
    built = tree(size)
    path = merkle.inclusion_proof(index, size, built.read)
    place = data.draw(st.integers(0, len(path) - 1))
    changed = data.draw(
        st.sampled_from([[*path, leaf(0)], path[:-1], [*path[:place], leaf(99), *path[place + 1 :]], [leaf(99), *path]])
    )
    with tampered("inclusion"):
        merkle.verify_inclusion(leaf(index), index, size, changed, built.root())


@given(st.data())
def test_a_changed_consistency_proof_is_refused(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, SIZES))
    old = data.draw(st.integers(1, new - 1))
    built = tree(new)
    path = merkle.consistency_proof(old, new, built.read)
    place = data.draw(st.integers(0, len(path) - 1))
    changed = data.draw(
        st.sampled_from([[*path, leaf(0)], path[:-1], [*path[:place], leaf(99), *path[place + 1 :]], []])
    )
    with tampered("consistency"):
        merkle.verify_consistency(old, built.root(old), new, built.root(), changed)


def test_a_shrinking_log_and_an_empty_log_with_a_root_are_refused() -> None:
    built = tree(4)
    with tampered("consistency"):
        merkle.verify_consistency(3, built.root(3), 2, built.root(2), [])
    with tampered("consistency"):
        merkle.verify_consistency(-1, built.root(3), 2, built.root(2), [])
    with tampered("consistency"):
        merkle.verify_consistency(0, leaf(1), 0, leaf(1), [])
    with tampered("consistency"):
        merkle.verify_consistency(0, merkle.empty_root(), 4, built.root(), [leaf(1)])


def test_a_leaf_hash_is_no_node_hash() -> None:
    left, right = leaf(0), leaf(1)
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


def test_proofs_outside_the_tree_are_not_made() -> None:
    built = tree(3)
    for index, size in ((3, 3), (-1, 3), (0, 0)):
        with pytest.raises(ValueError, match="within"):
            merkle.inclusion_proof(index, size, built.read)
    with pytest.raises(ValueError, match="larger"):
        merkle.consistency_proof(3, 2, built.read)


@given(st.integers(0, 200))
def test_completed_subtrees_are_all_that_changes(index: int) -> None:
    built = tree(index)
    for level, place, value in merkle.completed_subtrees(index, leaf(index), built.read):
        begin, end = place << level, (place + 1) << level
        assert end == index + 1
        assert value == naive_root([leaf(number) for number in range(begin, end)])
