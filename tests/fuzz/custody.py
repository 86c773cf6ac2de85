"""Targets: the channel of the custody replica, and the files of key custody, which a backup or another host gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

from domain.errors import Conflict, Invalid, Tampered, Unavailable
from domain.identifiers import encode_bytes
from domain.instants import moment
from domain.jcs import JsonObject
from offchain.custody.backup_keys import CustodyBackupKeys
from offchain.custody.forgetting.base import MAGIC, SealedBase, parse_header
from offchain.custody.forgetting.entries import ENTRY_BYTES
from offchain.custody.forgetting.increments import SECRETS, IncrementCipher, check_frame, last_frame_start
from offchain.custody.forgetting.layout import BaseFiles, BaseKey, read_key
from offchain.custody.forgetting.store import ForgettingStore
from offchain.custody.keyring_file import Keyring, KeyringEntry, decode_keyring, encode_keyring
from offchain.custody.replica.channel import make_channel, receive_body, receive_header, send
from offchain.custody.replica.folder import ReplicaFolder
from offchain.custody.replica.remote import RemoteMirror
from offchain.custody.replica.server import ReplicaServer
from offchain.custody.root_key import RootKey, read_root_key, write_root_key
from offchain.disk import Disk
from offchain.envelope.keys import CustodyKey
from tests.fuzz.target import SECRET, Target, accepted, as_json
from tests.unit.offchain.sealing import OBJECT_ID, OTHER_OBJECT_ID

_AT: Final = "2026-01-01T00:00:00Z"
_LATER: Final = "2026-01-02T00:00:00Z"
_KEY: Final = BaseKey(bytes(range(32)))
_KEYRING: Final = Keyring(
    OBJECT_ID,
    {
        name: KeyringEntry(name, _AT, CustodyKey(bytes([number]) * 32))
        for number, name in enumerate((OBJECT_ID, OTHER_OBJECT_ID))
    },
)
_MAX_ANSWERS: Final = 10_000


class Line:
    """The other end's bytes, and what is said to it: as much of a TLS connection as the channel uses."""

    def __init__(self, given: bytes) -> None:
        self.given = given
        self.said = bytearray()

    def recv(self, count: int) -> bytes:
        piece, self.given = self.given[:count], self.given[count:]
        return piece

    def sendall(self, data: bytes) -> None:
        self.said += data

    def settimeout(self, _seconds: float) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def wrap_socket(self, line: Any, *, server_side: bool) -> Any:
        """A context of TLS without TLS."""
        assert server_side
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class Quick(Disk):
    """A disk that nobody waits for."""

    def fsync(self, descriptor: int) -> None:
        """Power does not fail here."""


class Held(Disk):
    """Every file has these bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @contextmanager
    def opened(self, path: Path) -> Iterator[int]:
        yield len(path.name)

    def pread(self, descriptor: int, length: int, offset: int) -> bytes:
        return self._content[offset : offset + length]


class Answered(RemoteMirror):
    """The store's end of the channel, to whose first request these bytes are the answer."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(("", 1), Path())
        self._line: Any = Line(answer)

    def _connected(self) -> Any:
        return self._line


def fuzz_replica(data: bytes) -> None:
    """As a connection, and as the header of one message with a genuine base for its body."""
    _check_served(data)
    _check_served(_message(data) + _bases()[0][0])


def _check_served(data: bytes) -> None:
    """Whatever the replica is sent: it answers in messages, or gives up, and its folder can be read afterwards."""
    server, line = _server(), Line(data)
    with TemporaryDirectory() as name:
        server.folder = ReplicaFolder(Path(name), Quick())
        with suppress(EOFError, Invalid):  # the connection ends, and the replica takes the next one
            server.finish_request(line, ("", 0))  # type: ignore[arg-type]
        answers = Line(bytes(line.said))
        for _ in range(_MAX_ANSWERS):
            if not answers.given:
                break
            _, body_bytes = receive_header(answers)  # type: ignore[arg-type]
            b"".join(receive_body(answers, body_bytes))  # type: ignore[arg-type]
        assert not answers.given
        server.folder.state()


def fuzz_replica_answer(data: bytes) -> None:
    """As all that comes back, and as the header of a message."""
    _check_answered(data)
    _check_answered(_message(data))


def _check_answered(data: bytes) -> None:
    """What the store is answered: a state, a frame, or an error that says nothing of the answer."""
    for state in accepted(lambda: Answered(data).state(), Unavailable, Conflict):
        assert state is None or state.base_id
    accepted(lambda: Answered(data).append(OBJECT_ID, 0, b""), Unavailable, Conflict)
    for frame in accepted(lambda: Answered(data).last_frame(OBJECT_ID, 0), Unavailable, Conflict):
        assert len(frame) < len(data)


def fuzz_base(data: bytes) -> None:
    """A base that opens is one that the holder of the key has sealed, and all its entries are whole."""
    for header, _ in accepted(partial(parse_header, MAGIC + _message(data)), Tampered):
        assert parse_header(header.encode()) == (header, header.encode())
    for key in (_KEY, *(key for _, key in _bases())):
        for base in accepted(lambda: SealedBase(Path("base"), key, Held(data)), Tampered):  # noqa: B023
            assert (data, key) in _bases(), "a base was forged"
            assert len(b"".join(base.secrets())) == base.header.secrets * ENTRY_BYTES
            assert len(b"".join(base.tombstones())) == base.header.tombstones * ENTRY_BYTES
            assert base.secret(0, bytes(16)) is None


def fuzz_increments(data: bytes) -> None:
    """Increments are read up to where the holder of the key wrote them, or refused."""
    accepted(partial(check_frame, data))
    for start in accepted(partial(last_frame_start, data), Tampered):
        assert 0 <= start <= len(data)
    for frames in accepted(partial(_cipher().open_all, data, 0), Tampered):
        assert all(len(entry) == ENTRY_BYTES for frame in frames for entry in frame.entries)
        assert data[: frames[-1].end if frames else 0] in _whole_increments(), "an increment was forged"


def fuzz_keyring(data: bytes) -> None:
    """A keyring and a root key are read or refused; neither shows a key. A backup's sealed keys are not forged."""
    for keyring in accepted(partial(decode_keyring, data)):
        assert decode_keyring(encode_keyring(keyring)) == keyring
        assert all(encode_bytes(entry.key.reveal()) not in repr(keyring) for entry in keyring.entries.values())
    for root in accepted(lambda: read_root_key(Path("root"), Held(data))):
        assert encode_bytes(root.base_key.reveal()) not in repr(root)
    for opened in accepted(partial(CustodyBackupKeys(_KEYRING).open, data), Tampered):
        assert opened == SECRET.encode(), "a backup's keys were forged"


def _message(header: bytes) -> bytes:
    return len(header).to_bytes(4, "big") + header


@cache
def _server() -> ReplicaServer:
    """A replica that listens nowhere: it is handed its connections."""
    with TemporaryDirectory() as name:
        make_channel(Path(name), moment(_AT))
        server = ReplicaServer(("127.0.0.1", 0), ReplicaFolder(Path(name)), Path(name) / "replica")
    server.server_close()
    server.context = Line(b"")  # type: ignore[assignment]
    return server


@cache
def _bases() -> list[tuple[bytes, BaseKey]]:
    """Bases and their keys: an empty one, and one with secrets and a tombstone."""
    with TemporaryDirectory() as name:
        store = ForgettingStore.create(Path(name), _AT, disk=Quick())
        empty = _base(Path(name), 1)
        store.obtain([OBJECT_ID, OTHER_OBJECT_ID])
        store.forget([OBJECT_ID], _AT)
        store.rekey(_LATER)
        return [empty, _base(Path(name), 2)]


def _base_files() -> list[bytes]:
    """Bases, and the header of one as JSON alone."""
    whole = [base for base, _ in _bases()]
    header = parse_header(whole[1])[1][8:]
    return [*whole, header, header.replace(b'"number":2', b'"number":"2"')]


def _base(folder: Path, number: int) -> tuple[bytes, BaseKey]:
    files = BaseFiles(folder, number)
    return files.base.read_bytes(), read_key(files.key, Disk())


def _cipher() -> IncrementCipher:
    return IncrementCipher(_KEY, OBJECT_ID)


@cache
def _whole_increments() -> list[bytes]:
    """Increments with none, one and two frames."""
    entry = bytes(range(ENTRY_BYTES))
    first = _cipher().seal(SECRETS, [entry], 0)
    return [b"", first, first + _cipher().seal(SECRETS, [entry, entry], len(first))]


def _increments() -> list[bytes]:
    _, one, two = _whole_increments()
    return [one, two, one + bytes(100)]


@cache
def _conversations() -> list[bytes]:
    """What a store says to an empty replica, in one connection."""
    (base, key), *_ = _bases()
    first = Line(b"")
    sealed = _whole_increments()[1]
    header = SealedBase(Path("base"), key, Held(base)).header
    own: Any = first
    install: JsonObject = {"do": "install", "number": 1, "key": encode_bytes(key.reveal())}
    send(own, {"do": "state"})
    send(own, install, (base,), body_bytes=len(base))
    send(own, {"do": "append", "baseId": header.base_id, "offset": 0}, (sealed,), body_bytes=len(sealed))
    send(own, {"do": "last", "baseId": header.base_id, "offset": 0})
    send(own, {"do": "append", "baseId": header.base_id, "offset": 0})
    other: Any = Line(b"")
    send(other, {"do": SECRET})
    alone = [as_json({**install, "bytes": len(base), "number": number}) for number in (0, 1, True)]
    return [bytes(first.said), bytes(other.said), *alone]


def _answers() -> list[bytes]:
    frame = _whole_increments()[1]
    messages: tuple[tuple[JsonObject, bytes], ...] = (
        ({"state": None}, b""),
        ({"state": {"baseId": OBJECT_ID, "end": len(frame), "lastFrame": 0}}, b""),
        ({}, frame),
        ({"failed": "conflict", "reason": "replica-diverged"}, b""),
        ({"failed": "failed", "reason": SECRET}, b""),
    )
    made = []
    for fields, body in messages:
        line: Any = Line(b"")
        send(line, fields, (body,), body_bytes=len(body))
        made.append(bytes(line.said))
    return [*made, bytes(made[1][4:])]


@cache
def _keyrings() -> list[bytes]:
    root = RootKey(OBJECT_ID, _KEY, _KEYRING)
    with TemporaryDirectory() as name:
        path = Path(name) / "root"
        write_root_key(path, root, Quick())
        written = path.read_bytes()
    return [encode_keyring(_KEYRING), written, CustodyBackupKeys(_KEYRING).seal(SECRET.encode())]


TARGETS: Final = (
    Target("replica", fuzz_replica, _conversations),
    Target("replica-answer", fuzz_replica_answer, _answers),
    Target("custody-base", fuzz_base, _base_files),
    Target("custody-increments", fuzz_increments, _increments, takes_json=False),
    Target("keyring", fuzz_keyring, _keyrings),
)
