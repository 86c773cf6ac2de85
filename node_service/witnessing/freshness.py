"""The one function before every release: the own projection is as far as somebody without a stake says it must be."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain import jcs, witness_answers
from domain.errors import Tampered, Unavailable
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.jcs import JsonObject
from domain.ports import Voice
from node_service.context import Node
from node_service.database.witness_models import WitnessEvidence
from node_service.ledger_sync import projection
from node_service.ledger_sync.alarm import raise_alarm

ALARM: Final = "freshness"
RELEASE_WITHIN_S: Final = 0.75
"""What was asked longer ago is no reason to release any more: somebody may know of a refusal for a second by now."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """The own projection was as far as somebody without a stake said when asked.

    Attributes:
        asked_s: when the first of them was asked, by the voices' clock.
    """

    asked_s: float

    def is_young(self, node: Node) -> bool:
        """Whether keys may leave now for what was said then; looked at in the transaction that lets them go."""
        return node.voices.now_s() - self.asked_s <= RELEASE_WITHIN_S


async def wait_until_fresh(node: Node, *parties: str, block: int | None = None) -> Fresh:
    """Wait until the own projection passed the highest block that a voice of no party, or anybody with it, has seen.

    All of them must have the own blocks: a higher one of a party does not hide that another has a different ledger.

    Args:
        parties: beside this hospital, whoever takes part in what is about to be released.
        block: that holds what a party asks on, as it says: before it is here, nothing can be said about it.

    Raises:
        Unavailable: no voice was heard (``no-witness``), or the projection is behind for longer than two seconds.
        Tampered: a witness has another block at its place than the own projection, or holds other transactions up to it
            for valid; an alarm stands then.
    """
    voices = await node.voices.ask(frozenset((node.msp_id, *parties)))
    highest = voices[0]
    try:
        await node.commits.projected(highest.block + 1, node.settings.freshness_timeout_s)
    except Unavailable as error:
        raise Unavailable(error.detail, reason=error.reason, place=highest.msp) from error
    if block is not None:
        await node.commits.projected(block + 1, node.settings.freshness_timeout_s)
    if any(voice.header_hash is not None for voice in voices):
        await node.in_database(_verify_same_ledger, node, voices)
    return Fresh(min(voice.asked_s for voice in voices))


async def catch_up(node: Node, block: int | None = None) -> None:
    """Wait until the projection holds what the own ledger has now; enough where nothing is released.

    Args:
        block: as in :func:`wait_until_fresh`.

    Raises:
        Unavailable: the ledger is down, or the projection is behind for longer than two seconds.
    """
    height = await node.in_ledger(node.ledger.height)
    needed = height if block is None else max(height, block + 1)
    await node.commits.projected(needed, node.settings.freshness_timeout_s)


def keep_evidence(node: Node, kind: str, document: bytes) -> None:
    """Keep signed words that contradict each other; the same ones again change nothing.

    Raises:
        Unavailable: the database cannot take it.
    """
    row = WitnessEvidence(
        digest=hashlib.sha256(document).hexdigest(), kind=kind, document=document, found_at=instant(node.clock.now())
    )
    with node.database.transaction() as session:
        if session.get(WitnessEvidence, row.digest) is None:
            session.add(row)


def _verify_same_ledger(node: Node, voices: Sequence[Voice]) -> None:
    """Headers, which orderers sign, and what is valid, which nobody signs: the node has it on its own peer's word."""
    with node.database.reading() as session:
        own = {voice.block: projection.header_and_validity(session, voice.block) for voice in voices}
    for voice in voices:
        header, validity = own[voice.block] or (None, None)
        if voice.header_hash not in (None, header):
            _raise_contradiction(node, "header", "has another block at this place than", voice)
        if voice.validity not in (None, validity):
            _raise_contradiction(node, "validity", "holds other transactions up to this block for valid than", voice)


def _raise_contradiction(node: Node, kind: str, words: str, voice: Voice) -> None:
    keep_evidence(node, kind, jcs.canonical(_contradiction(node, kind, voice)))
    detail = f"another member's witness {words} this node"
    error = Tampered(detail, reason=kind, place=f"block {voice.block} of {voice.msp}")
    raise_alarm(node.database, ALARM, error, instant(node.clock.now()))
    raise error


def _contradiction(node: Node, kind: str, voice: Voice) -> JsonObject:
    with node.database.reading() as session:
        own = projection.header_and_validity(session, voice.block)
    header, validity = (None, None) if own is None else map(encode_bytes, own)
    answer: JsonObject = {} if voice.answer is None else {**witness_answers.to_json(voice.answer)}
    return {
        "v": 1, "type": kind, "channel": node.ledger.channel, "block": voice.block, "answer": answer,
        "own": {"msp": node.msp_id, "header": header, "validity": validity},
    }  # fmt: skip
