"""The witness of a hospital that left the channel: not asked, not counted, and what it signed before stays readable."""

from __future__ import annotations

import pytest

from domain.errors import Unavailable
from domain.instants import instant
from domain.receipt_form import Receipt
from domain.receipts import verify_receipt
from node_service.client import wire
from node_service.node_status import node_status
from node_service.sharing import accesses
from node_service.witnessing import collector as collecting
from node_service.witnessing import members, proofs
from node_service.witnessing.registry_view import fresh_registry_view, registry_view
from tests.unit.node_service.sharing.consortium import A, B, C, doctor, run
from tests.unit.node_service.witnessing.conftest import World
from tests.unit.node_service.witnessing.test_freshness import claims_blocks, fresh, opened
from tests.unit.node_service.witnessing.test_receipts import collect


def receipt_of_observation(world: World) -> Receipt:
    record = world.story.records["Observation"].record
    receipts = world.witnesses.receipts(A)
    return proofs.of_patient(world.consortium[A].node, receipts, world.story.wallet.patient, "record", record)


def test_its_witness_is_no_voice_of_freshness_any_more(world: World) -> None:
    world.witnesses[C].stands = True  # its peer gets no blocks any more, and it answers all the same
    world.consortium.leave(C)
    world.later()
    asked = world.witnesses[C].questions
    fresh(world)
    assert world.witnesses[C].questions == asked
    assert world.witnesses[B].questions > 0
    with pytest.raises(Unavailable) as refused:
        fresh(world, B)
    assert refused.value.reason == "no-witness"


def test_nothing_is_read_on_the_word_of_a_witness_that_is_behind_because_it_left(world: World) -> None:
    who, _, access = opened(world)
    world.consortium.leave(C)
    world.later()
    with pytest.raises(Unavailable):
        run(world.story.reading.chart(who, access))


def test_it_counts_for_no_threshold_and_is_not_waited_for(world: World) -> None:
    assert [one.msp for one in world.members().members] == sorted((A, B, C))
    world.consortium.leave(C)
    world.consortium[A].settle()
    assert [one.msp for one in world.members().members] == sorted((A, B))
    asked = world.witnesses[C].questions
    assert collect(world) == collecting.IDLE
    assert world.witnesses[C].questions == asked
    status = node_status(world.consortium[A].node)
    assert status.witnessed == status.anchored == status.records
    assert verify_receipt(receipt_of_observation(world), world.members()).signers == (B,)


def test_receipts_of_before_verify_against_the_members_of_now(world: World) -> None:
    collect(world)
    before = receipt_of_observation(world)
    assert verify_receipt(before, world.members()).signers == tuple(sorted((B, C)))
    world.consortium.leave(C)
    assert verify_receipt(before, world.members()).signers == (B,)


def test_a_receipt_that_only_it_had_signed_is_had_again_with_another_members_signature(world: World) -> None:
    """And no other checkpoint is needed: of the same the one that is missing is asked for."""
    world.witnesses[B].silent = True
    collect(world)
    before = receipt_of_observation(world)
    known = world.members()
    world.consortium.leave(C)
    assert verify_receipt(before, known).signers == (C,)
    with pytest.raises(Unavailable):
        verify_receipt(before, world.members())
    world.witnesses[B].silent = False
    assert collect(world) == collecting.IDLE
    again = receipt_of_observation(world)
    assert again.proves == before.proves
    assert verify_receipt(again, world.members()).signers == (B,)


def test_the_note_of_a_receipt_is_chosen_by_signers_who_still_count(world: World) -> None:
    body = wire.OpenAccessBody(
        patient=world.story.wallet.patient, grant=world.story.wallet.share(world.consortium[B]), purpose="TREAT"
    )
    access = run(accesses.open_access(world.consortium[B].node, doctor(), body)).id
    collect(world, want=world.consortium[A].node.ledger.height() - 1)  # signed by all
    world.consortium.leave(C)
    world.witnesses[C].silent = True
    node, receipts = world.consortium[A].node, world.witnesses.receipts(A)
    collect(world, want=node.ledger.height() - 1)  # signed by A and B
    receipt = proofs.of_patient(node, receipts, world.story.wallet.patient, "access", access)
    assert receipt.log.size == node.ledger.height()


def test_who_gets_no_blocks_any_more_tells_nobody_who_the_members_are(world: World) -> None:
    """Its own peer does not tell it that it left: the others' witnesses know of more blocks than it has."""
    gone = world.consortium[C]
    gone.commits.frozen = True
    world.consortium.leave(C)
    with pytest.raises(Unavailable) as refused:
        run(fresh_registry_view(gone.node, "fabric"))
    assert refused.value.reason == "projection-behind"
    assert run(fresh_registry_view(world.consortium[A].node, "fabric")).members


def test_one_witness_that_claims_blocks_silences_no_hospital(world: World) -> None:
    """Wallets would then be told who the members are by the hospital that lies alone."""
    world.witnesses[C].forges = claims_blocks(C)
    node = world.consortium[A].node
    for world.witnesses[B].silent in (False, True):
        world.later()
        assert run(fresh_registry_view(node, "fabric")) == registry_view(node, "fabric")


def test_where_nobody_is_heard_a_hospital_tells_its_own_view(world: World) -> None:
    for one in world.witnesses.running.values():
        one.silent = True
    node = world.consortium[A].node
    assert run(fresh_registry_view(node, "fabric")) == registry_view(node, "fabric")


def test_whoever_compares_the_hospitals_views_sees_that_it_left(world: World) -> None:
    world.consortium.leave(C)
    views = [registry_view(world.consortium[msp_id].node, "fabric").members for msp_id in (A, B)]
    assert views[0] == views[1]
    assert {one.msp_id: one.status for one in views[0]} == {A: "active", B: "active", C: "left"}
    node = world.consortium[A].node
    with node.database.reading() as session:
        assert [one.msp_id for one in members.other_witnesses(session, node.settings, instant(node.clock.now()))] == [B]
