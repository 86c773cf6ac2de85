from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from domain import merkle
from domain.errors import Tampered
from node_service.database.engine import Database
from node_service.database.models import Base, LogNode
from node_service.logs.log import RECORDS, Log, frontier, recomputed_root


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'node.db'}")
    Base.metadata.create_all(opened.engine)
    yield opened
    opened.close()


def leaves(begin: int, end: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in range(begin, end)]


def test_a_log_appended_in_parts_gives_the_roots_and_proofs_of_rfc_6962(database: Database) -> None:
    expected = merkle.MemoryTree(leaves(0, 37))
    for begin, end in ((0, 1), (1, 8), (8, 8), (8, 37)):
        with database.transaction() as session:
            assert Log(session, RECORDS, 1).append(leaves(begin, end)) == begin
    with database.reading() as session:
        log = Log(session, RECORDS, 1)
        assert log.size == 37
        for size in range(38):
            assert log.root(size) == expected.root(size)
        for index, path in enumerate(log.inclusions(range(33), 33)):
            merkle.verify_inclusion(leaves(index, index + 1)[0], index, 33, path, expected.root(33))
        for old in range(38):
            merkle.verify_consistency(old, expected.root(old), 37, expected.root(37), log.consistency(old, 37))


def test_incarnations_and_logs_do_not_mix(database: Database) -> None:
    with database.transaction() as session:
        Log(session, RECORDS, 1).append(leaves(0, 3))
        Log(session, RECORDS, 2).append(leaves(5, 6))
    with database.reading() as session:
        assert Log(session, RECORDS, 1).size == 3
        assert Log(session, RECORDS, 2).root() == leaves(5, 6)[0]
        assert Log(session, "access", 1).root() == merkle.empty_root()


def test_an_append_that_is_rolled_back_leaves_nothing(database: Database) -> None:
    def append_and_fail() -> None:
        with database.transaction() as session:
            Log(session, RECORDS, 1).append(leaves(0, 5))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        append_and_fail()
    with database.reading() as session:
        assert Log(session, RECORDS, 1).size == 0


def test_the_frontier_covers_all_leaves_once() -> None:
    for size in range(70):
        covered = [leaf for level, at in frontier(size) for leaf in range(at << level, (at + 1) << level)]
        assert covered == list(range(size))


def test_a_head_is_recomputed_from_the_anchored_edge_and_the_leaves(database: Database) -> None:
    with database.transaction() as session:
        Log(session, RECORDS, 1).append(leaves(0, 21))
    with database.reading() as session:
        log = Log(session, RECORDS, 1)
        assert recomputed_root(log, 13, log.root(13), leaves(13, 21)) == merkle.MemoryTree(leaves(0, 21)).root()
        assert recomputed_root(log, 13, log.root(13), leaves(13, 20)) != log.root()


def test_a_flipped_bit_on_the_right_edge_is_found(database: Database) -> None:
    with database.transaction() as session:
        log = Log(session, RECORDS, 1)
        log.append(leaves(0, 12))
        anchored = log.root()
        session.execute(update(LogNode).where(LogNode.level == 3, LogNode.position == 0).values(hash=bytes(32)))
    with database.reading() as session, pytest.raises(Tampered) as found:
        recomputed_root(Log(session, RECORDS, 1), 12, anchored, leaves(12, 13))
    assert found.value.reason == "log-edge"


def test_a_lost_hash_is_named(database: Database) -> None:
    with database.reading() as session, pytest.raises(Tampered) as found:
        Log(session, RECORDS, 1).read(4, 2)
    assert found.value.place == "4/2"
