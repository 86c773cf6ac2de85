"""Rows of the access log: durable before the answer, sealed readers, in the log within one step."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import func, select

from domain import leaves, messages
from domain.errors import Invalid, Unavailable
from domain.identifiers import identifier
from node_service.access_log.listing import accesses_of
from node_service.access_log.rows import MAX_RECORDS_PER_ROW, Entry, Reader, record, record_alone
from node_service.access_log.sequencer import Sequencer
from node_service.database.models import AccessRow, LogSize
from node_service.sharing import wallet_records
from node_service.sharing.sealed_messages import from_wire
from offchain.envelope.messages import open_message
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, Consortium, Wallet, history
from tests.unit.node_service.sharing.test_denials import ask, opened

READER = Reader("Dr Zhao", "clinician", "Cardiology", bytes(range(32)))


def test_a_rolled_back_transaction_leaves_no_row(story: Story) -> None:
    node = story.consortium[A].node
    before = count(story)
    with pytest.raises(Invalid), node.database.transaction() as session:  # noqa: PT012 - the row before the failure
        record(node, session, Entry("read", A, "system", story.wallet.patient))
        record(node, session, Entry("peek", A, "system", story.wallet.patient))
    assert count(story) == before


def test_more_records_than_a_row_names_make_more_rows(story: Story) -> None:
    node = story.consortium[A].node
    records = tuple(identifier(os.urandom(16)) for _ in range(MAX_RECORDS_PER_ROW + 1))
    assert len(record_alone(node, Entry("release", B, "system", story.wallet.patient, records))) == 2
    with node.database.reading() as session:
        rows = session.scalars(select(AccessRow.leaf).order_by(AccessRow.id.desc()).limit(2)).all()
    assert {one for row in rows for one in leaves.parse_access_leaf(row).records} == set(records)


def test_an_unknown_action_is_refused(story: Story) -> None:
    with pytest.raises(Invalid):
        record_alone(story.consortium[A].node, Entry("peek", A, "system"))


def test_the_readers_name_is_in_no_row_in_clear(story: Story) -> None:
    node = story.consortium[A].node
    record_alone(node, Entry("read", A, identifier(os.urandom(16)), story.wallet.patient, reader=READER))
    with node.database.reading() as session:
        row = session.scalars(select(AccessRow).order_by(AccessRow.id.desc())).first()
    assert row is not None
    assert row.reader is not None
    assert b"Zhao" not in row.reader + row.leaf
    assert "Zhao" not in repr(READER)


def test_a_reader_before_the_enrolment_is_told_after_it(consortium: Consortium) -> None:
    node = consortium[A].node
    stored = consortium[A].ingest(*history())
    patient = stored[0].patient
    assert patient is not None
    (row,) = record_alone(node, Entry("read", A, identifier(os.urandom(16)), patient, reader=READER))
    assert accesses_of(node, patient).items[0].reader is None
    wallet = Wallet(consortium[A], patient)
    wallet.enrol()
    message = accesses_of(node, patient).items[0].reader
    assert message is not None
    assert open_message(wallet.wrap, messages.reader(row, patient), from_wire(message)) == READER.encode()


def test_rows_stand_in_the_log_after_one_step_in_order(story: Story) -> None:
    node = story.consortium[A].node
    for _ in range(5):
        record_alone(node, Entry("read", A, "system", story.wallet.patient))
    Sequencer(node).step(story.consortium.clock.now())
    with node.database.reading() as session:
        places = session.scalars(select(AccessRow.log_index).order_by(AccessRow.id)).all()
        size = session.get_one(LogSize, ("access", 1)).size
    assert places == list(range(size))


def test_a_wallets_list_and_export_are_rows_too(story: Story) -> None:
    node, before = story.consortium[A].node, count(story)
    wallet_records.list_records(node, story.wallet.patient)
    wallet_records.sealed_record(node, story.wallet.patient, story.records["Condition"].record)
    assert count(story) == before + 2


@pytest.mark.parametrize("failing", range(1, 8))
def test_failing_the_nth_write_never_yields_data_without_a_row(
    story: Story, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Every transaction of the custodian fails from the n-th on; what was answered has its row."""
    node, opening = story.consortium[A].node, opened(story)
    real, calls = type(node.database).transaction, 0

    def transaction(database: object) -> object:
        nonlocal calls
        if database is node.database:
            calls += 1
            if calls >= failing:
                raise Unavailable("the disk is full", reason="database")
        return real(database)  # type: ignore[arg-type]

    monkeypatch.setattr(type(node.database), "transaction", transaction)
    answered: list[set[str]] = []
    for _ in range(3):
        try:
            answered.append({item.entry.record for item in ask(story, opening).items})
        except Unavailable:
            continue
    monkeypatch.undo()
    with node.database.reading() as session:
        rows = session.scalars(select(AccessRow.leaf).where(AccessRow.access == opening.id)).all()
    logged = [leaves.parse_access_leaf(row) for row in rows]
    assert answered == [set(row.records) for row in logged if row.action == "release"]
    denied = [row.outcome for row in logged if row.action == "deny"]  # the first write comes before any key
    assert denied == ["database"] * (0 if failing == 1 else 3 - len(answered))
    assert len(answered) < max(failing, 4)
    assert len(answered) == 3 or failing < 7


def count(story: Story) -> int:
    with story.consortium[A].node.database.reading() as session:
        return session.execute(select(func.count()).select_from(AccessRow)).scalar_one()
