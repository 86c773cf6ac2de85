"""An auditor's view of a hospital's logs: whatever the hospital changes is named, and nothing is taken on its word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import merkle
from domain.errors import Invalid, NotFound, Tampered
from network.embedded.export import export
from node_service.access_log import auditing
from node_service.access_log.rows import Entry, record_alone
from node_service.client import audit_wire
from node_service.context import Node
from node_service.database.models import AccessRow, LogNode, LogSize
from tests.unit.node_service.sharing.conftest import Story, consortium, story, template
from tests.unit.node_service.sharing.consortium import A
from yilian.audit_export import AnchoredHeads, anchored_heads
from yilian.log_audit import Seen, verify_logs

__all__ = ["consortium", "story", "template"]
ACCESS = ("access", 1)
Damage = Callable[[Session], None]


@dataclass
class NodeSource:
    """The node's answers, without HTTP."""

    node: Node

    def heads(self) -> audit_wire.LogHeads:
        return auditing.heads(self.node)

    def consistency(self, log: str, incarnation: int, old_size: int, new_size: int) -> audit_wire.LogConsistency:
        return auditing.consistency(self.node, log, incarnation, old_size, new_size)  # type: ignore[arg-type]

    def rows(self, incarnation: int) -> Iterator[audit_wire.LogRow]:
        start: int | None = 0
        while start is not None:
            page = auditing.rows(self.node, "auditor", incarnation, start)
            yield from page.items
            start = page.next


@dataclass
class Audited:
    """A hospital that an auditor has seen once."""

    story: Story
    source: NodeSource
    seen: Seen
    folder: Path

    @property
    def node(self) -> Node:
        return self.source.node

    def anchored(self) -> AnchoredHeads:
        target = self.folder / "export"
        export(self.node.settings.embedded_folder, target)
        return anchored_heads(target, None, A)


@pytest.fixture
def audited(story: Story, tmp_path: Path) -> Audited:
    source = NodeSource(story.consortium[A].node)
    grow(story, 9)
    _, seen = verify_logs(source, None, None, with_rows=True)
    grow(story, 5)
    return Audited(story, source, seen, tmp_path)


def grow(story: Story, count: int) -> None:
    for _ in range(count):
        record_alone(story.consortium[A].node, Entry("read", A, "system", story.wallet.patient))
    story.consortium.clock.advance(11)
    story.consortium[A].settle()


def rebuild(session: Session) -> None:
    """All hashes anew from the rows: the log is consistent in itself."""
    tree = merkle.MemoryTree()
    for row in session.scalars(select(AccessRow).where(AccessRow.log_index.is_not(None)).order_by(AccessRow.log_index)):
        leaf = merkle.leaf_hash(row.leaf)
        for level, position, value in merkle.completed_subtrees(tree.size, leaf, tree.read):
            session.get_one(LogNode, (*ACCESS, level, position)).hash = value
        tree.append(leaf)


def rewrite(session: Session) -> None:
    row = session.scalars(select(AccessRow).where(AccessRow.log_index == 3)).one()
    row.leaf = row.leaf.replace(b'"read"', b'"deny"')
    rebuild(session)


def cut(session: Session) -> None:
    session.get_one(LogSize, ACCESS).size = 6


def hide_row(session: Session) -> None:
    """Not rebuilt: the head still stands on the row that is not shown any more."""
    session.scalars(select(AccessRow).where(AccessRow.log_index == 3)).one().incarnation = 99


def alter_row(session: Session) -> None:
    row = session.scalars(select(AccessRow).where(AccessRow.log_index == 3)).one()
    row.leaf = row.leaf.replace(b'"read"', b'"deny"')


def damaged(audited: Audited, damage: Damage) -> None:
    with audited.node.database.transaction() as session:
        damage(session)


def refusal(audited: Audited, **given: object) -> Tampered:
    with pytest.raises(Tampered) as caught:
        verify_logs(audited.source, **({"seen": None, "anchored": None, "with_rows": False} | given))  # type: ignore[arg-type]
    return caught.value


def test_an_honest_log_continues_what_was_seen_and_what_is_anchored(audited: Audited) -> None:
    verified, kept = verify_logs(audited.source, audited.seen, audited.anchored(), with_rows=True)
    access = next(one for one in verified if one.log == "access")
    assert access.since == audited.seen.heads[ACCESS].size
    assert access.since is not None
    assert access.since < access.anchored <= access.size == access.rows == kept.heads[ACCESS].size
    assert next(one for one in verified if one.log == "records").size == 5


def test_the_verified_heads_are_kept_in_a_file_and_read_back(audited: Audited, tmp_path: Path) -> None:
    audited.seen.write(tmp_path / "seen.json")
    assert Seen.read(tmp_path / "seen.json") == audited.seen


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"v":1,"msp_id":"AMSP","logs":[{"log":"other"}]}', b'{"v":2}']
)
def test_another_file_is_not_taken_for_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "seen.json").write_bytes(content)
    with pytest.raises(Invalid):
        Seen.read(tmp_path / "seen.json")


@pytest.mark.parametrize(("damage", "reason"), [(rewrite, "consistency"), (cut, "log-behind")])
def test_a_log_that_does_not_continue_what_was_seen_is_named(audited: Audited, damage: Damage, reason: str) -> None:
    damaged(audited, damage)
    found = refusal(audited, seen=audited.seen)
    assert found.reason == reason
    assert found.place.startswith("access/1 size ")


def test_a_log_rewritten_before_anybody_looked_contradicts_the_export(audited: Audited) -> None:
    anchored = audited.anchored()
    damaged(audited, rewrite)
    assert refusal(audited, anchored=anchored).reason == "consistency"


@pytest.mark.parametrize(("damage", "reason"), [(hide_row, "missing-leaf"), (alter_row, "root")])
def test_rows_that_do_not_give_the_head_are_noticed(audited: Audited, damage: Damage, reason: str) -> None:
    damaged(audited, damage)
    verify_logs(audited.source, audited.seen, audited.anchored(), with_rows=False)
    assert refusal(audited, with_rows=True).reason == reason


def test_a_log_that_was_seen_and_is_gone_is_named(audited: Audited) -> None:
    heads = {**audited.seen.heads, ("access", 7): audited.seen.heads[ACCESS]}
    found = refusal(audited, seen=Seen(A, heads))
    assert (found.reason, found.place) == ("log-gone", "access/7")


def test_a_node_that_shows_the_auditor_another_log_than_the_ledger_has_is_found_out(audited: Audited) -> None:
    """A split view: the head that it showed before is not the one that it anchored."""
    anchored = audited.anchored()
    heads = audited.source.heads()
    size = next(one for one in heads.items if one.log == "access").size
    anchored[ACCESS][size] = bytes(32)
    _, seen = verify_logs(audited.source, audited.seen, None, with_rows=False)
    assert refusal(audited, seen=seen, anchored=anchored).reason == "split-view"


def test_the_heads_of_another_hospital_are_not_compared(audited: Audited) -> None:
    with pytest.raises(Invalid):
        verify_logs(audited.source, Seen("OtherMSP", {}), None, with_rows=False)


def test_a_proof_beyond_the_log_does_not_exist(audited: Audited) -> None:
    with pytest.raises(NotFound):
        audited.source.consistency("access", 1, 3, 10_000)
    with pytest.raises(Invalid):
        audited.source.consistency("access", 1, 4, 3)


def test_that_rows_were_read_is_a_row(audited: Audited) -> None:
    list(audited.source.rows(1))
    with audited.node.database.reading() as session:
        newest = session.scalars(select(AccessRow).order_by(AccessRow.id.desc())).first()
        assert newest is not None
        assert b'"export"' in newest.leaf
