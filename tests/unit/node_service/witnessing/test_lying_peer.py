"""A node whose own peer lies about validation codes, which orderers do not sign: its headers are everybody's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from domain import statements
from domain.errors import Tampered
from domain.ports import CommittedBlock
from network.blocks.block import Block, parse_block
from network.blocks.codes import ValidationCode
from network.blocks.commit_hash import commit_hash
from network.blocks.mvcc import BlockUpdates
from network.blocks.protos import common, parse_into, serialize
from network.blocks.transaction import parse_envelope, parse_transaction
from network.embedded.ledger import EmbeddedLedger
from network.verifier.world_state import WorldState
from node_service.client import wire
from node_service.database.witness_models import WitnessEvidence
from node_service.ledger_sync import projection
from node_service.ledger_sync.alarm import alarms
from node_service.ledger_sync.follower import Follower
from node_service.sharing import accesses
from tests.unit.node_service.sharing.consortium import A, B, C, Hospital, doctor, run
from tests.unit.node_service.witnessing.conftest import World


class LyingPeer(EmbeddedLedger):
    """A peer that calls chosen valid transactions read conflicts, with the commit hashes that this gives."""

    hidden: frozenset[str] = frozenset()

    def blocks(self, start: int) -> Iterator[CommittedBlock]:
        """As it shows them."""
        position, running = None, b""
        for number in range(self.height()):
            raw, running = self._shown(self.raw_block(number), running)
            block, position = self._read(raw, position)
            if number >= start:
                yield block

    def _shown(self, raw: bytes, before: bytes) -> tuple[bytes, bytes]:
        block = parse_block(raw)
        if block.number == 0:
            return raw, b""
        codes = bytes(self._codes(block))
        running = commit_hash(before, codes, _updates(block, codes))
        message: Any = parse_into(common.Block(), raw, "Block")
        message.metadata.metadata[2] = codes
        message.metadata.metadata[4] = serialize(common.Metadata(value=running))
        return serialize(message), running

    def _codes(self, block: Block) -> Iterator[int]:
        for envelope, code in zip(block.envelopes, block.validation_codes, strict=True):
            is_hidden = parse_envelope(envelope).tx_id in self.hidden
            yield ValidationCode.MVCC_READ_CONFLICT if is_hidden else code


def _updates(block: Block, codes: bytes) -> BlockUpdates:
    updates = BlockUpdates(WorldState(), block.number)
    for position, (raw, code) in enumerate(zip(block.envelopes, codes, strict=True)):
        if code == ValidationCode.VALID:
            updates.apply(parse_transaction(parse_envelope(raw)).rwsets, position)
    return updates


@pytest.fixture
def peer(world: World) -> Iterator[LyingPeer]:
    """The peer of the custodian, which its node follows from now on."""
    custodian: Hospital = world.consortium[A]
    node = custodian.node
    made = LyingPeer(node.settings.embedded_folder, A, node.clock, node.random)
    custodian.commits.follower = Follower(node.database, made, custodian.commits.projected_commits)
    yield made
    made.close()


def revoked_out_of_sight(world: World, peer: LyingPeer) -> tuple[Any, str]:
    """A reader at B with an open access whose grant was revoked, and what the custodian's peer makes of it."""
    grant = world.story.wallet.share(world.consortium[B])
    who = doctor()
    body = wire.OpenAccessBody(patient=world.story.wallet.patient, grant=grant, purpose="TREAT")
    access = run(accesses.open_access(world.consortium[B].node, who, body)).id
    assert run(world.story.reading.chart(who, access)).items
    done = world.story.wallet.relay(statements.Revoke("grant", grant), through=world.consortium[C])
    peer.hidden = frozenset((done.tx_id,))
    world.later()
    return who, access


def test_a_revocation_shown_as_a_read_conflict_releases_nothing(world: World, peer: LyingPeer) -> None:
    who, access = revoked_out_of_sight(world, peer)
    node = world.consortium[A].node
    with pytest.raises(Tampered) as found:
        run(world.story.reading.chart(who, access))
    assert (found.value.reason, C in found.value.place) == ("validity", True)
    with node.database.reading() as session:
        (tx_id,) = peer.hidden
        shown = projection.code_and_block(session, tx_id)
        assert shown is not None
        assert shown[0] == "MVCC_READ_CONFLICT"  # the node's own reader believed it
        assert [alarm.reason for alarm in alarms(session)] == ["validity"]
        (kept,) = session.scalars(select(WitnessEvidence)).all()
    evidence = json.loads(kept.document)
    said = json.loads(evidence["answer"]["answer"])
    assert evidence["type"] == kept.kind == "validity"
    assert evidence["own"]["header"] == said["header"]
    assert evidence["own"]["validity"] != said["validity"]


def test_a_lie_of_long_ago_is_found_at_any_later_block(world: World, peer: LyingPeer) -> None:
    who, access = revoked_out_of_sight(world, peer)
    world.story.wallet.share(world.consortium[C])
    world.later()
    with pytest.raises(Tampered) as found:
        run(world.story.reading.chart(who, access))
    assert found.value.reason == "validity"
