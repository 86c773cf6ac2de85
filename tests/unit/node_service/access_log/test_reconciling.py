"""Keys that were opened, rows that record it, counts on the ledger: whoever changes one of the three is named."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from domain.errors import Unavailable
from domain.identifiers import identifier
from domain.instants import instant
from domain.leaves import parse_access_leaf
from domain.ports import CustodyEntry
from node_service.access_log import reconciling
from node_service.access_log.custody_account import custody_account
from node_service.access_log.ledger_heads import LedgerHeads
from node_service.access_log.reconciling import Reconciliation, reconcile
from node_service.access_log.rows import Entry, record_alone
from node_service.client import wire
from node_service.context import Node
from node_service.custody_steps import enter_start
from node_service.database.models import AccessRow, RecordVersion
from node_service.database.models import Wrap as WrapRow
from node_service.ledger_sync.alarm import alarms
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version, version_keys
from node_service.sharing import accesses, release
from node_service.sharing.practitioners import Practitioner
from offchain.custody.file_keyring import FileKeyring
from offchain.envelope.wraps import KeyBinding, Wrap
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, doctor, history, run

READS = 5


@pytest.fixture
def read(story: Story) -> Story:
    """Records of a patient were read at home and released to another hospital, and all of it is anchored."""
    home = story.consortium[A]
    for record in records(story)[:READS]:
        (row,) = record_alone(home.node, Entry("read", A, "system", story.wallet.patient, (record,)))
        open_version(home.node, record, entry_id=row)
    settle(story)
    return story


def records(story: Story) -> list[str]:
    with story.consortium[A].node.database.reading() as session:
        return list(session.scalars(select(RecordVersion.record).order_by(RecordVersion.record)))


def settle(story: Story) -> None:
    story.consortium.clock.advance(11)
    story.consortium[A].settle()


def reconciled(story: Story) -> Reconciliation:
    story.consortium.clock.advance(300)
    return reconcile(story.consortium[A].node)


def chart(story: Story) -> tuple[str, Practitioner, Node]:
    """B's doctor fetches what a fresh grant covers."""
    grant, who = story.wallet.share(story.consortium[B]), doctor()
    body = wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT")
    access = run(accesses.open_access(story.consortium[B].node, who, body)).id
    assert run(story.reading.chart(who, access)).items
    return access, who, story.consortium[A].node


def opened_one_more(story: Story) -> tuple[str, Node]:
    """A chart was released, and under its access a further key was opened."""
    access, _, home = chart(story)
    version_keys(home, [(records(story)[0], 1)], purpose="release", entry_id=access)
    return access, home


def read_at_home(story: Story) -> None:
    home, record = story.consortium[A].node, records(story)[0]
    (row,) = record_alone(home, Entry("read", A, "system", story.wallet.patient, (record,)))
    open_version(home, record, entry_id=row)


def correct(story: Story, value: int) -> None:
    """Another version of the result, which is not anchored yet."""
    *_, result = history()
    result |= {"valueQuantity": {"value": value, "unit": "mmHg"}}
    entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in (history()[0], result)]
    body = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    assert not ingest_fhir(story.consortium[A].node, body, "application/fhir+json", "his").refused


def log_file(story: Story) -> Path:
    return story.consortium[A].node.settings.data_dir / "custody" / "custody.log"


def reasons(report: Reconciliation) -> set[str]:
    return {finding.reason for finding in report.findings}


def test_honest_accounts_agree_and_are_counted(read: Story) -> None:
    report = reconciled(read)
    assert report.findings == ()
    assert report.released["read"] == READS
    assert report.rows >= READS
    assert report.rows_without_keys == 0
    assert report.anchored == sum(report.released.values()) == read.consortium[A].node.custody.count().released


def test_a_node_that_goes_on_meanwhile_has_no_finding(read: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are opened and counted on the ledger while the accounts are read one after the other."""
    home, history = read.consortium[A], custody_account

    def busy(node: Node) -> object:
        account = history(node)
        record = records(read)[0]
        (row,) = record_alone(home.node, Entry("read", A, "system", read.wallet.patient, (record,)))
        open_version(home.node, record, entry_id=row)
        settle(read)
        return account

    monkeypatch.setattr(reconciling, "custody_account", busy)
    before = home.node.ledger.height()
    assert reconciled(read).findings == ()
    assert home.node.ledger.height() > before


def test_keys_released_to_another_hospital_are_matched_by_their_access(read: Story) -> None:
    grant = read.wallet.share(read.consortium[B])
    body, who = wire.OpenAccessBody(patient=read.wallet.patient, grant=grant, purpose="TREAT"), doctor()
    handle = run(accesses.open_access(read.consortium[B].node, who, body))
    assert run(read.reading.chart(who, handle.id)).items
    report = reconciled(read)
    assert report.released["release"] >= len(records(read)) - 1
    assert report.findings == ()
    with read.consortium[A].node.database.transaction() as session:
        session.execute(delete(AccessRow).where(AccessRow.access == handle.id))
    (finding,) = reconciled(read).findings
    assert (finding.reason, finding.place) == ("keys-without-row", f"release {handle.id}")


def test_a_key_opened_without_a_row_is_named_by_its_entry(read: Story) -> None:
    entry = identifier(os.urandom(16))
    open_version(read.consortium[A].node, records(read)[0], entry_id=entry)
    report = reconciled(read)
    assert [(one.reason, one.place, one.keys) for one in report.findings] == [("keys-without-row", f"read {entry}", 1)]


def test_a_row_that_was_removed_leaves_its_keys_without_one(read: Story) -> None:
    node = read.consortium[A].node
    with node.database.transaction() as session:
        for row in session.scalars(select(AccessRow)):
            if parse_access_leaf(row.leaf).action == "read":
                session.delete(row)
    assert [one.reason for one in reconciled(read).findings] == ["keys-without-row"] * READS


def test_keys_opened_under_a_row_that_records_no_reading_are_named(read: Story) -> None:
    node = read.consortium[A].node
    (row,) = record_alone(node, Entry("search", A, "system", read.wallet.patient))
    open_version(node, records(read)[0], entry_id=row)
    assert [(one.reason, one.place) for one in reconciled(read).findings] == [("row-of-nobody", f"read {row}")]


def test_more_keys_than_the_row_names_records_are_named_with_their_number(read: Story) -> None:
    """One honest row for one record, and under it the whole chart is opened."""
    node, (first, *others) = read.consortium[A].node, records(read)[:READS]
    (row,) = record_alone(node, Entry("read", A, "system", read.wallet.patient, (first,)))
    for record in (first, *others):
        open_version(node, record, entry_id=row)
    (finding,) = reconciled(read).findings
    assert (finding.reason, finding.place, finding.keys) == ("more-keys-than-records", f"read {row}", len(others))


def test_keys_released_under_an_access_that_only_searched_are_named(read: Story) -> None:
    node, access = read.consortium[A].node, identifier(os.urandom(16))
    versions = [(record, 1) for record in records(read)[:READS]]
    named = tuple(record for record, _ in versions)
    record_alone(node, Entry("search", B, "somebody", read.wallet.patient, named, purpose="TREAT", access=access))
    version_keys(node, versions, purpose="release", entry_id=access)
    (finding,) = reconciled(read).findings
    assert (finding.reason, finding.place, finding.keys) == ("row-of-nobody", f"release {access}", READS)


def test_more_keys_than_were_released_are_named_with_their_number(read: Story) -> None:
    access, _, home = chart(read)
    version_keys(home, [(records(read)[0], 1)], purpose="release", entry_id=access)
    (finding,) = reconciled(read).findings
    assert (finding.reason, finding.place, finding.keys) == ("more-keys-than-records", f"release {access}", 1)


def test_a_chart_that_is_fetched_twice_has_a_row_each_time(read: Story) -> None:
    access, who, _ = chart(read)
    assert run(read.reading.chart(who, access)).items
    assert reconciled(read).findings == ()


def test_the_whole_history_of_a_record_is_one_row(read: Story) -> None:
    home, record = read.consortium[A].node, read.records["Observation"].record
    for value in (120, 130):
        correct(read, value)
        settle(read)
    (row,) = record_alone(home, Entry("read", A, "system", read.wallet.patient, (record,)))
    for version in (3, 2, 1):
        open_version(home, record, version, entry_id=row)
    assert reconciled(read).findings == ()


def test_a_release_that_was_refused_at_the_last_look_has_a_row_that_names_what_was_prepared(
    read: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = read.consortium[A].node

    def changed(*_: object) -> None:
        raise Unavailable("something changed", reason="changed")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(release, "_verify_unchanged", changed)
        with pytest.raises(Unavailable):
            chart(read)
    with home.database.reading() as session:
        rows = [parse_access_leaf(row.leaf) for row in session.scalars(select(AccessRow))]
    (refused,) = [row for row in rows if row.outcome == "changed"]
    assert (refused.action, refused.organisation) == ("deny", B)
    report = reconciled(read)
    assert len(refused.records) == report.released["release"] == report.refused > 0
    assert report.findings == ()


@pytest.mark.parametrize("down_s", [1, 121, 86400])
def test_a_process_that_died_between_keys_and_row_is_told_apart_by_the_start_of_the_next(
    read: Story, down_s: int
) -> None:
    """However long the machine stood still meanwhile."""
    _, home = opened_one_more(read)
    read.consortium.clock.advance(down_s)
    enter_start(home)
    report = reconciled(read)
    assert (report.interrupted, report.starts, report.findings) == (1, 1, ())


def test_a_start_excuses_nothing_that_was_opened_while_work_went_on(read: Story) -> None:
    access, home = opened_one_more(read)
    read.consortium.clock.advance(121)
    read_at_home(read)
    enter_start(home)
    report = reconciled(read)
    assert [(one.reason, one.place, one.keys) for one in report.findings] == [
        ("more-keys-than-records", f"release {access}", 1)
    ]
    assert report.interrupted == 0


def test_a_late_opening_before_a_start_excuses_no_earlier_one_under_the_same_access(read: Story) -> None:
    access, home = opened_one_more(read)
    read.consortium.clock.advance(3600)
    version_keys(home, [(records(read)[1], 1)], purpose="release", entry_id=access)
    enter_start(home)
    report = reconciled(read)
    assert [(one.place, one.keys) for one in report.findings] == [(f"release {access}", 1)]
    assert report.interrupted == 1


def test_a_row_about_another_hospitals_records_covers_no_key_of_the_own(read: Story) -> None:
    """Whoever reads elsewhere has a row under an access; it names none of the records at home."""
    home, access = read.consortium[A].node, identifier(os.urandom(16))
    record_alone(home, Entry("read", A, "doctor", None, tuple(records(read)[:READS]), purpose="TREAT", access=access))
    open_version(home, records(read)[0], entry_id=access)
    (finding,) = reconciled(read).findings
    assert (finding.reason, finding.place) == ("keys-without-row", f"read {access}")


def test_a_start_excuses_no_key_that_was_shown_at_home(read: Story) -> None:
    """Its row comes first."""
    home = read.consortium[A].node
    open_version(home, records(read)[0], entry_id=identifier(os.urandom(16)))
    enter_start(home)
    assert reasons(reconciled(read)) == {"keys-without-row"}


def test_no_key_is_opened_for_what_is_not_anchored_yet(read: Story) -> None:
    """It is not among the items, so the row cannot name it."""
    correct(read, 120)
    _, _, home = chart(read)
    with home.database.reading() as session:
        rows = [parse_access_leaf(row.leaf) for row in session.scalars(select(AccessRow))]
    named = sum(len(row.records) for row in rows if row.action == "release")
    report = reconciled(read)
    assert report.released["release"] == named > 0
    assert report.findings == ()


def test_a_row_that_is_still_on_its_way_is_no_finding(read: Story) -> None:
    node = read.consortium[A].node
    open_version(node, records(read)[0], entry_id=identifier(os.urandom(16)))
    assert reconcile(node).findings == ()


def test_a_read_that_opened_nothing_is_listed_and_is_no_finding(read: Story) -> None:
    (row,) = record_alone(read.consortium[A].node, Entry("read", A, "system", None, (records(read)[0],)))
    report = reconciled(read)
    assert (report.rows_without_keys, report.without_keys, report.findings) == (1, (row,), ())


def test_a_custody_log_restored_from_an_older_copy_is_noticed(read: Story) -> None:
    older = log_file(read).read_bytes().splitlines(keepends=True)
    log_file(read).write_bytes(b"".join(older[:-2]))
    report = reconciled(read)
    assert ("count-fell", "custody log", 2) in {(one.reason, one.place, one.keys) for one in report.findings}
    assert report.rows_without_keys == 2


def test_a_custody_log_that_went_on_from_an_older_copy_lacks_the_anchored_counts(read: Story) -> None:
    """The total is large enough again, but not every anchored count was ever reached."""
    node = read.consortium[A].node
    log_file(read).write_bytes(b"".join(log_file(read).read_bytes().splitlines(keepends=True)[:-1]))
    entry = CustodyEntry(identifier(os.urandom(16)), "internal", 900, instant(node.clock.now()))
    node.custody.unwrap_many(entry, custodian_wraps(read)[:3])
    assert reasons(reconciled(read)) == {"count-unknown"}


def go_on_after_a_restore(story: Story) -> None:
    """What ``yilian node restore`` does in the end."""
    node = story.consortium[A].node
    keyring = FileKeyring(node.settings.data_dir / "custody")
    keyring.continue_count(identifier(os.urandom(16)), LedgerHeads(node).unwraps, instant(node.clock.now()))


def test_counts_that_were_anchored_after_the_restored_copy_are_known(read: Story) -> None:
    home = read.consortium[A]
    for record in records(read)[:2]:
        (row,) = record_alone(home.node, Entry("read", A, "system", read.wallet.patient, (record,)))
        open_version(home.node, record, entry_id=row)
        settle(read)
    log_file(read).write_bytes(b"".join(log_file(read).read_bytes().splitlines(keepends=True)[:-2]))
    go_on_after_a_restore(read)
    report = reconciled(read)
    assert (report.findings, report.rows_without_keys, report.released["restored"]) == ((), 2, 2)


def test_keys_whose_rows_went_with_the_restored_database_are_counted_apart(read: Story) -> None:
    open_version(read.consortium[A].node, records(read)[0], entry_id=identifier(os.urandom(16)))
    read.consortium.clock.advance(3600)
    go_on_after_a_restore(read)
    report = reconciled(read)
    assert (report.findings, report.lost) == ((), 1)


def test_a_restore_excuses_no_key_that_was_opened_before_the_rows_that_are_held(read: Story) -> None:
    open_version(read.consortium[A].node, records(read)[0], entry_id=identifier(os.urandom(16)))
    read.consortium.clock.advance(300)
    record_alone(read.consortium[A].node, Entry("read", A, "system", None))
    go_on_after_a_restore(read)
    read.consortium.clock.advance(300)
    open_version(read.consortium[A].node, records(read)[1], entry_id=identifier(os.urandom(16)))
    report = reconciled(read)
    assert (report.lost, [one.reason for one in report.findings]) == (0, ["keys-without-row"] * 2)


def custodian_wraps(story: Story) -> list[tuple[KeyBinding, Wrap]]:
    with story.consortium[A].node.database.reading() as session:
        query = select(RecordVersion, WrapRow.wrap).join(
            WrapRow, (WrapRow.record == RecordVersion.record) & (WrapRow.version == RecordVersion.version)
        )
        rows = session.execute(query.where(WrapRow.recipient == "custodian"))
        return [(KeyBinding(one.object_id, one.record, one.version), Wrap.parse(wrap)) for one, wrap in rows]


@pytest.mark.parametrize("line", [0, 3])
def test_an_altered_entry_of_the_custody_log_is_named(read: Story, line: int) -> None:
    lines = log_file(read).read_bytes().splitlines(keepends=True)
    lines[line] = re.sub(rb'"released":\d+,', b'"released":0,', lines[line])
    log_file(read).write_bytes(b"".join(lines))
    found = reconciled(read).findings
    assert ("custody-log", f"entry {line + 1}") in [(one.reason, one.place) for one in found]


def test_nothing_is_anchored_over_a_count_that_fell(read: Story) -> None:
    home = read.consortium[A]
    log_file(read).write_bytes(b"".join(log_file(read).read_bytes().splitlines(keepends=True)[:-2]))
    record_alone(home.node, Entry("search", A, "system", read.wallet.patient))
    settle(read)
    with home.node.database.reading() as session:
        assert [(one.name, one.reason) for one in alarms(session)] == [("anchorer", "unwraps-fell")]
