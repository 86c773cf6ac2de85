"""Several stores as one: what a store that was down or damaged missed is brought to it, and nothing comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import Invalid, NotFound, Tampered, Unavailable
from domain.identifiers import decode_bytes, encode_bytes
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.seal import seal
from offchain.envelope.sealed import SealedBytes, received
from offchain.stores import mirrored
from offchain.stores.mirrored import MirroredStore
from offchain.stores.owed import Owed
from tests.unit.offchain.sealing import KEY, fresh_id
from tests.unit.offchain.stores.switched import SwitchedStore

LARGE = 2_500_000
NOON = "2026-03-01T12:00:00Z"


class Noon:
    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Pair:
    """Two stores and the mirrored one over them."""

    folder: Path
    quorum: int = 1
    first: SwitchedStore = field(init=False)
    second: SwitchedStore = field(init=False)
    store: MirroredStore = field(init=False)

    def __post_init__(self) -> None:
        self.first, self.second = SwitchedStore(self.folder / "a"), SwitchedStore(self.folder / "b")
        self.reopen()

    def reopen(self) -> None:
        """As in a new process: only what is on disk is known."""
        named = (("a", self.first), ("b", self.second))
        self.store = MirroredStore(named, self.folder / "mirrors", Noon(), quorum=self.quorum)

    def damage(self, which: str, digest: str, offset: int) -> None:
        name = decode_bytes(digest, "digest").hex()
        path = self.folder / which / "objects" / name[:2] / name
        data = bytearray(path.read_bytes())
        data[offset] ^= 1
        path.write_bytes(data)


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrored, "REST_S", 0.0)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    with closing(made.store):
        yield made


def _sealed(size: int = 1_000) -> SealedBytes:
    return seal(PlainBytes(bytes(size), Description("a/b")), KEY, Header.fresh(fresh_id(), "HospitalA"))


def _read(store: MirroredStore, digest: str) -> bytes:
    with store.get(digest) as found:
        return b"".join(bytes(piece) for piece in found.pieces())


@pytest.mark.parametrize("down", ["first", "second"])
@pytest.mark.parametrize("size", [1_000, LARGE])
def test_a_store_that_was_down_gets_what_it_missed_also_after_a_restart(pair: Pair, down: str, size: int) -> None:
    sealed, struck = _sealed(size), getattr(pair, down)
    struck.is_down = True
    pair.store.put_many([sealed])
    assert _read(pair.store, sealed.digest) == sealed.data
    assert [copy.owed_copies for copy in pair.store.report().copies] == [int(down == "first"), int(down == "second")]
    assert pair.store.settle()
    struck.is_down = False
    pair.reopen()
    assert not pair.store.settle()
    struck.verify(sealed.digest)
    assert sum(copy.owed_copies for copy in pair.store.report().copies) == 0


def test_a_stream_goes_on_to_the_other_stores(pair: Pair) -> None:
    sealed = _sealed(LARGE)
    pair.store.put(received([sealed.data], max_bytes=1 << 22), digest=sealed.digest)
    pair.first.verify(sealed.digest)
    pair.second.verify(sealed.digest)


def test_without_a_quorum_nothing_is_acknowledged(tmp_path: Path) -> None:
    pair, sealed = Pair(tmp_path, quorum=2), _sealed()
    pair.second.is_down = True
    with pytest.raises(Unavailable) as caught:
        pair.store.put(sealed)
    assert caught.value.reason == "store-quorum"
    pair.second.is_down = False
    pair.store.put(sealed)
    pair.second.verify(sealed.digest)


def test_a_deleted_object_is_gone_for_readers_and_leaves_a_store_that_was_down_later(pair: Pair) -> None:
    sealed, kept = _sealed(), _sealed()
    pair.store.put_many([sealed, kept])
    pair.second.is_down = True
    assert pair.store.delete(sealed.digest)
    assert pair.store.unfinished_erasures() == [("b", NOON)]
    pair.reopen()
    pair.second.is_down = False
    for ask in (lambda: _read(pair.store, sealed.digest), lambda: pair.store.verify(sealed.digest)):
        with pytest.raises(NotFound):
            ask()
    assert not pair.store.exists(sealed.digest)
    assert list(pair.store.digests()) == [kept.digest]
    assert pair.second.exists(sealed.digest)
    assert not pair.store.settle()
    assert not pair.second.exists(sealed.digest)
    assert pair.store.unfinished_erasures() == []
    assert pair.second.exists(kept.digest)


def test_a_delete_that_no_store_could_do_fails_and_is_done_later(pair: Pair) -> None:
    sealed = _sealed()
    pair.store.put(sealed)
    pair.first.is_down = pair.second.is_down = True
    with pytest.raises(Unavailable):
        pair.store.delete(sealed.digest)
    pair.first.is_down = pair.second.is_down = False
    with pytest.raises(NotFound):
        _read(pair.store, sealed.digest)
    assert not pair.store.settle()
    assert not pair.first.exists(sealed.digest)
    assert not pair.second.exists(sealed.digest)


def test_a_copy_that_is_owed_is_not_brought_once_the_object_is_deleted(pair: Pair) -> None:
    sealed = _sealed()
    pair.second.is_down = True
    pair.store.put(sealed)
    pair.store.delete(sealed.digest)
    pair.second.is_down = False
    assert not pair.store.settle()
    assert not pair.second.exists(sealed.digest)


@pytest.mark.parametrize("reason", ["ipfs-held", "ipfs-neighbour"])
def test_an_erasure_that_one_object_hinders_is_owed_and_its_store_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    def hindered(_: Sequence[str]) -> int:
        raise Unavailable("hindered", reason=reason)

    monkeypatch.setattr(mirrored, "REST_S", 60.0)
    pair, sealed, other = Pair(tmp_path, quorum=2), _sealed(), _sealed()
    pair.store.put(sealed)
    with monkeypatch.context() as patched:
        patched.setattr(pair.second, "delete_many", hindered)
        pair.store.delete(sealed.digest)
        assert pair.store.settle()
    pair.store.put(other)
    pair.second.verify(other.digest)
    assert pair.store.unfinished_erasures() == [("b", NOON)]
    assert not pair.store.settle()
    assert not pair.second.exists(sealed.digest)


@pytest.mark.parametrize("noted", ["before the erasure", "while it is owed"])
def test_a_reader_in_flight_brings_nothing_back_that_one_store_erased_and_the_other_still_owes(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, noted: str
) -> None:
    sealed, kept = _sealed(), _sealed()
    pair.store.put_many([sealed, kept])
    pair.first.delete(kept.digest)
    if noted == "before the erasure":  # as a process wrote it that ran the release before
        monkeypatch.setattr(Owed, "note_damaged", lambda owed, *note: owed.note([note[0]], [note[1]], "copy", note[2]))

    def fails_while_a_reader_opens(digests: Sequence[str]) -> int:
        with monkeypatch.context() as past:
            past.setattr(MirroredStore, "_refuse_erased", lambda *_: None)  # the reader had asked before the erasure
            assert _read(pair.store, digests[0]) == sealed.data
        raise Unavailable("switched off", reason="disk")

    with monkeypatch.context() as patched:
        patched.setattr(pair.second, "delete_many", fails_while_a_reader_opens)
        pair.store.delete(sealed.digest)
    assert _read(pair.store, kept.digest) == kept.data
    assert pair.store.unfinished_erasures() == [("b", NOON)]
    assert not pair.store.exists(sealed.digest)
    while pair.store.settle():
        pass
    assert pair.store.unfinished_erasures() == []
    assert not pair.store.exists(sealed.digest)
    assert not pair.first.exists(sealed.digest)
    assert not pair.second.exists(sealed.digest)
    pair.first.verify(kept.digest)


@pytest.mark.parametrize(("size", "offset"), [(1_000, 600), (LARGE, 10), (LARGE, 1_500_000)])
def test_a_damaged_copy_is_read_from_the_other_and_replaced(pair: Pair, size: int, offset: int) -> None:
    sealed = _sealed(size)
    pair.store.put(sealed)
    pair.damage("a", sealed.digest, offset)
    with pytest.raises(Tampered):
        pair.first.verify(sealed.digest)
    assert _read(pair.store, sealed.digest) == sealed.data
    assert pair.store.get_range(sealed.digest, 0, len(sealed.data)) == sealed.data
    assert not pair.store.settle()
    pair.first.verify(sealed.digest)
    assert [copy.healed for copy in pair.store.report().copies] == [1, 0]


def test_verifying_reads_every_copy_and_replaces_what_is_altered_or_missing(pair: Pair) -> None:
    altered, missing = _sealed(LARGE), _sealed()
    pair.store.put_many([altered, missing])
    pair.damage("b", altered.digest, 2_000_000)
    pair.first.delete(missing.digest)
    for sealed in (altered, missing):
        pair.store.verify(sealed.digest)
        pair.first.verify(sealed.digest)
        pair.second.verify(sealed.digest)


def test_what_is_altered_everywhere_is_tampered_and_what_may_be_elsewhere_unavailable(pair: Pair) -> None:
    sealed = _sealed(LARGE)
    pair.store.put(sealed)
    pair.damage("a", sealed.digest, 2_000_000)
    pair.second.is_down = True
    with pytest.raises(Unavailable):
        pair.store.verify(encode_bytes(bytes(32)))
    pair.second.is_down = False
    pair.damage("b", sealed.digest, 2_000_000)
    with pytest.raises(Tampered):
        _read(pair.store, sealed.digest)
    with pytest.raises(Tampered):
        pair.store.verify(sealed.digest)


def test_a_store_is_ready_while_its_quorum_is_up(pair: Pair) -> None:
    report = pair.store.report()
    assert (report.ready, report.needed, [copy.name for copy in report.copies]) == (True, 1, ["a", "b"])
    (pair.folder / "a" / "objects").rename(pair.folder / "away")
    assert pair.store.report().ready
    (pair.folder / "b" / "objects").rename(pair.folder / "away too")
    assert not pair.store.report().ready


@pytest.mark.parametrize(("names", "quorum"), [(("a",), 1), (("a", "a"), 1), (("a", "b"), 0), (("a", "b"), 3)])
def test_too_few_stores_a_name_twice_and_an_impossible_quorum_are_refused(
    tmp_path: Path, names: tuple[str, ...], quorum: int
) -> None:
    store = SwitchedStore(tmp_path / "a")
    with pytest.raises(Invalid):
        MirroredStore([(name, store) for name in names], tmp_path, Noon(), quorum=quorum)
