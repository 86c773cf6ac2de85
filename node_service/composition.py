"""The one place that names adapters, and the only one that owns threads."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import FastAPI

from domain.errors import Invalid
from domain.instants import instant
from domain.ports import Clock, Ledger, RandomSource
from network.embedded.ledger import EmbeddedLedger
from network.fabric.connection import Connection
from network.fabric.ledger import FabricLedger
from node_service import organization_keys, secrets
from node_service.access_log.sequencer import Sequencer
from node_service.addresses import node_address
from node_service.api.app import create_app
from node_service.api.condition import Condition
from node_service.api.services import Rates
from node_service.background import Step, Worker
from node_service.client.authorities import read_authorities
from node_service.client.exchange_client import Address, ExchangeClient
from node_service.client.transport import Transport
from node_service.client.witness_client import CALL_TIMEOUT_S, Questions, WitnessClient
from node_service.context import Limits, Node
from node_service.custody_steps import Rekeying, Snapshots
from node_service.database.engine import Database, Listener
from node_service.database.migrations import upgrade
from node_service.erasure.case_keeper import CaseKeeper
from node_service.erasure.corrections import Corrections
from node_service.erasure.notifier import Notifier
from node_service.erasure.remover import Remover
from node_service.leading import Leading
from node_service.ledger_sync import projection
from node_service.ledger_sync.anchorer import Anchorer
from node_service.ledger_sync.commits import ProjectedCommits
from node_service.ledger_sync.follower import Follower
from node_service.ledger_sync.submission import Resubmitter
from node_service.node_status import node_status
from node_service.own_keys import is_in_use, verify_own_keys, verify_secrets_are_newest
from node_service.profiles import check_profile
from node_service.records.collecting import Collector
from node_service.records.scrubber import Scrubber
from node_service.records.settling import Settling
from node_service.resumable.expiry import Expiry
from node_service.retention.file import load_rules
from node_service.running import RunningNode
from node_service.settings import Settings
from node_service.sharing.accesses import OneUseKeys
from node_service.sharing.enrolment import Enrolments
from node_service.sharing.patient_wraps import PatientWraps
from node_service.witnessing.collector import WitnessCollector
from node_service.witnessing.members import Witness, other_witnesses
from node_service.witnessing.receipts import Receipts
from node_service.witnessing.voices import LedgerVoices, WitnessVoices
from offchain.custody.file_keyring import KEYRING_FILE, FileKeyring
from offchain.custody.keyring_file import read_keyring
from offchain.custody.replica.remote import RemoteMirror, parse_address
from offchain.disk import Disk
from offchain.stores import SealedStore
from offchain.stores.opening import open_store, read_token

WANTED: Final = "wanted"
"""What a process tells the leading one: the block for which somebody asks a receipt."""
MEASURE_INTERVAL: Final = timedelta(seconds=2)
HASHING_THREADS: Final = 2
"""Of one upload its plaintext and its ciphertext are hashed; two threads take in what one core cannot."""

CUSTODY_FOLDER: Final = "custody"
CHANNEL_FOLDER: Final = "channel"
FOLLOWER_QUIET: Final = timedelta(milliseconds=20)
COLLECTOR_QUIET: Final = timedelta(milliseconds=200)
QUIET: Final = {
    "anchorer": timedelta(milliseconds=50),
    "sequencer": timedelta(milliseconds=200),
    "resubmitter": timedelta(milliseconds=100),
    "patient-wraps": timedelta(seconds=1),
    "remover": timedelta(milliseconds=200),
    "case-keeper": timedelta(seconds=1),
    "notifier": timedelta(milliseconds=500),
    "corrections": timedelta(seconds=2),
}
"""Who looks again after a commit of this process, and how often at most."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment in UTC."""
        return datetime.now(UTC)


class Measuring:
    """The step that measures the node for health, readiness and metrics."""

    def __init__(self, node: Node, condition: Condition) -> None:
        self._node = node
        self._condition = condition

    def step(self, now: datetime) -> datetime:
        """Measure; return when to measure again."""
        self._condition.measured(node_status(self._node), now)
        return now + MEASURE_INTERVAL


class Collecting:
    """The collector of witnesses' notes while this process leads; a new one whenever it begins to."""

    def __init__(self) -> None:
        self.collector: WitnessCollector | None = None

    def begin(self, collector: WitnessCollector | None) -> None:
        """Another one from now on."""
        self.close()
        self.collector = collector

    def want(self, block: int) -> None:
        """Somebody asks for a receipt from this block; who does not lead leaves it to who does."""
        if self.collector is not None:
            self.collector.want(block)

    def close(self) -> None:
        """Close its connections."""
        if self.collector is not None:
            self.collector.close()


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random: RandomSource = os.urandom,
    rates: Rates | None = None,
) -> RunningNode:
    """A node that is ready to be started, over what :func:`node_service.provisioning.initialise` made.

    Raises:
        Invalid: the profile does not allow these settings or keys, a file that they name cannot be used, or the node
            was never initialised.
        Conflict: the database was written by a newer version, or with other or newer keys than the data folder has.
        Unavailable: database, ledger, store or custody cannot be opened.
    """
    check_profile(settings)
    load_rules(settings.retention_path)
    trusted = read_authorities(settings.ca_file)
    clock = clock or SystemClock()
    migrate(settings)
    with ExitStack() as opened:
        questions = Questions(trusted=trusted)
        node, commits = _open(settings, clock, random, trusted, questions, opened)
        condition = Condition()
        exchange = _exchange_client(node)
        collecting = Collecting()
        opened.callback(collecting.close)
        own_receipts = _receipts(node, collecting, opened)
        app = create_app(node, condition, exchange, own_receipts, rates=rates, lifespan=_lifespan)
        failed = app.state.services.metrics.step_failed
        measuring = Worker("measuring", Measuring(node, condition), node.clock, node.database, failed)
        leading = _leading(node, commits, collecting, failed)
        listener = _listener(node.database, commits, leading, collecting)
        running = RunningNode(node, app, condition, exchange, questions, leading, measuring, listener, opened.pop_all())
        app.state.running = running
        return running


def migrate(settings: Settings) -> None:
    """Bring the node's database to the newest schema, after a look whether it is this node's.

    Raises:
        Invalid: the database is in use, and the data folder has no keys.
        Conflict: it was written by a newer version, or with other keys. Nothing was changed.
        Unavailable, Tampered: database or keyring cannot be used.
    """
    database = Database(settings.sqlalchemy_url)
    try:
        with database.rows() as connection:
            if is_in_use(connection):
                keyring = read_keyring(settings.data_dir / CUSTODY_FOLDER / KEYRING_FILE, Disk())
                verify_own_keys(connection, secrets.load(settings.data_dir), keyring.entries)
    finally:
        database.close()
    upgrade(settings.sqlalchemy_url)


def _open(
    settings: Settings,
    clock: Clock,
    random: RandomSource,
    trusted: ssl.SSLContext | None,
    questions: Questions,
    opened: ExitStack,
) -> tuple[Node, ProjectedCommits]:
    database = Database(settings.sqlalchemy_url)
    opened.callback(database.close)
    own, custody = secrets.load(settings.data_dir), open_custody(settings)
    with database.rows() as connection:
        verify_own_keys(connection, own, custody.key_ids)
        verify_secrets_are_newest(connection, custody)
    ledger = open_ledger(settings, clock, random)
    opened.callback(ledger.close)
    commits = ProjectedCommits(database)
    limits = Limits(
        ledger=CapacityLimiter(settings.ledger_threads),
        database=CapacityLimiter(settings.database_threads),
        crypto=CapacityLimiter(settings.crypto_threads),
    )
    node = Node(
        settings=settings,
        database=database,
        ledger=ledger,
        blobs=open_blobs(settings, clock, opened),
        custody=custody,
        secrets=own,
        clock=clock,
        random=random,
        commits=commits,
        voices=_witness_voices(settings, database, ledger, clock, random, limits, questions)
        if settings.freshness == "witnesses"
        else LedgerVoices(ledger, limits.ledger),
        limits=limits,
        hashing=opened.enter_context(ThreadPoolExecutor(HASHING_THREADS, "hashing")),
        trusted=trusted,
    )
    return node, commits


def open_ledger(settings: Settings, clock: Clock, random: RandomSource) -> EmbeddedLedger | FabricLedger:
    """The ledger that the settings name.

    Raises:
        Invalid: the folder holds no ledger, or the connection file is none or another hospital's.
        Tampered: what the node keeps of the chain was altered, or the founding block is another one.
        Unavailable: a file cannot be read.
    """
    if settings.fabric_connection is None:
        return EmbeddedLedger(settings.embedded_folder, settings.msp_id, clock, random)
    connection = Connection.read(settings.fabric_connection)
    if connection.msp != settings.msp_id:
        raise Invalid(
            "the connection file is another hospital's", reason="connection", place="YILIAN_FABRIC_CONNECTION"
        )
    return FabricLedger(connection, clock, random, settings.data_dir)


def open_blobs(settings: Settings, clock: Clock, opened: ExitStack) -> SealedStore:
    """The store, or the mirrored stores, that the settings name.

    Raises:
        Invalid: an address of Kubo's RPC is not safe, or the file of its token or authorities cannot be used.
        Unavailable, Tampered: a folder or an index cannot be opened.
    """
    trusted = read_authorities(settings.ipfs_ca_file, "YILIAN_IPFS_CA_FILE")
    try:
        token = read_token(Path(settings.ipfs_token_file) if settings.ipfs_token_file else None)
        return open_store(
            settings.stores, settings.data_dir, clock, opened, name=settings.msp_id, token=token,
            plain=settings.profile == "demo", trusted=trusted, quorum=settings.store_quorum,
        )  # fmt: skip
    except Invalid as error:
        place = "YILIAN_IPFS_TOKEN_FILE" if error.reason == "ipfs-token" else "YILIAN_STORES"
        raise Invalid(error.detail, reason=error.reason, place=place) from None


def open_custody(settings: Settings) -> FileKeyring:
    """The node's key custody, with its replica and escrow where the settings name them.

    Raises:
        Invalid: the replica's address is none.
        Unavailable, Tampered: it cannot be opened.
    """
    folder = settings.data_dir / CUSTODY_FOLDER
    replica = settings.custody_replica
    return FileKeyring(
        folder,
        mirror=RemoteMirror(parse_address(replica), folder / CHANNEL_FOLDER) if replica else None,
        escrow=Path(settings.custody_escrow_file) if settings.custody_escrow_file else None,
    )


def _witness_voices(
    settings: Settings,
    database: Database,
    ledger: Ledger,
    clock: Clock,
    random: RandomSource,
    limits: Limits,
    questions: Questions,
) -> WitnessVoices:
    def known() -> list[Witness]:
        with database.reading() as session:
            return other_witnesses(session, settings, instant(clock.now()))

    async def witnesses() -> list[Witness]:
        return await anyio.to_thread.run_sync(known, limiter=limits.database)

    return WitnessVoices(ledger.channel, witnesses, questions.ask, random)


def _follower(node: Node, commits: ProjectedCommits, failed: Callable[[str], None]) -> Worker:
    """Sleeps in the ledger, which knows best when a block comes."""
    follower = Follower(node.database, node.ledger, commits)

    def watch(seconds: float) -> None:
        height = follower.awaits
        if height is None:
            time.sleep(seconds)
        else:
            node.ledger.wait_for_block(height, seconds)

    return Worker("follower", follower, node.clock, node.database, failed, quiet=FOLLOWER_QUIET, watch=watch)


def _collector(node: Node) -> WitnessCollector | None:
    if not node.settings.witness_api_url:
        return None
    witness = _witness_at(node)
    return WitnessCollector(node, witness(node.settings.witness_api_url), witness)


def _receipts(node: Node, collecting: Collecting, opened: ExitStack) -> Receipts:
    kind = EmbeddedLedger.KIND if node.settings.fabric_connection is None else FabricLedger.KIND
    if not node.settings.witness_api_url:
        return Receipts(node, kind, None, lambda _block: None)
    own = _witness_at(node)(node.settings.witness_api_url)
    opened.callback(own.close)
    if not node.database.is_shared:
        return Receipts(node, kind, own, collecting.want)
    return Receipts(node, kind, own, lambda block: node.database.tell({WANTED: block}))


def _witness_at(node: Node) -> Callable[[str], WitnessClient]:
    return lambda url: WitnessClient(Transport(url, timeout_s=CALL_TIMEOUT_S, trusted=node.trusted))


def _leading(node: Node, commits: ProjectedCommits, collecting: Collecting, failed: Callable[[str], None]) -> Leading:
    """The background work, of one process at a time where several share the database."""

    def workers(database: Database) -> Iterator[Worker]:
        led = replace(node, database=database)
        yield _follower(led, commits, failed)
        collecting.begin(_collector(led))
        yield from _workers(led, collecting.collector, failed)

    return Leading(node.database, node.database.leader_lock(), workers)


def _listener(
    database: Database, commits: ProjectedCommits, leading: Leading, collecting: Collecting
) -> Listener | None:
    """Hears what other processes of the node commit, and for which blocks they want a checkpoint."""

    def heard(told: Mapping[str, Any] | None) -> None:
        commits.refresh()
        if told is None:
            return  # an idle node sleeps
        leading.wake()
        wanted = told.get(WANTED)
        if isinstance(wanted, int) and wanted < _projected(database):
            collecting.want(wanted)

    return database.listener(heard)


def _projected(database: Database) -> int:
    with database.reading() as session:
        return projection.height(session)


def _workers(node: Node, collector: WitnessCollector | None, failed: Callable[[str], None]) -> Iterator[Worker]:
    if collector is not None:
        watching = Worker(
            "witnesses", collector, node.clock, node.database, failed, quiet=COLLECTOR_QUIET, follows_commits=True
        )
        collector.wake = watching.wake
        yield watching
    for name, step in _steps(node).items():
        quiet = QUIET.get(name, timedelta())
        yield Worker(name, step, node.clock, node.database, failed, quiet=quiet, follows_commits=name in QUIET)


def _steps(node: Node) -> dict[str, Step]:
    snapshots = node.settings.custody_snapshot_dir
    return {
        "anchorer": Anchorer(node),
        "sequencer": Sequencer(node),
        "resubmitter": Resubmitter(node),
        "patient-wraps": PatientWraps(node),
        "enrolments": Enrolments(node),
        "one-use-keys": OneUseKeys(node),
        "collector": Collector(node),
        "uploads": Expiry(node),
        "scrubber": Scrubber(node),
        "stores": Settling(node),
        "remover": Remover(node),
        "case-keeper": CaseKeeper(node),
        "notifier": Notifier(node, lambda: _telling(node)),
        "corrections": Corrections(node),
        "rekeying": Rekeying(node),
        **({"snapshots": Snapshots(node, Path(snapshots))} if snapshots else {}),
    }


def _exchange_client(node: Node) -> ExchangeClient:
    async def address(msp_id: str) -> str:
        return await node.in_database(node_address, node, msp_id)

    return _client_to(node, address)


@asynccontextmanager
async def _telling(node: Node) -> AsyncIterator[ExchangeClient]:
    """A client for background work, in a thread and on an event loop of its own: connections belong to one loop."""

    async def address(msp_id: str) -> str:
        return node_address(node, msp_id)

    client = _client_to(node, address)
    try:
        yield client
    finally:
        await client.close()


def _client_to(node: Node, address: Address) -> ExchangeClient:
    return ExchangeClient(
        node.msp_id,
        organization_keys.signing_kid(node.secrets),
        lambda message: organization_keys.sign(node.secrets, message),
        address,
        now_s=lambda: node.clock.now().timestamp(),
        trusted=node.trusted,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Background work lives as long as the application is served."""
    running = app.state.running
    if not isinstance(running, RunningNode):
        raise Invalid("the application is not of a running node", reason="composition")
    running.start()
    try:
        yield
    finally:
        await running.exchange.close()
        await running.questions.close()
        running.stop()
