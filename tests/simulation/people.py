"""Who acts in the simulation: a hospital information system, staff, doctors elsewhere, patients with wallets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, cast

from domain.identifiers import decode_bytes, encode_bytes, identifier
from domain.instants import instant
from node_service.client import wire
from node_service.client.transport import Transport
from node_service.interactions.writing import create
from node_service.organization_keys import hospital_card
from node_service.own_reading import read_record
from node_service.records.ingest import CLOSED, ingest_fhir
from node_service.sharing import accesses, contributions, packages
from node_service.sharing.enrolment_codes import issue_code
from node_service.sharing.practitioners import Practitioner
from node_service.sharing.shared_reading import SharedReading
from node_service.staff.principal import StaffPrincipal
from patient_wallet.drafts import GrantChoice
from patient_wallet.seeding import create_wallet
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from tests.simulation import files
from tests.simulation.hospital import START, Hospital
from tests.simulation.messages import Call, SimulatedExchange, SimulatedTransport
from tests.simulation.office import Office
from tests.simulation.virtual import finished
from tests.simulation.world import World, Written

CATEGORIES: Final = ("problem", "result", "encounter")
PASSPHRASE: Final = "a passphrase for a test"
ACTS: Final = ("grant", "grant", "grant", "revoke", "revoke-all", "dissent", "withdraw", "look", "open", "erase")


@dataclass
class Person:
    """A patient at one hospital, with a wallet."""

    number: int
    custodian: Hospital
    patient: str = ""
    record: str = ""
    wallet: Wallet | None = None
    granted: list[str] = field(default_factory=list)
    dissents: list[str] = field(default_factory=list)

    @property
    def card(self) -> wire.PatientCard:
        assert self.wallet is not None
        return self.wallet.registration(self.custodian.msp_id).card


class People:
    """Everybody; each of their loops is a task of the simulation."""

    def __init__(self, world: World, count: int) -> None:
        self.world = world
        self.chance = world.chance
        self.bytes = world.chance.randbytes
        members = list(world.hospitals.values())
        self.persons = [Person(number, members[number % 2]) for number in range(count)]
        self._number = 0
        self._unanswered: dict[str, Callable[[], bool]] = {}
        self.offices = {hospital.msp_id: Office(world, hospital) for hospital in members}

    def begin(self) -> None:
        """Everybody has a first record and a wallet, before anything goes wrong."""
        for person in self.persons:
            self.world.scheduler.spawn("beginning", self.world.scheduler.network, partial(self._begin, person))
        self.world.scheduler.run(60.0, lambda: all(person.wallet is not None for person in self.persons))
        assert all(person.wallet is not None for person in self.persons), self.world.scheduler.trace[-20:]

    def act(self) -> None:
        """Start everybody's loop."""
        world = self.world
        world.scheduler.spawn("trouble", world.scheduler.network, world.trouble)
        for person in self.persons:
            self._loop(f"patient {person.number}", partial(self._patient_acts, person))
        for hospital in list(world.hospitals.values())[:2]:
            self._loop(f"system of {hospital.msp_id}", partial(self._system_acts, hospital))
        for hospital in list(world.hospitals.values())[:2]:
            self._loop(f"office of {hospital.msp_id}", self.offices[hospital.msp_id].act)
        for number, hospital in enumerate(list(world.hospitals.values())[1:] * 2):
            who = Practitioner(identifier(self.bytes(16)), f"Doctor {number}", "clinician", "Cardiology")
            doctor = Doctor(self, hospital, who)
            self._loop(f"doctor {number} of {hospital.msp_id}", doctor.act)

    def answer_all(self) -> bool:
        """Everybody sends again what was not answered; true if nothing is left."""
        for name, again in list(self._unanswered.items()):
            if again():
                self._unanswered.pop(name, None)
        return not self._unanswered and self._decide_all()

    def _decide_all(self) -> bool:
        done = [office.decide_all() for office in self.offices.values()]  # every office, whatever became of the first
        return all(done)

    def look_at_all_cases(self) -> None:
        """Everybody sees the certificates in the end."""
        for person in self.persons:
            self.look_at_cases(person)

    def next_number(self) -> int:
        """Of the next thing that is written."""
        self._number += 1
        return self._number

    def _loop(self, name: str, act: Callable[[], None]) -> None:
        def loop() -> None:
            while self.world.faults.active:
                act()
                self.world.scheduler.pause(self.chance.uniform(0, 2.0))

        self.world.scheduler.spawn(name, self.world.scheduler.network, loop)

    # --- The hospital's own systems and staff -----------------------------------------------------------------------

    def _system_acts(self, hospital: Hospital) -> None:
        person = self.chance.choice([one for one in self.persons if one.custodian is hospital])
        match self.chance.choice(("ingest", "ingest", "create", "read", "rotate")):
            case "ingest":
                self._deliver(person)
            case "create":
                self._create(person)
            case "read":
                self._read_own(hospital)
            case "rotate":
                at = instant(hospital.clock.now())
                self._ask(hospital, "rotate", lambda node: node.custody.rotate(at))

    def _deliver(self, person: Person) -> None:
        """A Bundle from the hospital information system; it is sent again until there is an answer."""
        number = self.next_number()
        canaries = {kind: f"canary-{self.world.seed}-{number}-{kind}-end" for kind in ("Condition", "Observation")}
        for kind, canary in canaries.items():
            self.world.written[canary] = Written(person.custodian.msp_id, canary, kind)
        body = _bundle(person.number, number, canaries)

        def send() -> bool:
            report = self._ask(
                person.custodian, "ingest", lambda node: ingest_fhir(node, body, "application/fhir+json", "his")
            )
            if report is None:
                return False
            for refused in report.refused:
                if not refused.reason.startswith(CLOSED):  # what was erased or retracted does not come back
                    self.world.findings.append(f"refused: {refused.reason}")
            for ref in report.stored:
                if ref.resource_type in canaries:
                    self.world.written[canaries[ref.resource_type]].record = ref.record
                if ref.resource_type == "Patient" and ref.patient is not None:
                    person.patient, person.record = ref.patient, ref.record
            return True

        if not send():
            self._unanswered[f"bundle {number}"] = send

    def _create(self, person: Person) -> None:
        """A FHIR create with an Idempotency-Key; the same request is sent again until there is an answer."""
        number = self.next_number()
        canary = f"canary-{self.world.seed}-{number}-create-end"
        self.world.written[canary] = Written(person.custodian.msp_id, canary, "Procedure")
        resource = {
            "resourceType": "Procedure", "status": "completed", "code": {"text": canary},
            "subject": {"reference": f"Patient/{person.record}"},
        }  # fmt: skip
        body, principal = json.dumps(resource).encode(), self._staff("house doctor")

        def send() -> bool:
            made = self._ask(
                person.custodian, "create", lambda node: create(node, principal, "Procedure", body, f"key-{number}")
            )
            if made is not None:
                self.world.written[canary].record = made.record
            return made is not None

        if not send():
            self._unanswered[f"create {number}"] = send

    def _read_own(self, hospital: Hospital) -> None:
        held = [one.record for one in self.world.written.values() if one.hospital == hospital.msp_id and one.record]
        if held:
            record, principal = self.chance.choice(held), self._staff("house doctor")
            was_closed = record in files.gone(hospital.folder)
            opened = self._ask(hospital, "read", lambda node: read_record(node, principal, record))
            if opened is not None:
                if was_closed:
                    self.world.findings.append(f"read though erased or retracted: {record}")
                self.world.own_read(hospital, principal.id, record, opened.content)

    def _staff(self, name: str) -> StaffPrincipal:
        return StaffPrincipal("h" * 25 + "a", frozenset({"clinician"}), name)

    def _ask(self, hospital: Hospital, what: str, serve: Callable[[Any], Any]) -> Any:
        return self.world.attempt(what, lambda: self.world.wires.call(hospital, Call("staff", what, serve)))

    # --- Patients ---------------------------------------------------------------------------------------------------

    def _begin(self, person: Person) -> None:
        self._deliver(person)
        hospital = person.custodian
        vault = Vault.create(self.world.folder / f"wallet-{person.number}.json", PASSPHRASE)
        create_wallet(vault, "english", self.bytes)
        wallet = Wallet(vault, self._transport, self.bytes, partial(right_time, self.world))
        card = hospital_card(hospital.node.settings, hospital.node.secrets, "yilian")
        code = issue_code(hospital.node, person.patient, identifier(self.bytes(16)), card)
        wallet.enrol(hospital.url, code.code)
        person.wallet = wallet

    def _transport(self, url: str) -> Transport:
        return cast(Transport, SimulatedTransport(self.world.wires, url, self.world.hospitals))

    def _patient_acts(self, person: Person) -> None:
        wallet, at = person.wallet, person.custodian.msp_id
        assert wallet is not None
        through = self.chance.choice([None, *(one.url for one in self.world.hospitals.values())])
        act = self.chance.choice(ACTS)
        match act:
            case "open":
                self._open_own(person, wallet)
            case "erase":
                self._wish(person, wallet, through)
            case "grant":
                self._grant(person, wallet)
            case "revoke" if person.granted:
                target = self.chance.choice(person.granted)
                self.world.attempt(act, lambda: wallet.revoke(at, target, through=through))
            case "revoke-all" if self.chance.random() < 0.3:
                self.world.attempt(act, lambda: wallet.revoke_all(at, through=through))
            case "dissent" if self.chance.random() < 0.3:
                purpose = self.chance.choice(("BTG", "TREAT"))
                done = self.world.attempt(act, lambda: wallet.dissent(at, ("problem", "result"), (purpose,)))
                if done is not None:
                    person.dissents.append(done.id)
            case "withdraw" if person.dissents:
                target = person.dissents.pop()
                self.world.attempt(act, lambda: wallet.revoke(at, target, kind="dissent", through=through))
            case "look":
                self.world.attempt(act, lambda: list(wallet.accesses(at)))
                self.world.attempt("deliver", wallet.deliver_packages)
                self.look_at_cases(person)

    def _open_own(self, person: Person, wallet: Wallet) -> None:
        """The patient opens a record on the phone."""
        at, folder = person.custodian.msp_id, person.custodian.folder
        entries = self.world.attempt("list", lambda: list(wallet.records(at)))
        if entries:
            record = self.chance.choice(entries).record
            was_closed = record in files.gone(folder)
            opened = self.world.attempt("open", lambda: wallet.open(at, record))
            if opened is not None:
                if opened.content is not None:
                    self.world.shown(record, opened.content)
                if was_closed:
                    self.world.findings.append(f"opened by the patient though erased or retracted: {record}")

    def _wish(self, person: Person, wallet: Wallet, through: str | None) -> None:
        """The patient wants something erased."""
        at = person.custodian.msp_id
        entries = self.world.attempt("list", lambda: list(wallet.records(at))) or []
        choice = [one.record for one in entries if one.resource_type not in ("", "Patient")]
        if choice:
            named = self.chance.sample(choice, min(len(choice), self.chance.randint(1, 2)))
            self.world.attempt("erase", lambda: wallet.erasures.ask(at, named, through=through))

    def look_at_cases(self, person: Person) -> None:
        """The patient looks what became of the wishes; every certificate must be believable and true."""
        wallet, custodian = person.wallet, person.custodian
        assert wallet is not None
        troubled = self.world.faults.active  # what was asked then may be answered after the faults
        shown = self.world.attempt("cases", lambda: wallet.erasures.cases(custodian.msp_id)) or []
        self.world.certified(custodian, shown, troubled)

    def _grant(self, person: Person, wallet: Wallet) -> None:
        others = [one for one in self.world.hospitals.values() if one is not person.custodian]
        grantee = self.chance.choice(others)
        choice = GrantChoice(
            grantee.msp_id,
            preset=self.chance.choice(("up-to-today", "also-new")),
            categories=sorted(self.chance.sample(CATEGORIES, self.chance.randint(1, 3))),
            contribute=self.chance.random() < 0.3,
        )
        for _ in range(3):
            done = self.world.attempt("grant", lambda: wallet.grant(person.custodian.msp_id, choice, grantee.url))
            if done is not None:
                person.granted.append(done.id)
                return
            self.world.scheduler.pause(self.chance.uniform(0, 2.0))


def right_time(world: World) -> datetime:
    """A phone's clock is right."""
    return START + timedelta(seconds=world.scheduler.now)


class Doctor:
    """A clinician who reads what other hospitals hold, and tries again what was allowed once."""

    def __init__(self, people: People, hospital: Hospital, who: Practitioner) -> None:
        self._people, self._hospital, self._who = people, hospital, who
        self._open: list[str] = []
        self._released: dict[tuple[str, str], None] = {}
        self._custodians: dict[str, str] = {}
        self._exchange = SimulatedExchange(people.world.wires, hospital.msp_id, people.world.hospitals)

    def act(self) -> None:
        """One thing a doctor does."""
        match self._people.chance.choice(("open", "read", "read", "read", "range", "emergency", "contribute")):
            case "open":
                self._open_access()
            case "read" if self._open:
                self._read(self._people.chance.choice(self._open[-6:]))
            case "range" if self._released and self._people.chance.random() < 0.7:
                self._read_range(*self._people.chance.choice(list(self._released)))
            case "range" if self._open:
                self._read_anything(self._people.chance.choice(self._open[-6:]))
            case "emergency" if self._people.chance.random() < 0.4:
                self._break_glass()
            case "contribute" if self._open:
                self._contribute(self._open[-1])

    def _open_access(self) -> None:
        received = self._ask("received", packages.list_received)
        if not received:
            return
        chosen = self._people.chance.choice(received[:8])
        patient, grant = chosen.patient, chosen.id
        match = wire.MatchConfirmation(local_patient=None)
        self._ask("match", lambda node: packages.confirm_match(node, self._who.id, patient, grant, match))
        body = wire.OpenAccessBody(patient=patient, grant=grant, purpose="TREAT")
        self._keep(self._ask("open", lambda node: accesses.open_access(node, self._who, body)))

    def _break_glass(self) -> None:
        person = self._people.chance.choice(self._people.persons)
        if person.custodian is self._hospital or person.wallet is None:
            return
        body = wire.EmergencyBody(card=person.card, reason="unconscious", categories=["problem"])
        self._keep(self._ask("emergency", lambda node: accesses.open_emergency(node, self._who, body)))

    def _keep(self, handle: wire.AccessHandle | None) -> None:
        if handle is not None and handle.id not in self._open:
            self._open.append(handle.id)
            self._custodians[handle.id] = handle.custodian

    def _read(self, access: str) -> None:
        chart = self._ask("chart", lambda node: SharedReading(node, self._exchange).chart(self._who, access))
        for item in chart.items if chart else ():
            self._released[access, item.digest] = None
            self._people.world.shown(item.entry.record, decode_bytes(item.content, "content", max_length=1 << 20))

    def _read_anything(self, access: str) -> None:
        """Whatever the custodian holds, released under this access or not."""
        known = files.digests(self._people.world.hospitals[self._custodians[access]].folder)
        self._read_range(access, encode_bytes(bytes.fromhex(self._people.chance.choice(known))))

    def _read_range(self, access: str, digest: str) -> None:
        world, custodian = self._people.world, self._custodians[access]
        offset, length = self._people.chance.randrange(700), self._people.chance.randint(1, 2000)
        world.attempt("range", lambda: finished(self._exchange.read_object(custodian, access, digest, offset, length)))

    def _contribute(self, access: str) -> None:
        people, custodian = self._people, self._custodians[access]
        canary = f"canary-{people.world.seed}-{people.next_number()}-contributed-end"
        resource = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": canary}}
        written = people.world.written[canary] = Written(custodian, canary, "DiagnosticReport", again=False)
        body = wire.ContributionBody(resource=json.dumps(resource))
        done = self._ask(
            "contribute",
            lambda node: contributions.contribute(node, self._exchange, self._who, access, body),
        )
        if done is not None:
            written.record = done.record

    def _ask(self, what: str, serve: Callable[[Any], Any]) -> Any:
        return self._people._ask(self._hospital, what, serve)


def _bundle(person: int, number: int, canaries: dict[str, str]) -> bytes:
    """The person, always the same, and a problem and a result of this number."""
    subject = {"reference": f"urn:uuid:person-{person}"}
    resources: list[dict[str, Any]] = [
        {"resourceType": "Patient", "id": f"person-{person}", "gender": "female"},
        {
            "resourceType": "Condition", "id": f"condition-{number}", "subject": subject,
            "code": {"text": canaries["Condition"]},
        },
        {
            "resourceType": "Observation", "id": f"observation-{number}", "status": "final", "subject": subject,
            "code": {"text": canaries["Observation"]},
        },
    ]  # fmt: skip
    entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
