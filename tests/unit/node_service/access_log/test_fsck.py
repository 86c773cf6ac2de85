"""Whoever alters the hospital's logs behind its back is named by row."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import merkle
from node_service.access_log.fsck import Finding, Report, check
from node_service.access_log.rows import Entry, record_alone
from node_service.database.models import AccessRow, AnchoredHead, LogNode, LogSize, RecordVersion
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A

Damage = Callable[[Session], None]


@pytest.fixture
def logged(story: Story) -> Story:
    """A patient with a dozen anchored access rows."""
    for _ in range(12):
        record_alone(story.consortium[A].node, Entry("read", A, "system", story.wallet.patient))
    story.consortium.clock.advance(11)
    story.consortium[A].settle()
    return story


def checked(story: Story, damage: Damage) -> Report:
    node = story.consortium[A].node
    with node.database.transaction() as session:
        damage(session)
    return check(node)


def row(session: Session, index: int) -> AccessRow:
    return session.scalars(select(AccessRow).where(AccessRow.log_index == index)).one()


def version(session: Session, index: int) -> RecordVersion:
    return session.scalars(select(RecordVersion).where(RecordVersion.log_index == index)).one()


def alter_row(session: Session) -> None:
    altered = row(session, 5)
    altered.leaf = altered.leaf.replace(b'"read"', b'"deny"')


def remove_row(session: Session) -> None:
    session.delete(row(session, 5))


def remove_last_row(session: Session) -> None:
    last = session.scalars(select(AccessRow).order_by(AccessRow.log_index.desc())).first()
    session.delete(last)


def swap_rows(session: Session) -> None:
    first, second = row(session, 5), row(session, 6)
    first.leaf, second.leaf = second.leaf, first.leaf


def alter_row_and_its_hash(session: Session) -> None:
    alter_row(session)
    session.get_one(LogNode, ("access", 1, 0, 5)).hash = merkle.leaf_hash(row(session, 5).leaf)


def rewrite_everything(session: Session) -> None:
    """Row, all hashes and the projected heads: consistent within the database."""
    alter_row(session)
    tree = merkle.MemoryTree()
    for altered in session.scalars(select(AccessRow).order_by(AccessRow.log_index)):
        for level, position, value in merkle.completed_subtrees(tree.size, merkle.leaf_hash(altered.leaf), tree.read):
            session.get_one(LogNode, ("access", 1, level, position)).hash = value
        tree.append(merkle.leaf_hash(altered.leaf))
    for head in session.scalars(select(AnchoredHead).filter_by(msp_id=A, log="access")):
        head.root = tree.root(head.size)


def alter_record_leaf(session: Session) -> None:
    altered = version(session, 2)
    altered.leaf = altered.leaf[:-1] + b" }"


def remove_version(session: Session) -> None:
    version(session, 2).log_index = None


def cut_size(session: Session) -> None:
    session.get_one(LogSize, ("access", 1)).size -= 1


def test_untouched_logs_have_no_finding_and_say_how_far_the_ledger_vouches(logged: Story) -> None:
    report = check(logged.consortium[A].node)
    assert report.findings == ()
    sizes = {one.log: (one.size, one.anchored_size) for one in report.logs}
    assert sizes["records"] == (5, 5)
    assert sizes["access"][0] == sizes["access"][1] >= 13


@pytest.mark.parametrize(
    ("damage", "log", "reason", "index"),
    [
        (alter_row, "access", "altered-leaf", 5),
        (remove_row, "access", "missing-leaf", 5),
        (swap_rows, "access", "altered-leaf", 5),
        (alter_row_and_its_hash, "access", "log-node", 5),
        (alter_record_leaf, "records", "altered-leaf", 2),
        (remove_version, "records", "missing-leaf", 2),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_first_altered_or_missing_row_is_named(
    logged: Story, damage: Damage, log: str, reason: str, index: int
) -> None:
    (finding,) = checked(logged, damage).findings
    assert (finding.log, finding.reason, finding.index) == (log, reason, index)
    if reason == "altered-leaf":
        named = "access row 6" if log == "access" else "record "
        assert finding.row.startswith(named)


def test_a_removed_last_row_is_missed(logged: Story) -> None:
    (finding,) = checked(logged, remove_last_row).findings
    assert finding.reason == "missing-leaf"


def test_a_log_that_was_cut_is_noticed(logged: Story) -> None:
    (finding,) = checked(logged, cut_size).findings
    assert finding.reason == "log-size"


def test_a_history_rewritten_throughout_the_database_contradicts_the_ledger(logged: Story) -> None:
    findings: tuple[Finding, ...] = checked(logged, rewrite_everything).findings
    assert [(one.log, one.reason) for one in findings] == [("access", "root")]
