"""The one function before every release: the own projection is as far as somebody without a stake says it must be."""

from __future__ import annotations

import hashlib
from typing import Final

from domain import jcs, witness_answers
from domain.errors import Tampered, Unavailable
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.jcs import JsonObject
from domain.ports import FreshTarget
from node_service.context import Node
from node_service.database.witness_models import WitnessEvidence
from node_service.ledger_sync import projection
from node_service.ledger_sync.alarm import raise_alarm

ALARM: Final = "freshness"


async def wait_until_fresh(node: Node, *parties: str) -> None:
    """Wait until the own projection passed the highest block that a voice of no party, or anybody with it, has seen.

    Args:
        parties: beside this hospital, whoever takes part in what is about to be released.

    Raises:
        Unavailable: no voice was heard (``no-witness``), or the projection is behind for longer than two seconds.
        Tampered: a witness has another block at that place than the own projection; an alarm stands then.
    """
    target = await node.voices.ask(frozenset((node.msp_id, *parties)))
    try:
        await node.commits.projected(target.block + 1, node.settings.freshness_timeout_s)
    except Unavailable as error:
        raise Unavailable(error.detail, reason=error.reason, place=target.msp) from error
    if target.header_hash is not None:
        await node.in_database(_verify_header, node, target)


async def catch_up(node: Node) -> None:
    """Wait until the projection holds what the own ledger has now; enough where nothing is released.

    Raises:
        Unavailable: the ledger is down, or the projection is behind for longer than two seconds.
    """
    height = await node.in_ledger(node.ledger.height)
    await node.commits.projected(height, node.settings.freshness_timeout_s)


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


def _verify_header(node: Node, target: FreshTarget) -> None:
    with node.database.reading() as session:
        own = projection.header_hash(session, target.block)
    if own == target.header_hash:
        return
    keep_evidence(node, "header", jcs.canonical(_contradiction(node, target, own)))
    error = Tampered(
        "another member's witness has another block at this place than this node",
        reason="header",
        place=f"block {target.block} of {target.msp}",
    )
    raise_alarm(node.database, ALARM, error, instant(node.clock.now()))
    raise error


def _contradiction(node: Node, target: FreshTarget, own: bytes | None) -> JsonObject:
    answer: JsonObject = {} if target.answer is None else {**witness_answers.to_json(target.answer)}
    return {
        "v": 1, "type": "header", "channel": node.ledger.channel, "block": target.block, "answer": answer,
        "own": {"msp": node.msp_id, "header": None if own is None else encode_bytes(own)},
    }  # fmt: skip
