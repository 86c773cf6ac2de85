"""The replica: written first, never behind what was acknowledged, pinned to its store, and a store at a takeover."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import Conflict, Invalid, Tampered, Unavailable
from offchain.custody.forgetting.entries import Tombstone
from offchain.custody.forgetting.layout import BaseFiles, BaseKey
from offchain.custody.forgetting.mirroring import MirrorState
from offchain.custody.forgetting.store import ForgettingStore
from offchain.custody.replica.channel import channel_context, make_channel
from offchain.custody.replica.folder import ReplicaFolder
from offchain.custody.replica.remote import RemoteMirror, parse_address
from offchain.custody.replica.server import ReplicaServer
from tests.unit.offchain.sealing import fresh_id

AT = "2026-03-01T08:00:00Z"
LATER = "2026-03-01T09:00:00Z"
MUCH_LATER = "2026-03-05T09:00:00Z"


class Line:
    """A replica in a folder behind a line that can be cut, before a message arrives or before its answer comes back."""

    def __init__(self, folder: Path) -> None:
        self.replica = ReplicaFolder(folder)
        self.cut = ""

    def state(self) -> MirrorState | None:
        self._pass("before")
        return self.replica.state()

    def append(self, base_id: str, offset: int, frame: bytes) -> None:
        self._pass("before")
        self.replica.append(base_id, offset, frame)
        self._pass("after")

    def last_frame(self, base_id: str, offset: int) -> bytes:
        self._pass("before")
        return self.replica.last_frame(base_id, offset)

    def install(self, files: BaseFiles) -> None:
        self._pass("before")
        self.replica.install(files)
        self._pass("after")

    def _pass(self, point: str) -> None:
        if self.cut == point:
            raise Unavailable("the line is cut", reason="replica")


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path / "replica")


@pytest.fixture
def store(tmp_path: Path, line: Line) -> ForgettingStore:
    ForgettingStore.create(tmp_path / "secrets", AT)
    return ForgettingStore(tmp_path / "secrets", mirror=line)


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def test_the_replica_holds_what_the_store_holds_after_every_call(store: ForgettingStore, tmp_path: Path) -> None:
    record = fresh_id()
    for call in (
        lambda: store.obtain([record, fresh_id()]),
        lambda: store.forget([record], AT),
        lambda: store.rekey(LATER),
        lambda: store.obtain([fresh_id()]),
    ):
        call()
        assert _content(tmp_path / "replica") == _content(tmp_path / "secrets")


def test_a_takeover_from_the_replica_knows_all_secrets_and_all_that_was_forgotten(
    store: ForgettingStore, tmp_path: Path
) -> None:
    records = [fresh_id() for _ in range(5)]
    secrets = store.obtain(records)
    store.forget(records[:2], AT)
    shutil.rmtree(tmp_path / "secrets")
    taken = ForgettingStore(tmp_path / "replica")
    found = taken.find(records)
    assert found[2:] == secrets[2:]
    assert all(isinstance(answer, Tombstone) for answer in found[:2])


@pytest.mark.parametrize("cut", ["before", "after"])
def test_without_the_replica_nothing_is_made_or_forgotten_here(
    store: ForgettingStore, line: Line, tmp_path: Path, cut: str
) -> None:
    records = [fresh_id(), fresh_id()]
    known = store.obtain(records[:1])
    for call in (lambda: store.obtain(records[1:]), lambda: store.forget(records[:1], AT)):
        before, answers = _content(tmp_path / "secrets"), store.find(records)
        line.cut = cut
        with pytest.raises(Unavailable):
            call()
        assert _content(tmp_path / "secrets") == before
        assert store.find(records) == answers
        line.cut = ""
        store.obtain([fresh_id()])
        assert _content(tmp_path / "replica") == _content(tmp_path / "secrets")
    assert store.find(records[:1]) == known if cut == "before" else isinstance(store.find(records)[0], Tombstone)


@pytest.mark.parametrize("first", ["obtain", "forget", "rekey"])
def test_a_store_put_back_by_one_increment_takes_the_tombstone_from_its_replica(
    store: ForgettingStore, line: Line, tmp_path: Path, first: str
) -> None:
    record, other = fresh_id(), fresh_id()
    store.obtain([record, other])
    shutil.copytree(tmp_path / "secrets", tmp_path / "older")
    told = store.forget([record], LATER)
    older = ForgettingStore(tmp_path / "older", mirror=line)
    calls: dict[str, Callable[[], object]] = {
        "obtain": lambda: older.obtain([fresh_id()]),
        "forget": lambda: older.forget([record, other], MUCH_LATER),
        "rekey": lambda: older.rekey(MUCH_LATER),
    }
    calls[first]()
    forgotten = older.forgotten(record)
    assert forgotten is not None
    assert forgotten.at == told.at == LATER
    assert _content(tmp_path / "replica") == _content(tmp_path / "older")


def test_a_process_that_did_not_see_another_die_takes_nothing_away(store: ForgettingStore, tmp_path: Path) -> None:
    """The other wrote its tombstone to the replica, and died before it wrote it here."""
    record = fresh_id()
    store.obtain([record])
    whole = BaseFiles(tmp_path / "secrets", 1).increments
    before = whole.read_bytes()
    ForgettingStore(tmp_path / "secrets", mirror=ReplicaFolder(tmp_path / "replica")).forget([record], LATER)
    whole.write_bytes(before)
    with pytest.raises(Unavailable):
        store.obtain([fresh_id()])
    store.obtain([fresh_id()])
    assert isinstance(store.find([record])[0], Tombstone)


@pytest.mark.parametrize("torn", [b"\x00\x00\x01", bytes(40)])
def test_a_replica_that_tore_the_first_increment_of_a_base_goes_on(
    store: ForgettingStore, tmp_path: Path, torn: bytes
) -> None:
    ReplicaFolder(tmp_path / "replica").install(BaseFiles(tmp_path / "secrets", 1))
    BaseFiles(tmp_path / "replica", 1).increments.write_bytes(torn)
    store.obtain([fresh_id()])
    assert _content(tmp_path / "replica") == _content(tmp_path / "secrets")


def test_a_last_increment_of_the_replica_without_its_bytes_is_taken_away(
    store: ForgettingStore, tmp_path: Path
) -> None:
    store.obtain([fresh_id()])
    path = BaseFiles(tmp_path / "replica", 1).increments
    frame = path.read_bytes()
    path.write_bytes(frame + frame[:4] + bytes(len(frame) - 4))
    again = ForgettingStore(tmp_path / "secrets", mirror=ReplicaFolder(tmp_path / "replica"))
    again.obtain([fresh_id()])
    assert _content(tmp_path / "replica") == _content(tmp_path / "secrets")


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_rekeying_that_the_replica_missed_is_not_final_and_is_made_up_for(
    store: ForgettingStore, line: Line, tmp_path: Path, cut: str
) -> None:
    record, other = fresh_id(), fresh_id()
    secret = store.obtain([record, other])[1]
    store.forget([record], AT)

    def cut_at_install(files: BaseFiles) -> None:
        line.cut = cut
        Line.install(line, files)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line, "install", cut_at_install)
        with pytest.raises(Unavailable):
            store.rekey(LATER)
    forgotten = store.forgotten(record)
    assert forgotten is not None
    assert forgotten.final_at is None
    assert store.due == LATER
    line.cut = ""
    assert ForgettingStore(tmp_path / "secrets", mirror=line).obtain([other]) == [secret]
    store.rekey(MUCH_LATER)
    forgotten = store.forgotten(record)
    assert forgotten is not None
    assert forgotten.final_at == MUCH_LATER
    assert store.due > MUCH_LATER
    assert ForgettingStore(tmp_path / "replica").forgotten(record) == forgotten
    assert _content(tmp_path / "replica") == _content(tmp_path / "secrets")


def test_a_store_that_gets_a_replica_later_sends_it_everything_before_it_answers(tmp_path: Path) -> None:
    plain = ForgettingStore.create(tmp_path / "secrets", AT)
    for _ in range(3):
        plain.obtain([record := fresh_id()])
    line = Line(tmp_path / "replica")
    line.cut = "before"
    store = ForgettingStore(tmp_path / "secrets", mirror=line)
    with pytest.raises(Unavailable):
        store.obtain([record])
    line.cut = ""
    store.obtain([record])
    assert _content(tmp_path / "replica") == _content(tmp_path / "secrets")


def test_a_store_that_was_restored_from_an_older_copy_does_not_overwrite_the_replica(
    store: ForgettingStore, line: Line, tmp_path: Path
) -> None:
    store.obtain([fresh_id()])
    shutil.copytree(tmp_path / "secrets", tmp_path / "older")
    for _ in range(2):
        store.obtain([fresh_id()])
    held = _content(tmp_path / "replica")
    ForgettingStore(tmp_path / "older").rekey(LATER)  # as a restore does
    restored = ForgettingStore(tmp_path / "older", mirror=line)
    for call in (lambda: restored.obtain([fresh_id()]), lambda: restored.rekey(LATER)):
        with pytest.raises(Conflict) as caught:
            call()
        assert caught.value.reason == "replica-diverged"
    assert _content(tmp_path / "replica") == held


def test_another_stores_replica_is_refused(store: ForgettingStore, line: Line, tmp_path: Path) -> None:
    store.obtain([fresh_id()])
    ForgettingStore.create(tmp_path / "foreign", AT)
    held = _content(tmp_path / "replica")
    with pytest.raises(Conflict):
        ForgettingStore(tmp_path / "foreign", mirror=line).obtain([fresh_id()])
    assert _content(tmp_path / "replica") == held


def test_a_replica_takes_only_what_continues_it(store: ForgettingStore, line: Line, tmp_path: Path) -> None:
    store.obtain([fresh_id()])
    state = line.replica.state()
    assert state is not None
    frame = (tmp_path / "replica" / "increments-1").read_bytes()
    for base_id, offset in ((fresh_id(), state.end), (state.base_id, state.end + 1), (state.base_id, 7)):
        with pytest.raises(Conflict):
            line.replica.append(base_id, offset, frame)
    for wrong in (frame[:-1], frame + b"\x00", frame + frame, b"x"):
        with pytest.raises(Invalid):
            line.replica.append(state.base_id, state.end, wrong)
    with pytest.raises(Tampered):
        line.replica.receive(2, BaseKey.generate(), [(tmp_path / "secrets" / "base-1").read_bytes()])
    assert _content(tmp_path / "replica") == _content(tmp_path / "secrets")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, int]]:
    make_channel(tmp_path / "channel", datetime.now(UTC))
    folder = ReplicaFolder(tmp_path / "replica")
    with ReplicaServer(("127.0.0.1", 0), folder, tmp_path / "channel" / "replica") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ("127.0.0.1", int(server.server_address[1]))
        server.shutdown()


def test_the_channel_carries_all_of_it(served: tuple[str, int], tmp_path: Path) -> None:
    ForgettingStore.create(tmp_path / "secrets", AT)
    mirror = RemoteMirror(served, tmp_path / "channel" / "store")
    store = ForgettingStore(tmp_path / "secrets", mirror=mirror)
    records = [fresh_id() for _ in range(1000)]
    store.obtain(records)
    store.forget(records[:10], AT)
    store.rekey(LATER)
    store.obtain([fresh_id()])
    mirror.close()
    shutil.copytree(tmp_path / "secrets", tmp_path / "older")
    store.forget(records[10:], AT)
    shutil.rmtree(tmp_path / "secrets")
    (tmp_path / "older").rename(tmp_path / "secrets")
    store = ForgettingStore(tmp_path / "secrets", mirror=mirror)
    store.obtain([fresh_id()])
    assert all(isinstance(answer, Tombstone) for answer in store.find(records))
    mirror.close()
    assert _content(tmp_path / "replica") == _content(tmp_path / "secrets")


def test_a_stranger_with_a_key_of_another_channel_is_not_let_in(served: tuple[str, int], tmp_path: Path) -> None:
    make_channel(tmp_path / "strange", datetime.now(UTC))
    shutil.copy(tmp_path / "channel" / "store" / "peer.pem", tmp_path / "strange" / "store" / "peer.pem")
    stranger = RemoteMirror(served, tmp_path / "strange" / "store")
    with pytest.raises(Unavailable):
        stranger.state()


def test_a_client_without_a_certificate_is_not_let_in(served: tuple[str, int]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(served, timeout=5) as plain, context.wrap_socket(plain) as connection:
        assert _answer(connection) == b""


def _answer(connection: ssl.SSLSocket) -> bytes:
    """What comes back to a well-formed request; nothing if the other end hangs up."""
    message = b'{"bytes":0,"do":"state"}'
    try:
        connection.sendall(len(message).to_bytes(4, "big") + message)
        return connection.recv(1)
    except OSError:
        return b""


def test_a_false_replica_is_told_nothing(tmp_path: Path) -> None:
    """It knows the store's certificate, but its own is not the pinned one."""
    make_channel(tmp_path / "channel", datetime.now(UTC))
    make_channel(tmp_path / "false", datetime.now(UTC))
    shutil.copy(tmp_path / "channel" / "replica" / "peer.pem", tmp_path / "false" / "replica" / "peer.pem")
    folder = ReplicaFolder(tmp_path / "taken")
    with ReplicaServer(("127.0.0.1", 0), folder, tmp_path / "false" / "replica") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = RemoteMirror(("127.0.0.1", int(server.server_address[1])), tmp_path / "channel" / "store")
        ForgettingStore.create(tmp_path / "secrets", AT)
        with pytest.raises(Unavailable):
            ForgettingStore(tmp_path / "secrets", mirror=mirror).obtain([fresh_id()])
        server.shutdown()
    assert list((tmp_path / "taken").iterdir()) == []


def test_a_replica_that_is_down_is_unavailable(tmp_path: Path) -> None:
    make_channel(tmp_path / "channel", datetime.now(UTC))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = ("127.0.0.1", int(free.getsockname()[1]))
    with pytest.raises(Unavailable) as caught:
        RemoteMirror(address, tmp_path / "channel" / "store").state()
    assert caught.value.reason == "replica"


def test_a_channel_is_made_once_and_its_keys_are_its_owners(tmp_path: Path) -> None:
    make_channel(tmp_path, datetime.now(UTC))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.pem")} == {0o600}
    assert b"PRIVATE" not in (tmp_path / "store" / "peer.pem").read_bytes()
    with pytest.raises(Conflict):
        make_channel(tmp_path, datetime.now(UTC))
    with pytest.raises(Unavailable):
        channel_context(tmp_path / "nowhere", server=False)


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:0", "host:65536", "host:-1", "host:1x"])
def test_an_address_is_a_host_and_a_port(text: str) -> None:
    with pytest.raises(Invalid):
        parse_address(text)
    assert parse_address("custody-2.example:8443") == ("custody-2.example", 8443)
