"""A consortium in one process: hospitals, wallets and staff under faults; what must hold is checked on the way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from domain.errors import OutcomeUnknown, Tampered, Unavailable, YilianError
from domain.identifiers import decode_bytes
from domain.instants import instant
from domain.transactions import RegisterOrganization, encode
from network.embedded.founding import init
from network.embedded.ledger import EmbeddedLedger
from node_service.access_log import fsck
from node_service.client import exchange_wire
from node_service.client.receipt_wire import EffectiveWord
from node_service.organization_keys import published_keys
from node_service.records.evidence import leaves_and_paths
from node_service.records.reading import open_version
from node_service.sharing import objects
from patient_wallet.erasure import ShownCase
from tests.scenario.actors import cheap_passphrases
from tests.simulation import endings, files
from tests.simulation.faults import LIKELIHOODS, Faults
from tests.simulation.hospital import Hospital, SimulatedClock
from tests.simulation.messages import Call, Moment, SimulatedExchange, Wires, telling
from tests.simulation.network import Network
from tests.simulation.oracle import Facts, Oracle
from tests.simulation.scheduler import Scheduler
from tests.simulation.virtual import without_threads

MEMBERS: Final = ("RenjiMSP", "HuashanMSP", "RuijinMSP")
CLOCKS: Final = tuple(
    timedelta(**wrong)
    for wrong in ({"minutes": 14}, {"minutes": -14}, {"hours": 2}, {"hours": -2}, {"days": 8}, {"seconds": 0})
)
BACKLOG_WITHIN_S: Final = 60.0
Value = TypeVar("Value")


@dataclass
class Written:
    """A resource that somebody handed to a hospital; ``record`` once it was acknowledged.

    ``again``: it is sent until there is an answer, so that in the end it is there exactly once.
    """

    hospital: str
    canary: str
    resource_type: str
    record: str | None = None
    again: bool = True


class World:
    """One run.

    Args:
        folder: empty; everything durable lies under it.
        seed: chooses everything that happens.
        allowed: kinds of faults that may strike.
    """

    def __init__(self, folder: Path, seed: int, *, allowed: tuple[str, ...] = tuple(LIKELIHOODS)) -> None:
        self.folder, self.seed = folder, seed
        self.scheduler = Scheduler(seed)
        self.faults = Faults(seed, allowed=allowed)
        self.chance = random.Random(f"actors {seed}")  # noqa: S311 - repeatable on purpose
        self.findings: list[str] = []
        self.oracle = Oracle()
        self.served: Counter[tuple[str, str, str, str]] = Counter()
        self.written: dict[str, Written] = {}
        self.damaged: set[str] = set()
        self.closed: dict[str, float] = {}
        self.may_go: set[str] = set()
        self.types: dict[str, str] = {}
        self.facts: dict[str, Facts] = {}
        self.wraps: dict[str, endings.Wraps] = {}
        init(folder / "ledger", "yilian", list(MEMBERS), clock=SimulatedClock(self.scheduler), random=self._bytes())
        orderer = EmbeddedLedger(folder / "ledger", MEMBERS[0], SimulatedClock(self.scheduler), self._bytes())
        self.network = Network(self.scheduler, self.faults, orderer, MEMBERS)
        self.hospitals = {msp_id: self._hospital(msp_id) for msp_id in MEMBERS}
        self.network.grown = lambda msp_id: self.hospitals[msp_id].grown()
        self.wires = Wires(self.scheduler, self.faults, self._served, self.network.witnessed)
        for hospital in self.hospitals.values():
            exchange = SimulatedExchange(self.wires, hospital.msp_id, self.hospitals)
            hospital.telling = partial(telling, exchange)
            hospital.found()
            hospital.start()
            keys = published_keys(hospital.node.secrets, hospital.clock.now())
            hospital.node.ledger.submit(*encode(RegisterOrganization(hospital.url, keys)))
        self.scheduler.run(1.0)

    def _bytes(self) -> Callable[[int], bytes]:
        return random.Random(f"bytes {self.seed}").randbytes  # noqa: S311 - repeatable on purpose

    def _hospital(self, msp_id: str) -> Hospital:
        chance = random.Random(f"{msp_id} {self.seed}")  # noqa: S311 - repeatable on purpose
        return Hospital(
            msp_id, self.folder / msp_id, self.folder / "ledger", self.scheduler, self.faults, self.network,
            self.findings, chance,
        )  # fmt: skip

    # --- Trouble ----------------------------------------------------------------------------------------------------

    def trouble(self) -> None:
        """Restarts what crashed; sets clocks wrong and right again."""
        while True:
            self.scheduler.pause(self.chance.uniform(0.2, 3.0))
            for hospital in self.hospitals.values():
                if not hospital.up:
                    self._restart(hospital)
            if self.faults.active and self.chance.random() < 0.15:
                hospital = self.hospitals[self.chance.choice(MEMBERS)]
                hospital.clock.wrong = self.chance.choice(CLOCKS)
                self.scheduler.note(f"clock of {hospital.msp_id} wrong by {hospital.clock.wrong}")

    def _restart(self, hospital: Hospital) -> None:
        hospital.close()
        try:
            hospital.start()
            self.scheduler.note(f"start of {hospital.msp_id}")
        except Unavailable as error:
            self.scheduler.note(f"no start of {hospital.msp_id}: {error.reason}")

    def calm(self) -> None:
        """The faults are over: clocks are right, everything runs."""
        self.faults.active = False
        for hospital in self.hospitals.values():
            hospital.clock.wrong = timedelta()
            if not hospital.up:
                self._restart(hospital)

    def attempt(self, what: str, call: Callable[[], Value]) -> Value | None:
        """Something a person does; None where it was refused or nobody answered."""
        try:
            return call()
        except (Unavailable, OutcomeUnknown):
            return None
        except Tampered as error:
            if not self.damaged:
                self.findings.append(f"{what}: Tampered {error.reason} {error}")
            return None
        except YilianError as error:
            self.scheduler.note(f"{what} refused: {type(error).__name__} {error.reason}")
            return None

    # --- What must hold at every answer -----------------------------------------------------------------------------

    def _served(self, hospital: Hospital, call: Call, result: object, asked: Moment) -> None:
        """A hospital has answered: whatever left it was allowed, and a durable row says so."""
        self._follow()
        if isinstance(result, EffectiveWord):
            self.oracle.effective.setdefault(call.place.split("/")[1], self.scheduler.now)
        if isinstance(result, exchange_wire.Released) and isinstance(call.body, exchange_wire.ExchangeRelease):
            self._check_released(hospital, call, call.body, result, asked)
        if isinstance(result, bytes) and isinstance(call.body, objects.RangeRequest):
            self._check_range(hospital, call, call.body, result, asked)

    def remember(self, hospital: Hospital) -> None:
        """What is known of a hospital's records before any of them is erased: their facts and wraps."""
        known = files.types_of(hospital.folder)
        self.types.update(known)
        for record in known:
            if record not in self.facts:
                self.facts[record] = files.facts(hospital.folder, record)
        self.wraps.setdefault(hospital.msp_id, {}).update(files.wraps(hospital.folder))

    def _facts(self, hospital: Hospital, record: str) -> Facts:
        """As it was filed; an erasure blanks the row."""
        found = files.facts(hospital.folder, record)
        return found if found.category else self.facts.get(record, found)

    def _check_range(
        self, hospital: Hospital, call: Call, body: objects.RangeRequest, data: bytes, asked: Moment
    ) -> None:
        """A range is decided like a whole record, and some row of the opening names the record."""
        digest = decode_bytes(body.digest, "digest").hex()
        logged = set(files.logged(hospital.folder, body.access, ("release", "break-glass")))
        now, whys = instant(hospital.clock.now()), list[str | None]()
        for record in files.holders(hospital.folder, digest):
            facts = self._facts(hospital, record)
            why = self.oracle.refuses(call.caller, body.access, facts.patient or "", facts, asked, now)
            whys.append(why or ("no row names it" if record not in logged else self._closed(record, asked)))
        if data and None not in whys:
            self.findings.append(f"a range of {digest} left though {whys}: to {call.caller}")
        stored = files.part(hospital.folder, digest, body.offset, body.length)
        if stored is not None and stored != data:
            self.findings.append(f"a range of {digest} with other bytes than stored")

    def _closed(self, record: str, asked: Moment) -> str | None:
        """Where the hospital had acknowledged a retraction or a lock before it was asked."""
        return "it was closed" if self.closed.get(record, asked.at_s) < asked.at_s else None

    def _check_released(
        self,
        hospital: Hospital,
        call: Call,
        body: exchange_wire.ExchangeRelease,
        released: exchange_wire.Released,
        asked: Moment,
    ) -> None:
        now, records = instant(hospital.clock.now()), [one.entry.record for one in released.items]
        for record in records:
            facts = self._facts(hospital, record)
            why = self.oracle.refuses(call.caller, body.opening.access, body.opening.patient, facts, asked, now)
            why = why or self._closed(record, asked)
            if why is not None:
                self.findings.append(f"released though {why}: {record} to {call.caller}")
        logged = set(files.logged(hospital.folder, body.opening.access, ("release", "break-glass")))
        if not set(records) <= logged:
            self.findings.append(f"released without a row: {set(records) - logged}")

    def own_read(self, hospital: Hospital, actor: str, record: str, content: bytes) -> None:
        """The own hospital's staff was shown a record."""
        key = (hospital.msp_id, actor, record, "read")
        self.served[key] += 1
        rows = files.rows_of(hospital.folder, actor, record)
        if rows < self.served[key]:
            self.findings.append(f"read {self.served[key]} times, logged {rows} times: {record}")
        self.shown(record, content)

    def shown(self, record: str, content: bytes) -> None:
        """Content that reached a person is what was written under that id."""
        known = next((one for one in self.written.values() if one.record == record), None)
        if known is not None and known.canary.encode() not in content:
            self.findings.append(f"other content than was written: {record}")

    def certified(self, hospital: Hospital, cases: Sequence[ShownCase], troubled: bool) -> None:
        """A wallet was shown cases: certificates verify, and say what the ledger says.

        While a hospital's clock stands before the keys of all others it tells of members without keys.
        """
        self._follow()
        erased = self.oracle.ended(hospital.msp_id, "EraseRecord")
        for shown in cases:
            if shown.problem is not None and not (troubled and shown.problem.reason == "members-differ"):
                self.findings.append(f"certificate of {shown.case.id}: {shown.problem.reason}")
            for one in shown.certificate.erased if shown.certificate else ():
                told = {(by.msp_id, hospital.msp_id, one.record) for by in one.attested}
                if one.record not in erased or not told <= self.oracle.attested:
                    self.findings.append(f"the certificate of {shown.case.id} says what is not so: {one.record}")

    def _follow(self) -> None:
        self.oracle.follow(self.network.blocks(self.oracle.height))

    # --- What must hold at the end ----------------------------------------------------------------------------------

    def is_settled(self) -> bool:
        """Whether nothing waits anywhere."""
        return not any(any(files.backlog(one.folder, one.msp_id).values()) for one in self.hospitals.values())

    def check(self) -> None:
        """Nothing acknowledged is lost or doubled; everything is anchored, proven, logged, sealed."""
        self._follow()
        self.findings += self.oracle.violations
        for hospital in self.hospitals.values():
            self._check_backlog(hospital)
            self._check_endings(hospital)
            self._check_records(hospital)
            self._check_logs(hospital)
        self._check_sealed()

    def _check_backlog(self, hospital: Hospital) -> None:
        for what, count in files.backlog(hospital.folder, hospital.msp_id).items():
            if count:
                self.findings.append(f"{count} {what} wait at {hospital.msp_id}")
        if not self.damaged and (standing := files.alarms(hospital.folder)):
            self.findings.append(f"alarms at {hospital.msp_id}: {standing}")

    def _check_endings(self, hospital: Hospital) -> None:
        wraps = self.wraps.get(hospital.msp_id, {})
        self.findings += endings.erasures(hospital, self.oracle, wraps, self.may_go)
        self.findings += endings.store(hospital)
        for record in sorted(self.oracle.ended(hospital.msp_id, "EraseRecord")):
            self.findings += endings.attestations(self.oracle, hospital.msp_id, self.hospitals, record)

    def _check_records(self, hospital: Hospital) -> None:
        mine = [one for one in self.written.values() if one.hospital == hospital.msp_id]
        held, gone = files.versions(hospital.folder), files.gone(hospital.folder)
        for one in mine:
            if one.record is not None and one.record not in held:
                self.findings.append(f"acknowledged and lost: {one.canary} at {hospital.msp_id}")
        expected = Counter(one.resource_type for one in mine)
        types = {record: self.types.get(record, "") for record in gone} | files.types_of(hospital.folder)
        found = Counter(types.values())
        for resource_type, most in expected.items():
            least = sum(one.again or one.record is not None for one in mine if one.resource_type == resource_type)
            if not least <= found[resource_type] <= most:
                self.findings.append(f"{least} to {most} {resource_type} written, {found[resource_type]} held")
        self._check_paths(hospital, sorted(held))
        for one in mine:
            if one.record is not None and one.record in held - gone and one.record not in self.damaged:
                opened = open_version(hospital.node, one.record)
                if one.canary.encode() not in opened.content:
                    self.findings.append(f"other content than was written: {one.record}")

    def _check_paths(self, hospital: Hospital, records: list[str]) -> None:
        with hospital.node.database.reading() as session:
            evidence = leaves_and_paths(hospital.node, session, [(record, 1) for record in records])
        for (record, _), (leaf, path) in evidence.items():
            if path is None:
                self.findings.append(f"not anchored: {record} at {hospital.msp_id}")
                continue
            root = self.oracle.heads.get((hospital.msp_id, path.incarnation, "records", path.size))
            try:
                files.verify_path(leaf, path, root)
            except YilianError as error:
                self.findings.append(f"{record}: {error}")

    def _check_logs(self, hospital: Hospital) -> None:
        for finding in fsck.check(hospital.node).findings:
            self.findings.append(f"fsck of {hospital.msp_id}: {finding}")

    def _check_sealed(self) -> None:
        for found in files.plaintext(self.folder, b"canary-"):
            self.findings.append(f"plaintext on disk: {found}")

    def close(self) -> None:
        """End every thread and let go of the files."""
        for hospital in self.hospitals.values():
            self.scheduler.end(hospital.process)
            hospital.close()
        self.scheduler.end(self.scheduler.network)
        self.network.close()


@contextmanager
def world(folder: Path, seed: int, *, allowed: tuple[str, ...] = tuple(LIKELIHOODS)) -> Iterator[World]:
    """A consortium that has begun; closed at the end."""
    with cheap_passphrases():
        made = World(folder, seed, allowed=allowed)
        with without_threads(made.scheduler):
            try:
                yield made
            finally:
                made.close()
