"""On a real Fabric network of three hospitals on this machine, ordered by Raft; ``make fabric-tools`` builds it."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Final

from domain import merkle
from domain.errors import Unavailable
from domain.identifiers import encode_bytes
from domain.ports import Ledger
from domain.transactions import CreateRecord, Transaction, encode
from network.blocks.block import parse_block
from network.blocks.codes import ValidationCode
from network.blocks.transaction import parse_envelope
from network.fabric.connection import Connection
from network.fabric.ledger import FabricLedger
from network.fabric.raw_blocks import open_blocks
from network.witness.database import WitnessDatabase
from network.witness.folder import create, load
from network.witness.witness import Witness
from node_service.client.shared_client import SharedClient
from node_service.composition import SystemClock
from node_service.records.ingest import ingest_fhir
from patient_wallet.drafts import GrantChoice
from scripts.bench.cases.latency import enrol
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.hospital import MEMBERS, hospital
from scripts.bench.inputs import FHIR_JSON, MSP_ID, Skipped, bundles, fresh_identifier, registration
from scripts.bench.served import Served, served
from yilian.contract_versions import CONTRACT, contract_replayer
from yilian.demo.fabric_ground import FabricGround
from yilian.demo.ground import witness_identity

_RECORDS: Final = 2_000
_SINGLE: Final = 1_000
_AT_ONCE: Final = 128
_WRITERS: Final = 16
_COMMITS: Final = 20
_RATE_PER_S: Final = 200
_BUNDLE: Final = 10
_SECONDS: Final = 5
_KEPT: Final = 1.1
"""The last Bundle is answered within so many times the seconds: the rate was kept."""
_READS: Final = 20
_BLOCK_WRITES: Final = 400
_PAUSE_S: Final = 0.02
_LOOK_S: Final = 0.01
_IS_ANCHORED: Final = """
SELECT 1 FROM record_version AS v JOIN anchored_head AS h ON h.incarnation = v.incarnation AND h.size > v.log_index
WHERE v.record = ? AND h.msp_id = ? AND h.log = 'records'
"""
_GIVE_UP_S: Final = 60.0


@contextmanager
def anchoring(place: Place) -> Iterator[Comparison]:
    """A head over many leaves beside one transaction for each record, as many at a time as bring most, same network."""
    given, sources, waiting, ground = bundles(place), count(), [0], _ground(place)
    with hospital(place, ground) as north, ThreadPoolExecutor(_AT_ONCE) as writers:

        def ingest() -> None:
            north.follow()
            waiting[0] = 0
            while waiting[0] < _RECORDS:
                source = f"source-{next(sources)}"
                waiting[0] += sum(len(ingest_fhir(north.node, body, FHIR_JSON, source).stored) for body in given)

        def anchor() -> float:
            north.anchor_in_real_time()
            return waiting[0]

        yield Comparison(
            operation=f"Fabric: records anchored, at least {_RECORDS} waiting",
            unit="record",
            ours=Side("outbox → log → Anchor → projection", anchor, ingest),
            peer=Side(
                f"one CreateRecord per transaction, {_AT_ONCE} submitted at once",
                lambda: _write_all(_connection(ground), north.node.ledger, writers, _SINGLE),
            ),
            goal=Goal(Figure.SPEED, 30),
            note="the peer asks for nothing in between, waits until the last is in a block, and does not project",
        )


@contextmanager
def commit(place: Place) -> Iterator[Comparison]:
    """One write after another, each waited for."""
    with _ledger(place) as (_, ledger), ThreadPoolExecutor(1) as writer:
        yield Comparison(
            operation="Fabric: CreateRecord until it is committed at the own peer",
            unit="commit",
            ours=Side("submit → status VALID", lambda: sum(_write(ledger, writer, 1) for _ in range(_COMMITS))),
        )


@contextmanager
def anchored(place: Place) -> Iterator[Comparison]:
    """From the answer to a Bundle to its anchor, while 200 records/s come in; the 95th percentile of a round."""
    numbers = count()
    with served(place, _ground(place), witnesses=True) as running, ThreadPoolExecutor(_WRITERS) as threads:

        def percentile() -> float:
            waits = sorted(_under_load(running, threads, numbers))
            return waits[int(0.95 * len(waits))] * 1000

        yield Comparison(
            operation=f"Fabric: from stored to anchored at {_RATE_PER_S} records/s, p95",
            unit="ms",
            ours=Side(f"Bundles of {_BUNDLE} → anchored in the projection", percentile),
            goal=Goal(Figure.AMOUNT, 500),
            note="of all Bundles, seen in the node's database from outside; a round fails if the rate is not kept",
        )


@contextmanager
def shared_read(place: Place) -> Iterator[Comparison]:
    """Another hospital reads with an open access: the same on Fabric and on the embedded ledger."""
    other = Place(place.folder / "embedded", place.mebibytes, place.shared_data)
    other.folder.mkdir()
    with served(place, _ground(place), witnesses=True) as fabric, served(other, witnesses=True) as embedded:
        yield Comparison(
            operation="Fabric: shared read with decision, release and log",
            unit="read",
            ours=Side("on Fabric", _reader(place, fabric)),
            peer=Side("on the embedded ledger", _reader(other, embedded)),
        )


@contextmanager
def follower(place: Place) -> Iterator[Comparison]:
    """A hospital that sees the channel for the first time verifies all its blocks."""
    folders = count()
    with _ledger(place) as (connection, written), ThreadPoolExecutor(_WRITERS) as writers:
        _write(written, writers, _BLOCK_WRITES)
        height = written.height()

        def follow() -> float:
            folder = place.folder / f"new-{next(folders)}"
            folder.mkdir()
            with FabricLedger(connection, SystemClock(), os.urandom, folder) as fresh:
                return _transactions(block.number for block in islice(fresh.blocks(0), height))

        yield Comparison(
            operation=f"Fabric: {_BLOCK_WRITES} transactions in {height} blocks followed and verified",
            unit="transaction",
            ours=Side("FabricLedger.blocks", follow),
            peer=Side("the same blocks from the peer, unread", lambda: _deliver(connection, height)),
        )


@contextmanager
def witness(place: Place) -> Iterator[Comparison]:
    """A witness that starts anew verifies every block, executes the contract again, and keeps its log."""
    folders = count()
    with _ground(place) as ground:
        connection = _connection(ground)
        with FabricLedger(connection, SystemClock(), os.urandom, _folder(place, "writer")) as written:
            _submit(written, registration())
            with ThreadPoolExecutor(_WRITERS) as writers:
                _write(written, writers, _BLOCK_WRITES)
            height = written.height()

        def catch_up() -> float:
            folder = place.folder / f"witness-{next(folders)}"
            create(folder, witness_identity(ground, MSP_ID), os.urandom)
            identity, key = load(folder)
            with closing(open_blocks(connection)) as source, closing(WitnessDatabase(folder / "log.db")) as database:
                found = Witness(identity, key, source, database, contract_replayer(CONTRACT))
                while found.size < height:
                    found.step(SystemClock().now())
                return _BLOCK_WRITES

        yield Comparison(
            operation=f"Fabric: {_BLOCK_WRITES} transactions in {height} blocks witnessed, the contract executed again",
            unit="transaction",
            ours=Side("Witness.step", catch_up),
            peer=Side("the same blocks from the peer, unread", lambda: _deliver(connection, height)),
        )


def _ground(place: Place) -> FabricGround:
    try:
        return FabricGround(_folder(place, "fabric"), MEMBERS)
    except Unavailable as error:
        raise Skipped(error.detail) from error


def _folder(place: Place, name: str) -> Path:
    folder = place.folder / name
    folder.mkdir()
    return folder


def _connection(ground: FabricGround) -> Connection:
    return Connection.read(ground.network.connection_file(MSP_ID))


@contextmanager
def _ledger(place: Place) -> Iterator[tuple[Connection, FabricLedger]]:
    with _ground(place) as ground:
        connection = _connection(ground)
        with FabricLedger(connection, SystemClock(), os.urandom, _folder(place, "writer")) as ledger:
            _submit(ledger, registration())
            yield connection, ledger


def _write(ledger: Ledger, writers: ThreadPoolExecutor, number: int) -> float:
    """CreateRecord so often, until each is committed."""

    def write(_: int) -> None:
        record = fresh_identifier()
        _submit(ledger, CreateRecord(record, encode_bytes(merkle.leaf_hash(record.encode()))))

    return sum(1 for _ in writers.map(write, range(number)))


def _write_all(connection: Connection, ledger: Ledger, writers: ThreadPoolExecutor, number: int) -> float:
    """CreateRecord so often; done when all are in blocks, which alone are followed."""
    with closing(open_blocks(connection)) as source:
        first = source.height()
        records = (fresh_identifier() for _ in range(number))
        made = [encode(CreateRecord(one, encode_bytes(merkle.leaf_hash(one.encode())))) for one in records]
        waiting = set(writers.map(lambda one: ledger.submit(*one), made))
        deadline = time.monotonic() + _GIVE_UP_S
        while waiting and time.monotonic() < deadline:
            source.wait_for_block(first, _GIVE_UP_S)
            height = source.height()
            for block in map(parse_block, source.range(first, height)):
                told = zip(block.envelopes, block.validation_codes, strict=True)
                waiting -= {parse_envelope(raw).tx_id for raw, code in told if code == ValidationCode.VALID}
            first = height
    if waiting:
        raise AssertionError("transactions are not committed")
    return number


def _submit(ledger: Ledger, transaction: Transaction) -> None:
    """Return when it is committed."""
    tx_id = ledger.submit(*encode(transaction))
    deadline = time.monotonic() + _GIVE_UP_S
    while (status := ledger.status(tx_id)) is None:
        if time.monotonic() > deadline:
            raise AssertionError("a transaction is not committed")
        ledger.wait_for_block(ledger.height(), _PAUSE_S)
    if not status.valid:
        raise AssertionError(f"a transaction is {status.code}")


def _deliver(connection: Connection, height: int) -> float:
    with closing(open_blocks(connection)) as source:
        return _transactions(number for number, _ in enumerate(source.range(0, height)))


def _transactions(numbers: Iterable[int]) -> float:
    """Take in all blocks; how many writes they hold."""
    deque(numbers, maxlen=0)
    return _BLOCK_WRITES


def _under_load(running: Served, threads: ThreadPoolExecutor, numbers: Iterator[int]) -> list[float]:
    """Seconds from stored to anchored of Bundles that are sent at a fixed rate whatever the node does."""
    begun, every = time.perf_counter(), _BUNDLE / _RATE_PER_S
    sent = []
    for turn in range(int(_SECONDS / every)):
        time.sleep(max(0.0, begun + turn * every - time.perf_counter()))
        sent.append(threads.submit(_send, running, next(numbers)))
    answered, waits = zip(*(one.result() for one in sent), strict=True)
    if max(answered) - begun > _KEPT * _SECONDS:
        raise AssertionError(f"{_RATE_PER_S} records/s are more than this machine takes in")
    return list(waits)


def _send(running: Served, number: int) -> tuple[float, float]:
    """When it was answered, and how long it then took to be anchored.

    Looked for in the node's database: asking the node itself so often would be a good part of its work.
    """
    report = running.records.ingest_fhir(_bundle(number), source=f"bench-{number}", media_type=FHIR_JSON)
    started, record = time.perf_counter(), report.stored[-1].record
    address = f"{(running.north.folder / 'node.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as database:
        while database.execute(_IS_ANCHORED, (record, running.north.msp_id)).fetchone() is None:
            if time.perf_counter() - started > _GIVE_UP_S:
                raise AssertionError("a record is not anchored")
            time.sleep(_LOOK_S)
    return started, time.perf_counter() - started


def _bundle(number: int) -> bytes:
    entries = [
        {
            "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:08d}{item:04d}",
            "resource": {"resourceType": "Basic", "code": {"text": f"bench {number}-{item}"}},
            "request": {"method": "POST", "url": "Basic"},
        }
        for item in range(_BUNDLE)
    ]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


def _reader(place: Place, running: Served) -> Callable[[], float]:
    """Reads of one open access at another hospital."""
    wallet, home = enrol(place, running), running.north.msp_id
    reader = running.network.hospitals[1]
    shared = SharedClient(reader.employ("reader", "Reader", "clinician").client)
    granted = wallet.grant(home, GrantChoice(grantee=reader.msp_id), reader.url)
    shared.confirm_match(granted.patient, granted.id, None)
    access = shared.open_access(granted.patient, granted.id, "TREAT").id
    records: Sequence[str] = [item.record for item in shared.records(access).items]

    def read() -> float:
        for _ in range(_READS):
            shared.record(access, records[0])
        return _READS

    return read


CASES: Final = {
    "fabric-anchoring": anchoring,
    "fabric-commit": commit,
    "fabric-anchored-p95": anchored,
    "fabric-shared-read": shared_read,
    "fabric-follower": follower,
    "fabric-witness": witness,
}
