"""Quorums of Byzantine ordering."""

from __future__ import annotations

import pytest

from network.verifier.orderer import quorum


@pytest.mark.parametrize(
    ("consenters", "signatures"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7)]
)
def test_any_two_quorums_share_an_honest_consenter(consenters: int, signatures: int) -> None:
    faulty = (consenters - 1) // 3
    assert quorum(consenters) == signatures
    assert 2 * signatures - consenters > faulty
    assert 2 * (signatures - 1) - consenters <= faulty
    assert signatures <= consenters - faulty or consenters < 4
