"""Several hospitals on one embedded ledger, a wallet, and the exchange between them without HTTP."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from anyio import CapacityLimiter
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import leaves, messages, statements
from domain.identifiers import encode_bytes, identifier
from domain.instants import instant
from domain.jcs import JsonObject
from domain.ports import CommittedBlock, TransactionStatus
from domain.statements import DissentTerms, Envelope, GrantTerms, PatientKeys, Statement
from domain.transactions import CreateRecord, RegisterOrganization, encode
from domain.wallet_consent import Parties, wallet_consent, wallet_dissent
from network.embedded.founding import init
from network.embedded.ledger import EmbeddedLedger
from node_service import secrets
from node_service.access_log.sequencer import Sequencer
from node_service.client import exchange_wire, wire
from node_service.context import Limits, Node
from node_service.database.engine import Database
from node_service.database.models import Base
from node_service.erasure import received
from node_service.ledger_sync.anchorer import Anchorer
from node_service.ledger_sync.commits import ProjectedCommits
from node_service.ledger_sync.follower import Follower
from node_service.organization_keys import hospital_card, published_keys
from node_service.records.ingest import ingest_fhir
from node_service.settings import Settings
from node_service.sharing import consents, contributions, enrolment, objects, packages, relaying, release, requests
from node_service.sharing.enrolment_codes import issue_code
from node_service.sharing.patient_wraps import PatientWraps
from node_service.sharing.practitioners import Practitioner
from node_service.witnessing.voices import LedgerVoices
from offchain.custody.file_keyring import FileKeyring
from offchain.envelope.hpke import HPKE_HYBRID, HPKE_X25519, RecipientPrivateKey, RecipientPublicKey
from offchain.envelope.messages import seal_message
from offchain.stores.local import LocalStore
from tests.unit.node_service.records.hospital import MovableClock

A, B, C = "RenjiMSP", "HuashanMSP", "RuijinMSP"
CATEGORIES = ("encounter", "problem", "result")
Answer = TypeVar("Answer")


def run(call: Coroutine[Any, Any, Answer]) -> Answer:
    """Run one use case to its end."""
    return asyncio.run(call)


class DrivenCommits:
    """The projection's commits, with the follower driven by whoever waits instead of by a thread."""

    def __init__(self, database: Database) -> None:
        self.projected_commits = ProjectedCommits(database)
        self.follower: Follower | None = None
        self.clock: MovableClock | None = None
        self.frozen = False

    def follow(self) -> None:
        assert self.follower is not None
        assert self.clock is not None
        if not self.frozen:
            while self.follower.step(self.clock.now()) <= self.clock.now():
                pass

    async def committed(self, tx_id: str, timeout_s: float) -> TransactionStatus:
        self.follow()
        return await self.projected_commits.committed(tx_id, min(timeout_s, 0.2))

    async def projected(self, height: int, timeout_s: float) -> None:
        self.follow()
        await self.projected_commits.projected(height, min(timeout_s, 0.2))


class ChannelLedger(EmbeddedLedger):
    """The embedded ledger on a channel that a hospital can leave: from then on its blocks have fewer members."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.left: dict[str, int] = {}

    def blocks(self, start: int) -> Iterator[CommittedBlock]:
        for block in super().blocks(start):
            gone = {msp_id for msp_id, since in self.left.items() if block.number >= since}
            yield replace(block, members=tuple(msp_id for msp_id in block.members if msp_id not in gone))


@dataclass
class Hospital:
    """One node whose steps are driven by hand."""

    node: Node
    clock: MovableClock
    commits: DrivenCommits

    def __post_init__(self) -> None:
        self.anchorer = Anchorer(self.node)
        self.sequencer = Sequencer(self.node)
        self.patient_wraps = PatientWraps(self.node)

    def settle(self) -> None:
        """Sequence, anchor, follow until all is on the ledger; patients' wraps made."""
        for _ in range(4):
            self.commits.follow()
            self.sequencer.step(self.clock.now())
            self.anchorer.step(self.clock.now())
            self.clock.advance(0.2)
            self.patient_wraps.step(self.clock.now())
        self.commits.follow()

    def ingest(self, *resources: JsonObject, source: str = "his") -> list[wire.RecordRef]:
        """Store resources as one Bundle and anchor them."""
        entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources]
        body = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
        report = ingest_fhir(self.node, body, "application/fhir+json", source)
        assert not report.refused, report.refused
        self.settle()
        return report.stored


@dataclass
class LocalExchange:
    """The other hospitals' server side, called as ``caller`` the way their routes do after authentication."""

    caller: str
    hospitals: dict[str, Hospital]

    async def deliver_request(self, custodian: str, body: exchange_wire.RequestDelivery) -> None:
        await requests.accept_request(self.hospitals[custodian].node, self.caller, body)

    async def search(self, custodian: str, body: exchange_wire.ExchangeSearch) -> wire.RecordPage:
        return await release.search(self.hospitals[custodian].node, self.caller, body)

    async def release(self, custodian: str, body: exchange_wire.ExchangeRelease) -> exchange_wire.Released:
        return await release.release(self.hospitals[custodian].node, self.caller, body)

    async def read_object(self, custodian: str, access: str, digest: str, offset: int, length: int) -> bytes:
        asked = objects.RangeRequest(access, digest, offset, length)
        return await objects.read_object(self.hospitals[custodian].node, self.caller, asked)

    async def deliver_contribution(self, custodian: str, body: exchange_wire.ContributionDelivery) -> wire.RecordRef:
        return await contributions.accept_contribution(self.hospitals[custodian].node, self.caller, body)

    async def deliver_notices(self, holder: str, body: exchange_wire.NoticeDelivery) -> exchange_wire.NoticeReceipt:
        return await received.accept_notices(self.hospitals[holder].node, self.caller, body)


@dataclass
class Consortium:
    """The hospitals by MSP id."""

    clock: MovableClock
    hospitals: dict[str, Hospital]

    def __getitem__(self, msp_id: str) -> Hospital:
        return self.hospitals[msp_id]

    def exchange(self, caller: str) -> LocalExchange:
        return LocalExchange(caller, self.hospitals)

    def follow(self) -> None:
        for hospital in self.hospitals.values():
            hospital.commits.follow()

    def leave(self, msp_id: str) -> None:
        """The channel's configuration has a hospital no more, from the next block on."""
        for hospital in self.hospitals.values():
            assert isinstance(hospital.node.ledger, ChannelLedger)
            hospital.node.ledger.left[msp_id] = hospital.node.ledger.height()
        self.write(next(other for other in self.hospitals if other != msp_id))

    def come_back(self, msp_id: str) -> None:
        """The configuration has it again."""
        for hospital in self.hospitals.values():
            assert isinstance(hospital.node.ledger, ChannelLedger)
            del hospital.node.ledger.left[msp_id]
        self.write(msp_id)

    def write(self, msp_id: str) -> None:
        """A hospital has some block made, which all see."""
        leaf = CreateRecord(identifier(os.urandom(16)), encode_bytes(os.urandom(32)))
        self[msp_id].node.ledger.submit(*encode(leaf))
        self.follow()

    def close(self) -> None:
        for hospital in self.hospitals.values():
            hospital.node.database.close()
            hospital.node.ledger.close()  # type: ignore[attr-defined]


def found_consortium(directory: Path, msp_ids: tuple[str, ...] = (A, B, C), **settings: Any) -> Consortium:
    """Hospitals with fresh keys, registered on one fresh ledger."""
    clock = MovableClock()
    init(directory / "ledger", "yilian", list(msp_ids), clock=clock, random=os.urandom)
    for msp_id in msp_ids:
        data = directory / msp_id
        data.mkdir()
        secrets.create(data)
        FileKeyring.create(data / "custody", instant(clock.now()))
        database = Database(f"sqlite:///{data / 'node.db'}")
        Base.metadata.create_all(database.engine)
        database.close()
    consortium = open_consortium(directory, clock, msp_ids, **settings)
    for hospital in consortium.hospitals.values():
        node = hospital.node
        keys = published_keys(node.secrets, clock.now())
        node.ledger.submit(*encode(RegisterOrganization(node.settings.public_url, keys)))
    consortium.follow()
    return consortium


def open_consortium(
    directory: Path, clock: MovableClock, msp_ids: tuple[str, ...] = (A, B, C), **settings: Any
) -> Consortium:
    """Open what :func:`found_consortium` made, or a copy of it."""
    return Consortium(clock, {msp: _open(directory, msp, clock, settings) for msp in msp_ids})


def _open(directory: Path, msp_id: str, clock: MovableClock, settings: dict[str, Any]) -> Hospital:
    data = directory / msp_id
    values: dict[str, Any] = {
        "msp_id": msp_id, "name": msp_id, "data_dir": data, "ledger_dir": directory / "ledger", **settings,
    }  # fmt: skip
    chosen = Settings.model_validate(values)
    database = Database(chosen.sqlalchemy_url)
    commits = DrivenCommits(database)
    ledger = ChannelLedger(chosen.embedded_folder, msp_id, clock, os.urandom)
    node = Node(
        settings=chosen,
        database=database,
        ledger=ledger,
        blobs=LocalStore(data / "objects"),
        custody=FileKeyring(data / "custody"),
        secrets=secrets.load(data),
        clock=clock,
        random=os.urandom,
        commits=commits,
        voices=LedgerVoices(ledger, CapacityLimiter(32)),
        limits=Limits(CapacityLimiter(32), CapacityLimiter(16), CapacityLimiter(4)),
    )
    commits.follower = Follower(database, node.ledger, commits.projected_commits)
    commits.clock = clock
    return Hospital(node, clock, commits)


@dataclass
class Wallet:
    """One patient's keys at one hospital."""

    custodian: Hospital
    patient: str
    signing: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    wrap: RecipientPrivateKey = field(default_factory=lambda: RecipientPrivateKey.generate(HPKE_X25519))
    grant_epoch: int = 1

    @property
    def keys(self) -> PatientKeys:
        signing = encode_bytes(self.signing.public_key().public_bytes_raw())
        return PatientKeys("Ed25519", signing, HPKE_X25519, self.wrap.public.text)

    @property
    def card(self) -> wire.PatientCard:
        msp_id = self.custodian.node.msp_id
        return wire.PatientCard(custodian=msp_id, patient=self.patient, key_epoch=1, wrap_key=self.wrap.public.text)

    def sign(
        self, body: statements.Body, *, valid_for: timedelta = timedelta(hours=24), **changes: Any
    ) -> tuple[str, str]:
        """A signed statement: text and signature."""
        fields: dict[str, Any] = {
            "id": identifier(os.urandom(16)),
            "channel": "yilian",
            "patient": self.patient,
            "custodian": self.custodian.node.msp_id,
            "key_epoch": 1,
            "grant_epoch": self.grant_epoch,
            "anchor_by": instant(self.custodian.clock.now() + valid_for),
        }
        text = Statement(Envelope(**{**fields, **changes}), body).encode()
        return text, encode_bytes(self.signing.sign(text.encode()))

    def enrol(self) -> wire.Committed:
        """Enrol with a code from the counter."""
        node = self.custodian.node
        card = hospital_card(node.settings, node.secrets, "yilian")
        issued = issue_code(node, self.patient, identifier(os.urandom(16)), card)
        text, signature = self.sign(statements.Enrol(self.keys))
        return run(enrolment.finish(node, wire.EnrolmentFinish(code=issued.code, statement=text, signature=signature)))

    def terms(self, consent: JsonObject, salt: bytes, **changes: Any) -> GrantTerms:
        now = self.custodian.clock.now()
        values: dict[str, Any] = {
            "grantee": B,
            "practitioner": None,
            "categories": CATEGORIES,
            "purposes": ("TREAT",),
            "permissions": ("read",),
            "valid_from": instant(now),
            "valid_until": instant(now + timedelta(days=7)),
            "recorded_until": None,
            "consent_digest": leaves.keyed_digest(consent, salt),
            "request": None,
        }
        return GrantTerms(**{**values, **changes})

    def consent(self, **changes: Any) -> JsonObject:
        now = self.custodian.clock.now()
        values: dict[str, Any] = {
            "preset": "also-new",
            "grantee": B,
            "practitioner": None,
            "categories": CATEGORIES,
            "purposes": ("TREAT",),
            "permissions": ("read",),
            "valid_from": instant(now),
            "valid_until": instant(now + timedelta(days=7)),
        }
        return wallet_consent(self._parties(), **{**values, **changes})

    def _parties(self) -> Parties:
        node = self.custodian.node
        return Parties(identifier(os.urandom(16)), self.patient, node.msp_id, instant(self.custodian.clock.now()))

    def signed_grant(self, consent: JsonObject | None = None, **changes: Any) -> wire.ConsentedStatement:
        """A grant with its Consent, ready to be sent."""
        salt = os.urandom(32)
        consent = consent or self.consent(
            **{
                name: value
                for name, value in changes.items()
                if name in ("categories", "permissions", "purposes", "grantee")
            }
        )
        text, signature = self.sign(self.terms(consent, salt, **changes))
        return wire.ConsentedStatement(statement=text, signature=signature, consent=consent, salt=encode_bytes(salt))

    def grant(self, consent: JsonObject | None = None, **changes: Any) -> str:
        """Grant, and hand the package to the grantee."""
        body = self.signed_grant(consent, **changes)
        done = run(consents.receive_grant(self.custodian.node, self.patient, body))
        return done.id

    def dissent(self, purposes: tuple[str, ...], categories: tuple[str, ...] = CATEGORIES) -> str:
        consent, salt = wallet_dissent(self._parties(), categories=categories, purposes=purposes), os.urandom(32)
        text, signature = self.sign(DissentTerms(categories, purposes, leaves.keyed_digest(consent, salt)))
        body = wire.ConsentedStatement(statement=text, signature=signature, consent=consent, salt=encode_bytes(salt))
        return run(consents.receive_dissent(self.custodian.node, self.patient, body)).id

    def relay(self, body: statements.Body, through: Hospital) -> wire.Committed:
        text, signature = self.sign(body)
        return run(relaying.relay(through.node, wire.SignedStatementBody(statement=text, signature=signature)))

    def package(self, body: wire.ConsentedStatement, grantee: Hospital) -> wire.SealedMessage:
        """The grant package sealed to the grantee."""
        grant = statements.parse(body.statement).envelope.id
        package = wire.GrantPackage(
            grant=grant, card=self.card, statement=body.statement, signature=body.signature,
            consent=body.consent, salt=body.salt,
        )  # fmt: skip
        card = hospital_card(grantee.node.settings, grantee.node.secrets, "yilian")
        key = RecipientPublicKey.parse(HPKE_HYBRID, card.seal_key)
        sealed = seal_message(key, messages.grant_package(grantee.node.msp_id), package.model_dump_json().encode())
        return wire.SealedMessage(kid=sealed.key_id, alg=sealed.alg, sealed=encode_bytes(sealed.sealed))

    def share(self, grantee: Hospital, consent: JsonObject | None = None, **changes: Any) -> str:
        """Grant to a hospital, hand over the package, match confirmed: ready to be read."""
        body = self.signed_grant(consent, grantee=grantee.node.msp_id, **changes)
        done = run(consents.receive_grant(self.custodian.node, self.patient, body))
        run(packages.receive_package(grantee.node, self.package(body, grantee)))
        confirmation = wire.MatchConfirmation(local_patient=None)
        packages.confirm_match(grantee.node, identifier(os.urandom(16)), self.patient, done.id, confirmation)
        return done.id


def doctor(name: str = "Dr Wang") -> Practitioner:
    """A clinician with a fresh pseudonym."""
    return Practitioner(identifier(os.urandom(16)), name, "clinician", "Cardiology")


def history(patient: str = "p1") -> tuple[JsonObject, ...]:
    """A small synthetic history: a person, a clinic, an encounter, a problem, a result."""
    subject: JsonObject = {"reference": f"urn:uuid:{patient}"}
    return (
        {"resourceType": "Patient", "id": patient, "name": [{"family": "Synthetic"}], "gender": "female"},
        {"resourceType": "Organization", "id": "clinic", "name": "Synthetic clinic"},
        {
            "resourceType": "Encounter", "id": "visit", "status": "finished", "subject": subject,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "serviceProvider": {"reference": "urn:uuid:clinic"}, "period": {"start": "2025-05-01T08:00:00Z"},
        },
        {
            "resourceType": "Condition", "id": "problem", "subject": subject,
            "code": {"text": "synthetic hypertension"}, "onsetDateTime": "2024-01-01",
        },
        {
            "resourceType": "Observation", "id": "result", "status": "final", "subject": subject,
            "code": {"text": "systolic"}, "valueQuantity": {"value": 151.5, "unit": "mmHg"},
            "effectiveDateTime": "2025-05-01",
        },
    )  # fmt: skip
