"""The story, step by step; each step checks what it promises."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

from domain.errors import Conflict, Denied, NotFound, Tampered, Unavailable, YilianError
from domain.identifiers import decode_bytes, identifier
from domain.instants import instant
from domain.vocabulary import CATEGORIES
from network.verifier.report import VerifiedBlock
from node_service.client import wire
from node_service.client.node_client import StaffClient
from node_service.client.shared_client import SharedClient
from node_service.client.transport import Transport
from patient_wallet.drafts import GrantChoice
from patient_wallet.hospitals import Connect
from patient_wallet.seeding import create_wallet
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from yilian.audit_export import verify_folder
from yilian.audit_query import rows_of
from yilian.contract_versions import CONTRACT
from yilian.demo.network import Hospital, Person
from yilian.demo.report import Report, StepFailed, check
from yilian.ingestion import Feed

ANCHOR_TIMEOUT_S: Final = 60.0
WRAPS_TIMEOUT_S: Final = 30.0
SHORTLY_S: Final = 60.0
HEALED_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.05
_SHORTLY: Final = ("no-witness", "not-fresh", "projection-behind", "changed")
Read = TypeVar("Read")


@dataclass(slots=True)
class Cast:
    """Who plays: the hospitals, their people, the patient."""

    custodian: Hospital
    reader: Hospital
    third: Hospital
    records: Person
    registrar: Person
    house_doctor: Person
    doctor: Person
    privacy_custodian: Person
    privacy_reader: Person
    wallet: Wallet = field(repr=False)
    patient: str = ""
    grant: str = ""
    access: str = ""
    chart: list[wire.SharedRecord] = field(default_factory=list, repr=False)

    @property
    def shared(self) -> SharedClient:
        """The doctor's view of other hospitals."""
        return SharedClient(self.doctor.client)


class Stage(Protocol):
    """Where the story happens: three hospitals that run over one ledger, a folder to work in."""

    @property
    def folder(self) -> Path: ...

    @property
    def hospitals(self) -> Sequence[Hospital]: ...

    @property
    def genesis(self) -> str:
        """Header hash of block 0, in hex."""

    @property
    def place(self) -> str:
        """Where the ledger is, for people."""

    def export(self, folder: Path) -> int:
        """Export all blocks, as an auditor does; give their number."""

    def connect(self, url: str) -> Transport:
        """How a wallet reaches the hospital of a public address."""


def hire(network: Stage, reach: Connect | None = None) -> Cast:
    """Open the accounts and make the wallet; ``reach`` is how it reaches a hospital, by default as the stage says."""
    custodian, reader, third = network.hospitals
    vault = Vault.create(network.folder / "wallet.json", os.urandom(16).hex())
    create_wallet(vault, "chinese_simplified", os.urandom)
    return Cast(
        custodian, reader, third,
        records=custodian.employ("records", "周明 病案室", "medical-records"),
        registrar=custodian.employ("registrar", "吴丽 登记处", "registrar"),
        house_doctor=custodian.employ("house-doctor", "郑洁 内科", "clinician", department="内科"),
        doctor=reader.employ("doctor", "陈华 急诊科", "clinician", department="急诊科"),
        privacy_custodian=custodian.employ("privacy", "孙宁 隐私办", "privacy-officer"),
        privacy_reader=reader.employ("privacy", "何平 隐私办", "privacy-officer"),
        wallet=Wallet(vault, reach or network.connect, os.urandom, lambda: datetime.now(UTC)),
    )  # fmt: skip


def ingest(report: Report, cast: Cast, data: Path) -> None:
    """All FHIR goes in unclaimed, then the images, the first series for the person with the most records."""
    client = cast.records.client
    with report.console.status("") as status:
        feed = Feed(client, os.urandom)
        summary = feed.files([data], status.update, series=False)
        cast.patient = _person_with_most_records(client)
        first = Feed(client, os.urandom, patient=cast.patient)
        for number, (item, path) in enumerate(feed.series([data])):
            (first if number == 0 else feed).item(item, path, summary)
            status.update(item.source)
    report.ingested = summary
    check(bool(summary.stored), "nothing was stored")
    _wait_anchored(cast, report)
    report.say(
        f"{report.records} records ({summary.dicom_instances} images) stored and anchored, "
        f"{len(summary.skipped)} files skipped, {len(summary.refused)} refused",
        f"{report.records} 份病历（{summary.dicom_instances} 幅影像）已加密存储并上链锚定，"
        f"跳过 {len(summary.skipped)} 个文件，拒绝 {len(summary.refused)} 个",
    )


def enrol(report: Report, cast: Cast) -> None:
    """The person with the most records gets a code at the counter and enrols the wallet."""
    issued = cast.registrar.client.issue_enrolment_code(cast.patient)
    registration = cast.wallet.enrol(cast.custodian.public_url, issued.code)
    check(registration.patient == cast.patient, "the wallet was enrolled for somebody else")
    own = list(cast.wallet.records(cast.custodian.msp_id))
    _wait_own_key(cast, own[-1].record)
    report.say(
        f"the wallet sees {len(own)} records and opens them with its own key",
        f"钱包看到 {len(own)} 份病历，并用自己的密钥打开",
    )


def refuse_stranger(report: Report, cast: Cast) -> None:
    """A doctor elsewhere gets nothing without a grant."""
    try:
        cast.shared.open_access(cast.patient, identifier(os.urandom(16)), "TREAT")
    except (NotFound, Denied) as refusal:
        report.say(f"refused: {refusal.detail}", f"已拒绝：{refusal.detail}")
        return
    check(False, "an access was opened without a grant")


def request(report: Report, cast: Cast) -> str:
    """The doctor asks; the request is sealed to the wallet."""
    card = cast.wallet.registration(cast.custodian.msp_id).card
    body = wire.AccessRequest(
        card=card, purpose="TREAT", categories=sorted(CATEGORIES), message="急诊就诊，需要既往病史 / history needed"
    )
    done = cast.shared.request_access(body)
    found = [item for item in cast.wallet.requests(cast.custodian.msp_id) if item.id == done.id]
    check(len(found) == 1, "the wallet did not get the request")
    content = found[0].content
    if content is None:
        raise StepFailed("the wallet cannot open the request")
    report.say(
        f"the wallet reads: {content.reader.name}, {content.requester}: {content.message}",
        f"钱包读到：{content.reader.name}，{content.requester}：{content.message}",
    )
    return done.id


def preview(report: Report, cast: Cast, request_id: str) -> tuple[GrantChoice, wire.Preview]:
    """One record is withheld, everything else up to today is for the doctor; the wallet shows what that means."""
    home = cast.custodian.msp_id
    entries = cast.wallet.records(home)
    withheld = next(entry for entry in entries if entry.resource_type not in ("Patient", "ImagingSeries"))
    choice = GrantChoice(
        grantee=cast.reader.msp_id, practitioner=cast.doctor.member.id, request=request_id,
        withheld=(f"{withheld.resource_type}/{withheld.record}",),
    )  # fmt: skip
    seen = cast.wallet.preview(home, choice)
    check(withheld.record not in seen.released, "a withheld record is in the preview")
    check(seen.withheld >= 1, "the preview does not count what is withheld")
    report.say(
        f"the doctor would see {len(seen.released)} records, {seen.withheld} withheld by you",
        f"医生将看到 {len(seen.released)} 份病历，你保留了 {seen.withheld} 份",
    )
    return choice, seen


def grant(report: Report, cast: Cast, choice: GrantChoice) -> None:
    """The wallet signs; the ledger has it; a person at the reader's confirms whose records these are."""
    granted = cast.wallet.grant(cast.custodian.msp_id, choice, cast.reader.public_url)
    check(granted.delivered, "the grant did not reach the reader")
    cast.grant = granted.id
    cast.shared.confirm_match(granted.patient, granted.id, None)
    report.say(f"grant {granted.id} is in block {granted.block}", f"授权 {granted.id} 已写入区块 {granted.block}")


def read_shared(report: Report, cast: Cast, choice: GrantChoice, seen: wire.Preview) -> None:
    """The doctor pulls, opens and verifies; the bytes are the custodian's, and just those that were previewed."""
    started = time.monotonic()
    cast.access = until_fresh(lambda: cast.shared.open_access(cast.patient, cast.grant, "TREAT")).id
    cast.chart = until_fresh(lambda: cast.shared.chart(cast.access)).items
    own = [item for item in cast.chart if item.entry.kind == "patient"]
    released = {item.entry.record for item in own}
    check(released == set(seen.released), "what was released is not what was previewed")
    withheld = {reference.partition("/")[2] for reference in choice.withheld}
    check(not withheld & {item.entry.record for item in cast.chart}, "a withheld record was released")
    for item in [item for item in own if not item.members][:20]:
        at_home = cast.house_doctor.client.record_content(item.entry.record)
        check(
            at_home == decode_bytes(item.content, "content", max_length=1 << 30),
            "the bytes differ from the custodian's",
        )
    images = _read_series(cast, own)
    seconds = time.monotonic() - started
    report.say(
        f"{len(cast.chart)} records and {images} images pulled, verified, opened in {seconds:.1f} s",
        f"{seconds:.1f} 秒内取得、验证并打开 {len(cast.chart)} 份病历和 {images} 幅影像",
    )


def _read_series(cast: Cast, chart: list[wire.SharedRecord]) -> int:
    count = 0
    for series in [item.entry.record for item in chart if item.members]:
        for member in until_fresh(lambda: cast.shared.members(cast.access, series)):  # noqa: B023 - called at once
            there = until_fresh(lambda: _digest(cast.shared.member(cast.access, series, member.object_id)))  # noqa: B023
            here = _digest(cast.house_doctor.client.record_member(series, member.object_id))
            check(there == here, "an image differs from the custodian's")
            count += 1
    return count


def _digest(pieces: Iterable[bytes]) -> bytes:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.digest()


def until_fresh(read: Callable[[], Read]) -> Read:
    """Do as a doctor does who is told to try again shortly: on a busy machine a witness may be slow to answer."""
    deadline = time.monotonic() + SHORTLY_S
    while True:
        try:
            return read()
        except Unavailable as error:
            if error.reason not in _SHORTLY or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)


def who_read(report: Report, cast: Cast) -> None:
    """The wallet lists who read what."""
    foreign = [item for item in cast.wallet.accesses(cast.custodian.msp_id) if item.row.access == cast.access]
    released = {record for item in foreign if item.row.outcome == "ok" for record in item.row.records}
    check({item.entry.record for item in cast.chart} <= released, "a release is missing in the patient's list")
    readers = {item.reader.name for item in foreign if item.reader}
    check(bool(readers), "the patient does not learn who read")
    name = ", ".join(sorted(readers))
    report.say(
        f"{name} of {cast.reader.msp_id} read {len(released)} records",
        f"{cast.reader.msp_id} 的 {name} 读取了 {len(released)} 份病历",
    )


def break_glass(report: Report, cast: Cast) -> None:
    """Without a grant, in an emergency: told to the patient at once, reviewed by both sides."""
    body = wire.EmergencyBody(
        card=cast.wallet.registration(cast.custodian.msp_id).card, reason="unconscious",
        categories=["allergy", "medication", "problem"],
    )  # fmt: skip
    emergency = cast.shared.break_glass(body)
    chart = until_fresh(lambda: cast.shared.chart(emergency.id)).items
    outside = [item for item in chart if item.entry.category not in (*body.categories, "directory")]
    check(not outside, "a category outside the emergency was released")
    notices = [notice for notice in cast.wallet.notices(cast.custodian.msp_id) if emergency.id in notice.references]
    check(bool(notices), "the patient was not told")
    for officer in (cast.privacy_reader, cast.privacy_custodian):
        SharedClient(officer.client).review(emergency.id, wire.ReviewBody(outcome="justified", note="抢救 / rescue"))
    report.say(
        f"{len(chart)} records released in the emergency, the patient was told, both hospitals reviewed",
        f"急诊释放 {len(chart)} 份病历，患者已获通知，双方均已审核",
    )


def flip_a_byte(report: Report, cast: Cast) -> None:
    """A byte of the custodian's store is flipped; the object is found and named; then it is put right.

    Where the hospital has a second store, nobody notices but the operator: the other copy is read, and replaces this.
    """
    victim = next(item for item in cast.chart if item.entry.kind == "patient" and not item.members)
    name = decode_bytes(victim.digest, "digest").hex()
    if cast.records.client.status().stores > 1:
        _flip_one_of_two(report, cast, victim, name)
        return
    cast.custodian.flip_last_bit(name)
    try:
        cast.house_doctor.client.record_content(victim.entry.record)
    except Tampered as alarm:
        check(victim.digest in f"{alarm.place} {alarm.detail}", "the altered object was not named")
        report.say(f"found: {alarm.detail}", f"已发现：{alarm.detail}")
    except YilianError as error:
        check(False, f"the altered object was not recognised: {error.reason}")
    else:
        check(False, "an altered object was handed out")
    finally:
        cast.custodian.flip_last_bit(name)


def _flip_one_of_two(report: Report, cast: Cast, victim: wire.SharedRecord, name: str) -> None:
    before = cast.custodian.last_byte(name)
    cast.custodian.flip_last_bit(name)
    check(cast.custodian.last_byte(name) != before, "nothing was altered")
    read = cast.house_doctor.client.record_content(victim.entry.record)
    check(read == decode_bytes(victim.content, "content", max_length=1 << 30), "an altered object was handed out")
    deadline = time.monotonic() + HEALED_TIMEOUT_S
    while cast.custodian.last_byte(name) != before:
        check(time.monotonic() < deadline, "the altered copy was not replaced")
        time.sleep(_POLL_S)
    report.say(
        "found: the second store's copy was handed out, and replaced the altered one",
        "已发现：改由第二存储的副本提供，并已替换被改的副本",
    )


def audit(report: Report, cast: Cast, network: Stage) -> None:
    """An auditor exports the ledger, verifies every rule, replays the contract, and finds the story in it."""
    folder = network.folder / f"export-{instant(datetime.now(UTC)).replace(':', '')}"
    report.blocks = network.export(folder)
    names: list[str] = []

    def collect(block: VerifiedBlock) -> None:
        names.extend(row.name for row in rows_of(block, CONTRACT) if row.code == "VALID")

    chain = verify_folder(folder, network.genesis, collect)
    for name in (
        "RegisterPatient",
        "Anchor",
        "AuthorizeAccess",
        "OpenAccess",
        "RevokeAccess",
        "BreakGlass",
        "ReviewBreakGlass",
    ):
        check(name in names, f"the ledger does not tell of {name}")
    check(chain.replayed > 0, "the contract was not replayed")
    report.verified_transactions = chain.transactions
    report.say(
        f"{chain.height} blocks, {chain.transactions} transactions verified, {chain.replayed} executed again",
        f"验证 {chain.height} 个区块、{chain.transactions} 笔交易，重新执行 {chain.replayed} 笔",
    )


def _person_with_most_records(client: StaffClient) -> str:
    best, after = ("", -1), None
    while True:
        page = client.patients(after)
        for person in page.items:
            if person.records > best[1]:
                best = (person.patient, person.records)
        if page.next is None:
            check(bool(best[0]), "there is no person in the data")
            return best[0]
        after = page.next


def _wait_anchored(cast: Cast, report: Report) -> None:
    deadline = time.monotonic() + ANCHOR_TIMEOUT_S
    while True:
        status = cast.records.client.status()
        report.records, report.anchored = status.records, status.anchored
        if status.outbox == 0 and status.anchored >= status.records:
            return
        check(time.monotonic() < deadline, f"only {status.anchored} of {status.records} records are anchored")
        time.sleep(_POLL_S)


def _wait_own_key(cast: Cast, record: str) -> None:
    """The hospital wraps older records to the patient's key in the background."""
    deadline = time.monotonic() + WRAPS_TIMEOUT_S
    while True:
        try:
            cast.wallet.open(cast.custodian.msp_id, record)
        except Conflict:
            check(time.monotonic() < deadline, "the wallet cannot open its own record")
            time.sleep(_POLL_S)
        else:
            return
