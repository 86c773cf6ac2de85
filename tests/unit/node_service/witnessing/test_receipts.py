"""Anchored records become witnessed, and everything on the ledger has a receipt that stands without this node."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from domain import checkpoints, statements
from domain.checkpoints import Checkpoint, sign_checkpoint
from domain.errors import NotFound, Tampered, Unavailable
from domain.forks import parse_fork, verify_fork
from domain.identifiers import identifier
from domain.receipt_form import parse_receipt
from domain.receipts import verify_receipt
from network.witness.folder import WitnessKey
from node_service.client import wire
from node_service.database.models import AccessRow
from node_service.database.witness_models import WitnessCheckpoint, WitnessEvidence
from node_service.node_status import node_status
from node_service.records import entries
from node_service.sharing import accesses
from node_service.witnessing import collector as collecting
from node_service.witnessing import proofs
from tests.unit.node_service.sharing.consortium import A, B, C, doctor, run
from tests.unit.node_service.witnessing.conftest import World, witness_key


def collect(world: World, msp_id: str = A, *, want: int | None = None) -> timedelta:
    """One step of the hospital's collector; until when it rests."""
    collector = world.witnesses.collector(msp_id)
    if want is not None:
        collector.want(want)
    now = world.consortium.clock.now()
    return collector.step(now) - now


def states(world: World) -> set[str]:
    node = world.consortium[A].node
    with node.database.reading() as session:
        return {one.state for one in entries.page_of_patient(node, session, world.story.wallet.patient).items}


def test_records_are_witnessed_once_the_others_have_signed(world: World) -> None:
    assert states(world) == {"anchored"}
    assert collect(world) == collecting.IDLE
    assert states(world) == {"witnessed"}
    status = node_status(world.consortium[A].node)
    assert status.witnessed == status.anchored == status.records > 0


def test_the_own_signature_alone_witnesses_nothing(world: World) -> None:
    world.witnesses[B].silent = world.witnesses[C].silent = True
    assert collect(world) == collecting.MORE_SIGNERS
    assert states(world) == {"anchored"}
    with world.consortium[A].node.database.reading() as session:
        (row,) = session.scalars(select(WitnessCheckpoint)).all()
        assert (row.signers, row.witnessed) == ([A], False)


def test_a_witness_that_was_away_signs_later_and_is_not_asked_at_every_step(world: World) -> None:
    world.witnesses[C].silent = True
    collector = world.witnesses.collector(A)
    now = world.consortium.clock.now()
    collector.step(now)
    assert states(world) == {"witnessed"}
    world.witnesses[C].silent = False
    collector.step(now + timedelta(seconds=1))
    with world.consortium[A].node.database.reading() as session:
        assert session.scalars(select(WitnessCheckpoint)).one().signers == sorted((A, B))
    collector.step(now + collecting.PAUSE_AFTER_FAILURE)
    with world.consortium[A].node.database.reading() as session:
        assert session.scalars(select(WitnessCheckpoint)).one().signers == sorted((A, B, C))


def test_a_witness_that_was_away_while_the_clock_was_ahead_is_asked_again_when_the_clock_is_right(world: World) -> None:
    world.witnesses[C].silent = True
    collector = world.witnesses.collector(A)
    now = world.consortium.clock.now()
    collector.step(now + timedelta(days=3))
    world.witnesses[C].silent = False
    collector.step(now)
    with world.consortium[A].node.database.reading() as session:
        assert session.scalars(select(WitnessCheckpoint)).one().signers == sorted((A, B, C))


def test_the_own_witness_is_waited_for(world: World) -> None:
    world.witnesses[A].stands = True
    with pytest.raises(Unavailable):
        collect(world)  # it has no block yet
    world.witnesses[A].stands = False
    assert collect(world) == collecting.IDLE
    assert collect(world, want=1_000) == collecting.AGAIN


def test_two_signed_histories_are_proven_kept_and_stop_everything(world: World) -> None:
    def forked(content: bytes) -> bytes:
        note = checkpoints.parse_note(content.decode())
        lie = Checkpoint(note.checkpoint.origin, note.checkpoint.size, bytes(32))
        return sign_checkpoint(lie, C, witness_key(C).public, witness_key(C).sign).text().encode()

    world.witnesses[C].forges = forked
    with pytest.raises(Tampered) as found:
        collect(world)
    assert (found.value.reason, C in found.value.place) == ("fork", True)
    with world.consortium[A].node.database.reading() as session:
        (kept,) = session.scalars(select(WitnessEvidence)).all()
    proof = verify_fork(parse_fork(kept.document), world.members())
    assert (proof.first_signers, proof.second_signers) == ((A,), (C,))


@pytest.mark.parametrize("signer", [B, "nobody"])
def test_a_note_that_another_key_signed_counts_for_nobody(world: World, signer: str) -> None:
    def forged(content: bytes) -> bytes:
        note = checkpoints.parse_note(content.decode())
        key = witness_key(signer)
        (line,) = sign_checkpoint(note.checkpoint, C, key.public, key.sign).signatures
        genuine = checkpoints.key_hash(line.name, witness_key(C).public)
        return replace(note, signatures=(replace(line, key_hash=genuine),)).text().encode()

    world.witnesses[C].forges = forged
    collect(world)
    with world.consortium[A].node.database.reading() as session:
        assert session.scalars(select(WitnessCheckpoint)).one().signers == sorted((A, B))


def test_foreign_lines_in_a_note_spoil_no_other_signature(world: World) -> None:
    def poisoned(content: bytes) -> bytes:
        note = checkpoints.parse_note(content.decode())
        (line,) = sign_checkpoint(note.checkpoint, C, witness_key(C).public, bytes(64).__add__).signatures
        return replace(note, signatures=(*note.signatures, replace(line, signature=bytes(64)))).text().encode()

    world.witnesses[B].forges = poisoned
    collect(world)
    with world.consortium[A].node.database.reading() as session:
        assert session.scalars(select(WitnessCheckpoint)).one().signers == sorted((A, B, C))


def test_a_record_and_an_access_row_have_receipts_without_the_parties_signatures(world: World) -> None:
    grant = world.story.wallet.share(world.consortium[B])
    who = doctor()
    body = wire.OpenAccessBody(patient=world.story.wallet.patient, grant=grant, purpose="TREAT")
    access = run(accesses.open_access(world.consortium[B].node, who, body)).id
    run(world.story.reading.chart(who, access))
    world.consortium.clock.advance(11)
    world.consortium[A].settle()
    collect(world)
    node, receipts, patient = world.consortium[A].node, world.witnesses.receipts(A), world.story.wallet.patient
    record = proofs.of_patient(node, receipts, patient, "record", world.story.records["Observation"].record)
    assert verify_receipt(parse_receipt(record.encode()), world.members()).signers == tuple(sorted((B, C)))
    page = proofs.access_rows(node, receipts, patient)
    assert page.items
    for item in page.items:
        assert item.receipt is not None
        verified = verify_receipt(parse_receipt(item.receipt.encode()), world.members(C))
        assert A in verified.parties
        assert verified.single_operator
    texts = [item.receipt for item in page.items if item.receipt is not None]
    (released,) = [one for one in map(parse_receipt, map(str.encode, texts)) if '"release"' in str(one.proves.leaf)]
    assert verify_receipt(released, world.members()).signers == (C,)


@pytest.mark.parametrize("kind", ["grant", "statement-used", "access"])
def test_writes_of_the_patient_have_receipts_and_a_strangers_have_none(world: World, kind: str) -> None:
    grant = world.story.wallet.share(world.consortium[B])
    body = wire.OpenAccessBody(patient=world.story.wallet.patient, grant=grant, purpose="TREAT")
    access = run(accesses.open_access(world.consortium[B].node, doctor(), body)).id
    world.consortium[A].settle()
    name = access if kind == "access" else grant
    node, receipts, patient = world.consortium[A].node, world.witnesses.receipts(A), world.story.wallet.patient
    collect(world, want=node.ledger.height() - 1)
    receipt = proofs.of_patient(node, receipts, patient, kind, name)
    assert verify_receipt(parse_receipt(receipt.encode()), world.members(), {A, B}).signers == (C,)
    with pytest.raises(NotFound):
        proofs.of_patient(node, receipts, identifier(bytes(16)), kind, name)


def test_what_nobody_signed_yet_is_not_witnessed_and_is_asked_for(world: World) -> None:
    node, receipts, patient = world.consortium[A].node, world.witnesses.receipts(A), world.story.wallet.patient
    with pytest.raises(Unavailable) as refused:
        proofs.of_patient(node, receipts, patient, "record", world.story.records["Observation"].record)
    assert refused.value.reason == "not-witnessed"
    assert [item.receipt for item in proofs.access_rows(node, receipts, patient).items].count(None) > 0


def test_another_hospital_proves_a_statement_that_the_custodian_keeps_quiet_about(world: World) -> None:
    grant = world.story.wallet.share(world.consortium[B])
    done = world.story.wallet.relay(statements.Revoke("grant", grant), through=world.consortium[C])
    world.witnesses[A].silent = True
    node = world.consortium[C].node
    collect(world, C, want=done.block)
    receipt = proofs.of_patient(
        node, world.witnesses.receipts(C), world.story.wallet.patient, "statement-used", done.id
    )
    assert verify_receipt(parse_receipt(receipt.encode()), world.members(C), {A}).signers == tuple(sorted((B, C)))


def test_nobody_gets_the_receipt_of_a_row_about_somebody_else(world: World) -> None:
    collect(world)
    node, receipts = world.consortium[A].node, world.witnesses.receipts(A)
    with node.database.reading() as session:
        row = session.scalars(select(AccessRow).where(AccessRow.patient == world.story.wallet.patient)).first()
    assert row is not None
    assert row.log_index is not None
    with pytest.raises(NotFound):
        proofs.access_row(node, receipts, 1, row.log_index, identifier(bytes(16)))
    with pytest.raises(NotFound):
        proofs.access_row(node, receipts, 1, 10_000)


def test_a_member_with_many_keys_takes_one_line_of_a_note() -> None:
    """Else a few such members would fill a note up, and nothing would be witnessed any more."""
    checkpoint = Checkpoint(checkpoints.origin_of("yilian"), 7, bytes(32))
    keys = [WitnessKey(bytes([number]) * 32) for number in range(32)]
    notes = [sign_checkpoint(checkpoint, C, key.public, key.sign) for key in keys]
    kept = collecting.signed_by(checkpoints.merge(notes), C, [key.public for key in keys])
    assert kept is not None
    assert len(kept.signatures) == 1
    assert checkpoints.verify_note(kept, {C: [key.public for key in keys]}) == (C,)
