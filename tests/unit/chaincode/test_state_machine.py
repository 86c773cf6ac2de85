"""The contract against a tiny model: statements in any order, replays, forgeries, edges of time, anchors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.queries import QueryDissents, QueryGrants, QueryLog, QueryPatient
from domain.statements import DissentTerms, GrantTerms, Revoke, RevokeEverything, Rotate
from domain.statements import parse as parse_statement
from domain.transactions import (
    Anchor,
    AuthorizeAccess,
    CloseRegistration,
    Dissent,
    Opening,
    RevokeAccess,
    RevokeAll,
    RotateKey,
    SignedStatement,
)
from tests.unit.chaincode.world import (
    A,
    B,
    C,
    Log,
    Refused,
    Wallet,
    a_digest,
    after,
    an_id,
    dissent_terms,
    grant_terms,
    log_head,
    open_access,
    three_hospitals,
)

SAME, CHANGED = "same", "changed"
HOSPITALS = st.sampled_from((A, B, C))
SLOTS = st.sampled_from(("s0", "s1", "s2", "s3"))
EPOCHS = st.integers(1, 4)
GRANTEES = st.sampled_from((A, B, C, "StrangerMSP"))
PEOPLE = st.sampled_from(("li", "wang"))
OFFSETS = st.sampled_from((-1, 0, 1, 30, 60, 61))


@dataclass
class Person:
    """What the model knows of a registration: a handful of plain values."""

    key_epoch: int = 1
    closed: bool = False
    floor: int = 1
    used: dict[str, str] = field(default_factory=dict)
    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    dissents: dict[str, str] = field(default_factory=dict)


class ContractMachine(RuleBasedStateMachine):
    """Two patients of A, hospitals B and C, one of them dishonest at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.channel = three_hospitals()
        self.people = {name: Person() for name in ("li", "wang")}
        self.clock = 0
        self.sent: list[tuple[str, str, SignedStatement, bool]] = []
        self.log = Log().grow(30, 30)
        self.heads: list[tuple[int, int, int]] = []
        self.accesses: dict[str, tuple[Any, ...]] = {}

    @initialize()
    def enrol(self) -> None:
        for name in self.people:
            enrolment = Wallet(name).enrol()
            assert self.channel.submit(enrolment)
            self.people[name].used[an_id(f"enrol {name}")] = enrolment.statement

    @rule(seconds=st.sampled_from((1, 29, 30, 59, 60)))
    def time_passes(self, seconds: int) -> None:
        self.clock += seconds

    def wallet(self, name: str, grant_epoch: int = 1, key_epoch: int = 0) -> Wallet:
        return Wallet(name, A, key_epoch or self.people[name].key_epoch, grant_epoch)

    def outcome(self, transaction: Any, caller: str) -> str:
        try:
            return CHANGED if self.channel.submit(transaction, caller, after(self.clock)) else SAME
        except Refused as refusal:
            return str(refusal.status)

    def send(self, name: str, transaction: SignedStatement, caller: str, *, honest: bool) -> None:
        expected = self.expect(name, transaction, caller, honest)
        assert self.outcome(transaction, caller) == expected
        self.sent.append((name, caller, transaction, honest))

    def expect(self, name: str, transaction: SignedStatement, caller: str, honest: bool) -> str:
        """The model: what must come of a statement, and its effect if there is one."""
        person, statement = self.people[name], parse_statement(transaction.statement)
        envelope, body = statement.envelope, statement.body
        if envelope.id in person.used:
            return SAME if person.used[envelope.id] == transaction.statement else "409"
        if envelope.anchor_by < after(self.clock):
            return "403"
        refusal = isinstance(body, (Revoke, RevokeEverything, DissentTerms))
        if (person.closed and not refusal) or envelope.key_epoch != person.key_epoch or not honest:
            return "403"
        result = self.effect(person, envelope.id, envelope.grant_epoch, body, caller)
        if result == CHANGED:
            person.used[envelope.id] = transaction.statement
        return result

    def effect(self, person: Person, identity: str, grant_epoch: int, body: object, caller: str) -> str:
        if isinstance(body, GrantTerms):
            bad = body.grantee not in (B, C) or body.valid_until <= after(self.clock)
            if bad or grant_epoch < person.floor or identity in person.grants:
                return "403"
            person.grants[identity] = {"status": "active", "epoch": grant_epoch, "terms": body}
        elif isinstance(body, DissentTerms):
            if identity in person.dissents:
                return "403"
            person.dissents[identity] = "active"
        elif isinstance(body, Revoke) and body.kind == "grant":
            grant = person.grants.setdefault(body.target, {"status": "absent", "epoch": grant_epoch, "terms": None})
            if grant["status"] in ("revoked", "tombstone"):
                return SAME
            grant["status"] = "revoked" if grant["status"] == "active" else "tombstone"
        elif isinstance(body, Revoke):
            if person.dissents.get(body.target) in ("withdrawn", "tombstone"):
                return SAME
            person.dissents[body.target] = "withdrawn" if body.target in person.dissents else "tombstone"
        elif isinstance(body, RevokeEverything):
            if body.floor <= person.floor:
                return SAME
            person.floor = body.floor
        else:
            assert isinstance(body, Rotate)
            if caller != A:
                return "403"
            person.key_epoch += 1
        return CHANGED

    def signature(self, wallet: Wallet, text: str, honest: bool) -> str:
        return wallet.sign(text) if honest else Wallet("mallory").sign(text)

    @rule(name=PEOPLE, slot=SLOTS, epoch=EPOCHS, grantee=GRANTEES, caller=HOSPITALS, honest=st.booleans(), late=OFFSETS)
    def authorize(self, name: str, slot: str, epoch: int, grantee: str, caller: str, honest: bool, late: int) -> None:
        wallet = self.wallet(name, epoch)
        terms = grant_terms(grantee=grantee, valid_from=after(self.clock - 30), valid_until=after(self.clock + 60))
        text = wallet.text(slot, terms, anchor_by=after(self.clock + late))
        self.send(name, AuthorizeAccess(text, self.signature(wallet, text, honest)), caller, honest=honest)

    @rule(name=PEOPLE, slot=SLOTS, caller=HOSPITALS, honest=st.booleans())
    def refuse(self, name: str, slot: str, caller: str, honest: bool) -> None:
        wallet = self.wallet(name)
        text = wallet.text(f"d{slot}", dissent_terms(), anchor_by=after(self.clock + 60))
        self.send(name, Dissent(text, self.signature(wallet, text, honest)), caller, honest=honest)

    @rule(
        name=PEOPLE,
        slot=SLOTS,
        number=st.integers(0, 5),
        kind=st.sampled_from(("grant", "dissent")),
        caller=HOSPITALS,
        honest=st.booleans(),
    )
    def revoke(self, name: str, slot: str, number: int, kind: str, caller: str, honest: bool) -> None:
        wallet = self.wallet(name)
        target = an_id(slot if kind == "grant" else f"d{slot}")
        text = wallet.text(f"r{number}{slot}{kind}", Revoke(kind, target), anchor_by=after(self.clock + 60))
        self.send(name, RevokeAccess(text, self.signature(wallet, text, honest)), caller, honest=honest)

    @rule(name=PEOPLE, floor=st.integers(2, 4), number=st.integers(0, 3), caller=HOSPITALS)
    def revoke_everything(self, name: str, floor: int, number: int, caller: str) -> None:
        text = self.wallet(name).text(f"all{number}", RevokeEverything(floor), anchor_by=after(self.clock + 60))
        self.send(name, RevokeAll(text, self.wallet(name).sign(text)), caller, honest=True)

    @rule(name=PEOPLE, caller=HOSPITALS, honest=st.booleans())
    def rotate(self, name: str, caller: str, honest: bool) -> None:
        old = self.wallet(name)
        text = old.text(
            f"rotate{old.key_epoch}{caller}", Rotate(old.next_epoch().keys), anchor_by=after(self.clock + 60)
        )
        new = old.next_epoch().sign(text) if honest else old.sign(text)
        self.send(name, RotateKey(text, old.sign(text), new), caller, honest=honest)

    @rule(name=PEOPLE, slot=SLOTS, epoch=st.integers(1, 6), caller=HOSPITALS)
    def grant_of_another_key_epoch(self, name: str, slot: str, epoch: int, caller: str) -> None:
        wallet = self.wallet(name, 4, epoch)
        terms = grant_terms(valid_from=after(self.clock), valid_until=after(self.clock + 60))
        text = wallet.text(slot, terms, anchor_by=after(self.clock + 60))
        self.send(name, AuthorizeAccess(text, wallet.sign(text)), caller, honest=True)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), caller=HOSPITALS)
    def replay(self, data: st.DataObject, caller: str) -> None:
        name, _, transaction, honest = data.draw(st.sampled_from(self.sent))
        self.send(name, transaction, caller, honest=honest)

    @rule(name=PEOPLE, caller=HOSPITALS, rarely=st.integers(0, 9))
    def close(self, name: str, caller: str, rarely: int) -> None:
        if rarely:
            return
        person = self.people[name]
        expected = "403" if caller != A else SAME if person.closed else CHANGED
        assert self.outcome(CloseRegistration(Wallet(name).patient, "deceased"), caller) == expected
        person.closed = person.closed or caller == A

    @rule(
        name=PEOPLE,
        slot=SLOTS,
        caller=HOSPITALS,
        purpose=st.sampled_from(("TREAT", "HRESCH", "HPAYMT")),
        lasting=st.sampled_from((0, 1, 30, 59, 60, 61, 900, 901)),
        number=st.integers(0, 40),
    )
    def open_under_a_grant(self, name: str, slot: str, caller: str, purpose: str, lasting: int, number: int) -> None:
        until, identity = after(self.clock + lasting), f"access{number}"
        transaction = open_access(identity, Wallet(name), slot, purpose=purpose, until=until)
        value = (name, slot, caller, purpose, until)
        assert self.outcome(transaction, caller) == self.expect_opening(identity, value)

    def expect_opening(self, identity: str, value: tuple[str, str, str, str, str]) -> str:
        name, slot, caller, purpose, until = value
        person, now = self.people[name], after(self.clock)
        if identity in self.accesses:
            return SAME if self.accesses[identity] == value else "409"
        grant = person.grants.get(an_id(slot))
        if grant is None:
            return "404"
        terms = grant["terms"]
        live = grant["status"] == "active" and not person.closed and grant["epoch"] >= person.floor
        fits = live and caller == terms.grantee and purpose in ("TREAT", "HRESCH")
        timely = fits and terms.valid_from <= now < terms.valid_until and now < until
        if not timely or until > terms.valid_until or until > after(self.clock + 900):
            return "403"
        self.accesses[identity] = value
        return CHANGED

    @rule(records=st.integers(0, 30), access=st.integers(0, 30), unwraps=st.integers(0, 5), forged=st.booleans())
    def anchor(self, records: int, access: int, unwraps: int, forged: bool) -> None:
        old, new = self.heads[-1] if self.heads else (0, 0, 0), (records, access, unwraps)
        if forged and old[0] == 0:
            return  # a first head is taken on trust
        transaction = self.log.anchor((records, access), old[:2], incarnation=max(1, len(self.heads)), unwraps=unwraps)
        if forged:
            transaction = replace(transaction, records=replace(transaction.records, root=a_digest("forged")))
        behind = any(now < before for before, now in zip(old, new, strict=True))
        same = bool(self.heads) and new == old
        expected = "409" if forged or behind else SAME if same else CHANGED
        assert self.outcome(transaction, A) == expected
        if expected == CHANGED:
            self.heads[-1:] = [new]

    @precondition(lambda self: len(self.heads) > 1)
    @rule(records=st.integers(0, 30), access=st.integers(0, 30))
    def anchor_in_a_former_incarnation(self, records: int, access: int) -> None:
        old = self.heads[-2]
        transaction = self.log.anchor((records, access), old[:2], incarnation=len(self.heads) - 1, unwraps=old[2])
        assert self.outcome(transaction, A) == (SAME if (records, access) == old[:2] else "409")

    @precondition(lambda self: self.heads)
    @rule(records=st.integers(0, 31), access=st.integers(0, 31), caller=st.sampled_from((A, B)))
    def open_incarnation(self, records: int, access: int, caller: str) -> None:
        number = len(self.heads) + 1
        opening = Opening("restore", records, access)
        heads = log_head(self.log.records, 0, 0), log_head(self.log.access, 0, 0)
        last = self.heads[-1]
        fits = records <= last[0] and access <= last[1] and caller == A
        expected = CHANGED if fits else "409"
        assert self.outcome(Anchor(number, opening, *heads, 0), caller) == expected
        if fits:
            self.heads.append((0, 0, 0))

    @invariant()
    def ledger_says_what_the_model_says(self) -> None:
        for name, person in self.people.items():
            patient = Wallet(name).patient
            found = self.channel.query(QueryPatient(patient))
            assert (found["key_epoch"], found["floor"]) == (person.key_epoch, person.floor)
            assert found["status"] == ("closed" if person.closed else "active")
            grants = self.channel.query(QueryGrants(patient, None, 1000))["items"]
            assert {item["id"]: item["status"] for item in grants} == {
                identity: grant["status"] for identity, grant in person.grants.items()
            }
            dissents = self.channel.query(QueryDissents(patient))["items"]
            assert {item["id"]: item["status"] for item in dissents} == person.dissents
        logs = self.channel.query(QueryLog(A))["items"]
        assert [(log["records"]["size"], log["access"]["size"], log["unwraps"]) for log in logs] == self.heads
        assert self.channel.query(QueryLog(B))["items"] == []


TestContract = ContractMachine.TestCase
TestContract.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
