"""The node's view of recorded channels: from any block on, after restarts, and against a peer that changes its past."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Invalid, Tampered, Unavailable
from domain.ports import CommittedBlock
from network.blocks.block import parse_block
from network.blocks.protos import common, parse_into, serialize
from network.fabric import verified_blocks
from network.fabric.trail import Trail
from network.fabric.verified_blocks import VerifiedBlocks
from network.verifier.position import Position
from network.verifier.report import Rule
from tests.unit.network.fabric.recorded import NETWORKS, ShownBlocks, reader_of, recorded

pytestmark = pytest.mark.shared_data


class View:
    """A node's view of a peer, which can be opened again on the same file."""

    def __init__(self, folder: Path, blocks: list[bytes]) -> None:
        self.folder = folder
        self.source = ShownBlocks(blocks)
        self.reader = reader_of(blocks)
        self.trail = Trail(self.path, self.reader)

    @property
    def path(self) -> Path:
        return self.folder / "chain.db"

    @property
    def verified(self) -> VerifiedBlocks:
        return VerifiedBlocks(self.source, self.reader, self.trail)

    def read(self, start: int = 0) -> list[CommittedBlock]:
        return list(self.verified.blocks(start))

    def open_again(self) -> None:
        self.trail.close()
        self.trail = Trail(self.path, self.reader)

    def alter(self, statement: str, *values: object) -> None:
        self.trail.close()
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)


@pytest.fixture(params=NETWORKS)
def view(request: pytest.FixtureRequest, shared_data: Path, tmp_path: Path) -> Iterator[View]:
    made = View(tmp_path, recorded(shared_data, request.param))
    yield made
    made.trail.close()


def test_all_blocks_verify_with_leader_change_and_configuration_update(view: View) -> None:
    blocks = view.read()
    assert [block.number for block in blocks] == list(range(len(view.source.shown)))
    assert [block.header_hash for block in blocks] == [parse_block(raw).header.hash() for raw in view.source.shown]
    codes = [parse_block(raw).validation_codes or b"\0" for raw in view.source.shown]
    assert [block.valid for block in blocks] == [tuple(code == 0 for code in found) for found in codes]
    assert view.trail.height() == len(blocks)


def test_reading_goes_on_from_every_block_after_a_restart_without_asking_for_the_past(view: View) -> None:
    whole = view.read()
    for start in range(len(whole) + 1):
        view.open_again()
        view.source.asked.clear()
        assert view.read(start) == whole[start:]
        assert view.source.asked == [start]


def test_only_blocks_that_change_the_rules_are_kept_whole(view: View) -> None:
    view.read()
    with closing(sqlite3.connect(view.path)) as connection:
        kept = [number for (number,) in connection.execute("SELECT number FROM milestone ORDER BY number")]
    configurations = [
        number for number, raw in enumerate(view.source.shown) if number and parse_block(raw).last_config == number
    ]
    assert kept[0] == 0
    assert set(configurations) <= set(kept)
    assert len(configurations) == 1
    assert len(kept) == 3  # the third is the contract's definition
    assert view.path.stat().st_mode & 0o777 == 0o600


def test_a_lost_record_is_made_again_from_the_peer(view: View) -> None:
    whole = view.read()
    view.trail.close()
    for name in ("chain.db", "chain.db-wal", "chain.db-shm"):
        (view.folder / name).unlink(missing_ok=True)
    view.trail = Trail(view.path, view.reader)
    assert view.read(len(whole) - 1) == whole[-1:]
    assert view.source.asked[-2:] == [0, len(whole) - 1]


def test_verifying_the_past_again_does_not_hold_the_caller_up(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_blocks, "MAX_CATCH_UP_S", 0.0)
    end = len(view.source.shown)
    for _ in range(end - 1):
        with pytest.raises(Unavailable) as caught:
            view.read(end)
        assert caught.value.reason == "catching-up"
    assert view.read(end) == []


def test_a_peer_with_fewer_blocks_is_behind_and_nothing_is_false(view: View) -> None:
    view.read()
    end = len(view.source.shown)
    taken = view.source.shown.pop()
    with pytest.raises(Unavailable) as caught:
        view.read(end)
    assert caught.value.reason == "peer-behind"
    view.source.shown.append(taken)
    assert view.read(end) == []


def test_a_peer_that_never_had_the_blocks_before_the_start_is_behind(view: View) -> None:
    with pytest.raises(Unavailable) as caught:
        view.read(len(view.source.shown) + 1)
    assert caught.value.reason == "peer-behind"


def _altered(raw: bytes, change: Callable[[Any], None]) -> bytes:
    block = parse_into(common.Block(), raw, "Block")
    change(block)
    return serialize(block)


def previous_hash(block: Any) -> None:
    block.header.previous_hash = os.urandom(32)


def transaction(block: Any) -> None:
    block.data.data[0] = block.data.data[0][:-1] + bytes([block.data.data[0][-1] ^ 1])


def orderers_signature(block: Any) -> None:
    metadata = common.Metadata.FromString(block.metadata.metadata[0])
    metadata.signatures[0].signature = metadata.signatures[0].signature[:-1] + b"\0"
    block.metadata.metadata[0] = serialize(metadata)


def filter_left_out(block: Any) -> None:
    block.metadata.metadata[2] = b""


def code(block: Any) -> None:
    block.metadata.metadata[2] = b"\x0a" * len(block.metadata.metadata[2])


def conflict_that_was_none(block: Any) -> None:
    block.metadata.metadata[2] = b"\x0b" * len(block.metadata.metadata[2])


def commit_hash(block: Any) -> None:
    block.metadata.metadata[4] = serialize(common.Metadata(value=os.urandom(32)))


CHANGES: dict[Callable[[Any], None], Rule] = {
    previous_hash: Rule.PREVIOUS_HASH,
    transaction: Rule.DATA_HASH,
    orderers_signature: Rule.ORDERER_SIGNATURE,
    filter_left_out: Rule.VALIDATION_CODE,
    code: Rule.VALIDATION_CODE,
    conflict_that_was_none: Rule.COMMIT_HASH,
    commit_hash: Rule.COMMIT_HASH,
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_an_altered_block_is_refused_and_those_before_it_stand(view: View, change: Callable[[Any], None]) -> None:
    view.source.shown[6] = _altered(view.source.shown[6], change)
    blocks = view.verified.blocks(0)
    assert [next(blocks).number for _ in range(6)] == list(range(6))
    with pytest.raises(Tampered) as caught:
        next(blocks)
    assert (caught.value.reason, caught.value.place) == (CHANGES[change], "block 6")
    assert view.trail.height() == 6


def test_an_orderers_copy_decides_nothing_for_a_node(view: View) -> None:
    """It has no codes: whoever takes blocks for a peer's would not know what is valid."""
    view.source.shown[3] = _altered(view.source.shown[3], filter_left_out)
    with pytest.raises(Tampered):
        view.read()


def test_another_channel_is_refused(view: View, shared_data: Path) -> None:
    other = next(name for name in NETWORKS if recorded(shared_data, name)[0] != view.source.shown[0])
    view.source.shown = recorded(shared_data, other)
    with pytest.raises(Tampered) as caught:
        view.read()
    assert (caught.value.reason, caught.value.place) == (Rule.GENESIS, "block 0")


def test_another_block_than_before_is_noticed_also_after_a_restart(view: View) -> None:
    view.read()
    view.alter("UPDATE verified SET header_hash = ? WHERE number = 8", os.urandom(32))
    view.trail = Trail(view.path, view.reader)
    with pytest.raises(Tampered) as caught:
        view.read(8)
    assert caught.value.reason == "rewritten"
    with pytest.raises(Tampered) as caught:
        view.read(9)
    assert caught.value.reason == Rule.PREVIOUS_HASH


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("DELETE FROM verified WHERE number = 5", ()),
        ("DELETE FROM milestone WHERE number = 0", ()),
        ("DELETE FROM milestone WHERE number = (SELECT min(number) FROM milestone WHERE number > 0)", ()),
        ("DELETE FROM milestone WHERE number > 0", ()),
        ("UPDATE verified SET header_hash = ? WHERE number = 0", (b"x" * 32,)),
        ("UPDATE milestone SET raw = (SELECT raw FROM milestone WHERE number = 0) WHERE number > 0", ()),
    ],
    ids=[
        "a block is missing",
        "no genesis",
        "a definition is missing",
        "all changes are missing",
        "another genesis",
        "another configuration",
    ],
)
def test_a_record_that_was_altered_is_not_believed(view: View, statement: str, values: tuple[object, ...]) -> None:
    view.read()
    view.alter(statement, *values)
    with pytest.raises(Tampered):
        Trail(view.path, view.reader)


def test_a_forgotten_configuration_is_noticed_by_the_next_block(view: View) -> None:
    """Orderers sign into every block which configuration is the latest; so nobody can make the record forget one."""
    view.read()
    view.alter("DELETE FROM milestone WHERE number = (SELECT max(number) FROM milestone)")
    view.alter(
        "UPDATE verified SET rules = (SELECT rules FROM verified WHERE number = (SELECT max(number) FROM milestone))"
        " WHERE number > (SELECT max(number) FROM milestone)"
    )
    view.trail = Trail(view.path, view.reader)
    with pytest.raises(Tampered) as caught:
        view.read(len(view.source.shown) - 1)
    assert caught.value.reason == Rule.LAST_CONFIG


def test_files_of_others_are_refused(tmp_path: Path, shared_data: Path) -> None:
    reader = reader_of(recorded(shared_data, NETWORKS[0]))
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(Tampered):
        Trail(tmp_path / "text.db", reader)
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(Invalid):
        Trail(tmp_path / "other.db", reader)


def test_two_processes_share_a_record(view: View) -> None:
    other = Trail(view.path, view.reader)
    try:
        whole = view.read()
        assert other.height() == len(whole)
        assert list(VerifiedBlocks(view.source, view.reader, other).blocks(7)) == whole[7:]
    finally:
        other.close()


def test_a_position_in_the_past_has_the_rules_of_then(view: View) -> None:
    view.read()
    first, last = view.trail.before(1), view.trail.before(view.trail.height())
    assert isinstance(first, Position)
    assert isinstance(last, Position)
    assert (first.config.sequence, last.config.sequence) == (0, 1)
    assert not first.definitions
    assert last.definitions


def test_a_peer_that_is_down_is_unavailable(view: View) -> None:
    view.source.down = True
    with pytest.raises(Unavailable):
        view.read()
    with pytest.raises(Invalid):
        view.read(-1)
