"""The auditor's verifier: hash chain, signatures, contract replay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from network.blocks.block import parse_block
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.inputs import MIB
from scripts.bench.recorded_chain import Signature, recorded_chain, signatures_of

_SHA256: Final = ec.ECDSA(hashes.SHA256())
_REPETITIONS: Final = 20


@contextmanager
def hash_chain(place: Place) -> Iterator[Comparison]:
    """The verifier's rules 1 to 3: canonical encoding, header chain, data hash."""
    blocks = recorded_chain(place).blocks * _REPETITIONS
    size = sum(map(len, blocks)) / MIB
    yield Comparison(
        operation=f"hash chain of {len(blocks)} blocks, {size:.0f} MiB",
        unit="MiB",
        ours=Side("parse, header hash, data hash", lambda: _chain(blocks)),
        peer=Side("SHA-256 of the same bytes", lambda: _hash(blocks)),
        goal=Goal(Figure.SPEED, 0.8),
    )


@contextmanager
def signatures(place: Place) -> Iterator[Comparison]:
    """Everything that the verifier does without replay, beside the bare signatures in it."""
    chain = recorded_chain(place)
    checked = signatures_of(chain)
    yield Comparison(
        operation=f"verify_chain, {len(checked)} signatures",
        unit="signature",
        ours=Side("verify_chain without replay", lambda: _times(chain.verify(replays=False), len(checked))),
        peer=Side("bare loop over the same signatures", lambda: _verify(checked)),
        goal=Goal(Figure.SPEED, 0.8),
        note="ours also parses, hashes, checks policies, read sets and codes",
    )


@contextmanager
def replay(place: Place) -> Iterator[Comparison]:
    """With the contract executed again, beside without."""
    chain = recorded_chain(place)
    yield Comparison(
        operation="verify_chain with contract replay (CreateRecord)",
        unit="transaction",
        ours=Side("with replay", lambda: chain.verify(replays=True)),
        peer=Side("without replay", lambda: chain.verify(replays=False)),
    )


def _chain(blocks: Sequence[bytes]) -> float:
    size = 0
    for raw in blocks:
        block = parse_block(raw)
        block.header.hash()
        if block.data_hash() != block.header.data_hash:
            raise AssertionError("the chain that was just made does not verify")
        size += len(raw)
    return size / MIB


def _hash(blocks: Sequence[bytes]) -> float:
    return sum(len(raw) for raw in blocks if hashlib.sha256(raw).digest()) / MIB


def _verify(checked: Sequence[Signature]) -> float:
    for one in checked:
        if not isinstance(one.key, ec.EllipticCurvePublicKey):
            raise TypeError("the channel signs with ECDSA")
        one.key.verify(one.signature, one.message, _SHA256)
    return len(checked)


def _times(transactions: float, signed: int) -> float:
    """The verification itself counts transactions; here its signatures count."""
    return signed if transactions else 0.0
