"""What must hold after every fault, checked against the hospitals' files and an untouched peer.

(a) No acknowledged write is lost, nothing is doubled. (b) Nothing was served without a durable entry. (c) Nobody read
what was revoked. (d) Receipts verify against an untouched peer. (e) No backlog a minute after the fault. (f) Nothing
readable is on any disk.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from domain import jcs
from domain.errors import Unavailable
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.receipt_form import Members, parse_receipt
from domain.receipts import VerifiedReceipt, verify_receipt
from domain.transactions import Anchor, parse
from network.blocks.block import parse_block
from network.fabric.connection import Connection
from network.fabric.raw_blocks import PeerBlocks, open_blocks
from network.verifier.chain import ChainVerifier
from network.verifier.content import Item, passed_over, unlisted
from network.verifier.folder import read_blocks
from network.verifier.report import VerifiedBlock
from tests.canaries import found_in
from tests.fabric.faults.consortium import HOME, RESOURCES, Consortium, People
from tests.fabric.faults.facts import Facts
from tests.fabric.faults.load import Load
from tests.faults.node.wholeness import check_node, waiting_writes
from yilian.audit_query import AuditFilter, AuditRow, rows_of
from yilian.contract_versions import CONTRACT, contract_replayer, genesis_digest
from yilian.fabric_export import export_channel
from yilian.registry_members import Registry

EMPTY_WITHIN_S: Final = 60.0
LEVEL_TIMEOUT_S: Final = 60.0
RECEIPTS: Final = 5
_POLL_S: Final = 0.2
_T = TypeVar("_T")


@dataclass
class Story:
    """What a peer's blocks tell, each verified and executed again.

    Attributes:
        verifier: goes on where it was.
    """

    verifier: ChainVerifier = field(repr=False)
    rows: list[AuditRow] = field(default_factory=list)
    headers: dict[int, str] = field(default_factory=dict)
    registry: Registry = field(default_factory=lambda: Registry(CONTRACT))
    unlisted: list[Item] = field(default_factory=list)
    passed_over: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, genesis: str) -> Story:
        """Nothing yet, of the chain that begins with this block."""
        return cls(ChainVerifier(expected_genesis=genesis_digest(genesis), replay=contract_replayer()))

    def read(self, folder: Path) -> None:
        """The blocks of an export that are new; every rule is checked."""
        for raw in islice(read_blocks(folder), self.verifier.height, None):
            self._add(self.verifier.add(raw))
        assert self.verifier.report().replayed > 0

    def _add(self, block: VerifiedBlock) -> None:
        self.rows += rows_of(block, CONTRACT)
        self.headers[block.number] = encode_bytes(block.header_hash)
        self.registry.take(block)
        self.unlisted += unlisted(block, CONTRACT)
        self.passed_over |= set(passed_over(block))

    def members(self, channel: str, ledger: str = "fabric") -> Members:
        """Whose witnesses sign, as this peer tells."""
        return self.registry.members(channel, ledger, instant(datetime.now(UTC)))


def check(consortium: Consortium, facts: Facts, story: Story) -> None:
    """Claims (a) to (d), once the backlog is empty.

    Args:
        story: of the peer of a hospital that no fault struck, as it is now.
    """
    assert facts.findings == []
    check_peers_agree(consortium)
    check_committed_once(facts, story)
    check_stored_once(consortium, facts)
    check_entries(consortium, facts)
    check_nobody_reads(consortium, facts)
    check_receipts(consortium, facts, story, story.members(consortium.fabric.topology.channel))
    check_nobody_cries_wolf(consortium)
    check_node(consortium.actors.home)


def check_backlog(consortium: People, healed: float) -> float:
    """(e) A minute after the fault everything stored is anchored and witnessed, and no write waits.

    Args:
        healed: when the fault was over (monotonic seconds).

    Returns:
        The seconds that it took.
    """
    while True:
        left = _backlog(consortium)
        if not left:
            return time.monotonic() - healed
        assert time.monotonic() < healed + EMPTY_WITHIN_S, f"still waiting after {EMPTY_WITHIN_S:.0f} s: {left}"
        time.sleep(_POLL_S)


def _backlog(consortium: People) -> dict[str, int]:
    try:
        status = consortium.actors.archive.status()
    except Unavailable:
        return {"status": 1}
    waiting = {hospital.msp_id: waiting_writes(hospital) for hospital in consortium.hospitals}
    waiting |= {
        "outbox": status.outbox, "unsequenced": status.unsequenced,
        "anchored": status.records - status.anchored, "witnessed": status.records - status.witnessed,
    }  # fmt: skip
    return {name: count for name, count in waiting.items() if count}


def read_story(consortium: Consortium, folder: Path, untouched: str, story: Story | None = None) -> Story:
    """The untouched peer's chain, every rule checked.

    Args:
        folder: new, or where the same peer's ``story`` was read from, which then goes on; the peer still has to have
            the bytes of all blocks before.
        untouched: MSP id of a hospital.
    """
    story = story or Story.begin(consortium.ground.genesis)
    export_channel(consortium.fabric.connection_file(untouched), folder)
    story.read(folder)
    return story


def check_peers_agree(consortium: Consortium) -> None:
    """(a) All peers have the same blocks with the same validation codes, so what one has is on every one."""
    connections = [
        Connection.read(consortium.fabric.connection_file(item.msp))
        for item in consortium.fabric.topology.organizations
    ]
    chains = []
    for connection in connections:
        with closing(open_blocks(connection)) as peer:
            chains.append(_chain(peer))
    shortest = min(map(len, chains))
    assert len({tuple(chain[:shortest]) for chain in chains}) == 1
    height = max(map(len, chains))
    for connection in connections:
        with closing(open_blocks(connection)) as peer:
            assert peer.wait_for_block(height - 1, LEVEL_TIMEOUT_S), f"the peer of {connection.msp} is behind"


def _chain(peer: PeerBlocks) -> list[tuple[bytes, bytes]]:
    blocks = map(parse_block, peer.blocks(0))
    return [(block.header.hash(), block.validation_codes) for block in blocks]


def check_committed_once(facts: Facts, story: Story) -> None:
    """(a) What was acknowledged as committed is valid, and wrote once: a repetition of it changes nothing."""
    valid = {row.tx_id: row for row in story.rows if row.code == "VALID"}
    assert set(facts.committed) <= set(valid)
    for tx_id, written in facts.committed.items():
        assert AuditFilter(mentions=written).matches(valid[tx_id])
    writes = Counter((row.name, jcs.canonical(row.arguments)) for row in valid.values() if row.keys)
    if facts.ended:  # people have been at work
        counted = {name for name, _ in writes}
        assert {"OpenAccess", "RequestAccess", "AuthorizeAccess", "RevokeAccess", "Anchor"} <= counted
    assert [name for (name, _), times in writes.items() if times > 1] == []


def check_stored_once(consortium: People, facts: Facts) -> None:
    """(a) Every Bundle is there with its records, once; :func:`check_node` and the backlog tell of the log."""
    records = [record for stored in facts.stored.values() for record in stored]
    assert len(set(records)) == len(records)
    people = consortium.actors.patients()
    assert {person.records for person in people} == {RESOURCES}
    assert len(people) == len(facts.stored) + 1
    assert consortium.actors.archive.status().records == RESOURCES * len(people)


def check_entries(consortium: People, facts: Facts) -> None:
    """(b) Each release that a reader got has a row of its own in the custodian's log, which the patient sees."""
    rows = Counter(
        (entry.row.access or "", record)
        for entry in consortium.wallet.accesses(HOME)
        for record in entry.row.records
        if entry.row.outcome == "ok"
    )
    served = Counter((access, record) for access, records in facts.served for record in records)
    assert not served - rows, "something was served without an entry"


def check_nobody_reads(consortium: People, facts: Facts) -> None:
    """(c) What was revoked is refused now, too."""
    people = Load(consortium, facts)
    for ended in facts.ended:
        people.try_ended(ended)


def check_receipts(consortium: People, facts: Facts, story: Story, members: Members) -> None:
    """(d) Receipts verify with nothing but what the untouched peer told, and name blocks that it has.

    Of the oldest and the newest records, and of the oldest and the newest rows of the custodian's access log.
    """
    auditor, stored = consortium.auditor, [facts.stored[number] for number in sorted(facts.stored)]
    first = [records[0] for records in stored if records]
    assert first or not facts.ended
    for record in _ends(first):
        verified = _verified(partial(auditor.receipt, "record", record), story, members)
        assert f'"{record}"' in str(verified.proven.leaf)
    anchored = _anchored(story)
    for index in _ends(range(anchored.access.size)):
        verified = _verified(partial(auditor.access_row_receipt, anchored.incarnation, index), story, members)
        assert '"actor"' in str(verified.proven.leaf)


def _anchored(story: Story) -> Anchor:
    """What the custodian anchored last."""
    anchors = [row for row in story.rows if (row.name, row.organisation, row.code) == ("Anchor", HOME, "VALID")]
    newest = parse("Anchor", jcs.canonical(anchors[-1].arguments))
    assert isinstance(newest, Anchor)
    return newest


def _ends(items: Sequence[_T]) -> list[_T]:
    """The first and the last ones, each once."""
    return list(dict.fromkeys((*items[:RECEIPTS], *items[-RECEIPTS:])))


def _verified(fetch: Callable[[], bytes], story: Story, members: Members) -> VerifiedReceipt:
    """Asked for until witnesses have signed what is newest."""
    deadline = time.monotonic() + LEVEL_TIMEOUT_S
    while True:
        try:
            verified = verify_receipt(parse_receipt(fetch()), members)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
        else:
            assert story.headers[verified.block] == verified.header_hash
            return verified


def check_nobody_cries_wolf(consortium: Consortium) -> None:
    """No witness raises an alarm over what was only a crash, and no node does."""
    witnesses = [hospital.witness for hospital in consortium.hospitals if hospital.witness is not None]
    assert [witness.alarm() for witness in witnesses] == [None] * len(consortium.hospitals)


def check_nothing_readable(consortium: Consortium, canary: str) -> None:
    """(f) No file of any process holds a word of a record, in any usual spelling; the search finds a control."""
    folder, control = consortium.actors.network.folder, "control-Zyzzogeton-control"
    planted = folder / "control"
    planted.write_text(f"…{control}…")
    assert found_in(folder, [canary, control]) == [f"{planted.name}: text 1"]
    planted.unlink()
