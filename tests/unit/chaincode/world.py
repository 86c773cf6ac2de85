"""A channel in memory and the people on it: submits through the real stub, commits what is valid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chaincode.contract.v1 import invoke
from chaincode.stub import (
    Creator,
    KeyModification,
    SimulationResult,
    StateValue,
    TransactionStub,
    Version,
)
from domain import merkle, queries, transactions
from domain.identifiers import encode_bytes, identifier
from domain.instants import instant, moment
from domain.statements import (
    Body,
    DissentTerms,
    Enrol,
    Envelope,
    GrantTerms,
    PatientKeys,
    Revoke,
    RevokeEverything,
    Statement,
)
from domain.vocabulary import KEY_BYTES

CHANNEL = "medical"
NOW = "2026-03-01T12:00:00Z"
A, B, C = "HospitalAMSP", "HospitalBMSP", "HospitalCMSP"
NODE = ("client",)


class Refused(Exception):
    """The contract answered with an error; its text is status, reason and, where there is one, place."""

    def __init__(self, status: int, reason: str, place: str) -> None:
        super().__init__(f"{status} {reason} {place}".rstrip())
        self.status = status
        self.reason = reason
        self.place = place


def refused(result: SimulationResult) -> Refused:
    """The contract's error; each one explains itself in a sentence."""
    message = json.loads(result.response.message)
    assert set(message) == {"detail", "place", "reason"}
    assert " " in message["detail"]
    return Refused(result.response.status, message["reason"], message["place"])


def seeded(name: str, count: int = 32) -> bytes:
    """Bytes that are always the same for a name."""
    return sha256(name.encode()).digest()[:count]


def an_id(name: str) -> str:
    """An identifier that is always the same for a name."""
    return identifier(seeded(name, 16))


def a_digest(name: str) -> str:
    """A digest that is always the same for a name."""
    return encode_bytes(seeded(name))


def after(seconds: int, start: str = NOW) -> str:
    """The instant so many seconds after the scene's present."""
    return instant(moment(start) + timedelta(seconds=seconds))


class MemoryChannel:
    """Committed state with versions and history; implements ``StateReader``."""

    def __init__(self) -> None:
        self.state: dict[str, StateValue] = {}
        self.past: dict[str, list[KeyModification]] = {}
        self.height = 1
        self.last: SimulationResult | None = None

    def get(self, key: str) -> StateValue | None:
        return self.state.get(key)

    def range(self, start: str, end: str) -> Iterator[tuple[str, StateValue]]:
        for key in sorted(self.state, key=str.encode):
            if start.encode() <= key.encode() and (not end or key.encode() < end.encode()):
                yield key, self.state[key]

    def history(self, key: str) -> Iterator[KeyModification]:
        yield from reversed(self.past.get(key, []))

    def stub(self, caller: str = A, at: str | datetime = NOW, creator: Creator | None = None) -> TransactionStub:
        return TransactionStub(
            self,
            tx_id=sha256(str(self.height).encode()).hexdigest(),
            timestamp=moment(at) if isinstance(at, str) else at,
            channel=CHANNEL,
            creator=creator or Creator(caller, {}, NODE),
        )

    def simulate(
        self, name: str, arguments: bytes, caller: str = A, at: str | datetime = NOW, creator: Creator | None = None
    ) -> SimulationResult:
        """Endorse only."""
        stub = self.stub(caller, at, creator)
        return stub.result(invoke(stub, name, arguments))

    def commit(self, result: SimulationResult, tx_id: str = "tx", at: str = NOW) -> None:
        """Apply the writes as one block."""
        for write in result.writes:
            self.past.setdefault(write.key, []).append(KeyModification(tx_id, moment(at), write.value))
            if write.value is None:
                self.state.pop(write.key, None)
            else:
                self.state[write.key] = StateValue(write.value, Version(self.height, 0))
        self.height += 1

    def submit(self, transaction: transactions.Transaction, caller: str = A, at: str = NOW) -> bool:
        """Endorse and commit; True if something changed.

        Raises:
            Refused: the contract's own answer.
        """
        result = self.simulate(*transactions.encode(transaction), caller, at)
        self.last = result
        if result.response.status != 200:
            assert not result.writes
            assert result.event is None
            raise refused(result)
        changed = json.loads(result.response.payload)["changed"]
        assert bool(result.writes) == changed == (result.event is not None)
        self.commit(result, at=at)
        assert isinstance(changed, bool)
        return changed

    def query(self, query: queries.Query, caller: str = A) -> Any:
        """The answer to a query.

        Raises:
            Refused: the contract's own answer.
        """
        result = self.simulate(*queries.encode(query), caller)
        if result.response.status != 200:
            raise refused(result)
        assert result.writes == ()
        return json.loads(result.response.payload)

    def written(self) -> dict[str, Any]:
        """The last writes, keys joined by "/"."""
        assert self.last is not None
        return {
            "/".join(part for part in write.key.split("\0") if part): json.loads(write.value or b"null")
            for write in self.last.writes
        }

    def event(self) -> tuple[str, Any] | None:
        """Name and payload of the last event."""
        assert self.last is not None
        found = self.last.event
        return None if found is None else (found.name, json.loads(found.payload))


def organization_key(
    kid: str = "k1", *, use: str = "signing", until: str | None = None, holder: str = A
) -> transactions.OrganizationKey:
    algorithm = {"signing": "Ed25519", "witness": "Ed25519", "seal": "HPKE-MLKEM768-X25519", "tls": "SHA-256"}[use]
    raw = seeded(kid) * (KEY_BYTES[use] // 32)
    if algorithm == "Ed25519":
        raw = Ed25519PrivateKey.from_private_bytes(seeded(f"{kid} of {holder}")).public_key().public_bytes_raw()
    return transactions.OrganizationKey(use, algorithm, kid, encode_bytes(raw), "2026-01-01T00:00:00Z", until)


def registration(name: str = "a") -> transactions.RegisterOrganization:
    holder = A if name == "a" else name
    return transactions.RegisterOrganization(f"https://{name}.example", (organization_key(holder=holder),))


@dataclass(frozen=True, slots=True)
class Wallet:
    """A patient's keys at one hospital, and what the wallet believes its epochs to be."""

    name: str
    custodian: str = A
    key_epoch: int = 1
    grant_epoch: int = 1

    @property
    def patient(self) -> str:
        return an_id(f"patient {self.name}")

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(seeded(f"key {self.name} {self.key_epoch}"))

    @property
    def keys(self) -> PatientKeys:
        signing = self.private.public_key().public_bytes_raw()
        return PatientKeys("Ed25519", encode_bytes(signing), "HPKE-X25519", a_digest(f"wrap {self.name}"))

    def text(self, name: str, body: Body, *, anchor_by: str | None = None, channel: str = CHANNEL) -> str:
        envelope = Envelope(
            id=an_id(name),
            channel=channel,
            patient=self.patient,
            custodian=self.custodian,
            key_epoch=self.key_epoch,
            grant_epoch=self.grant_epoch,
            anchor_by=anchor_by or after(3600),
        )
        return Statement(envelope, body).encode()

    def sign(self, text: str) -> str:
        return encode_bytes(self.private.sign(text.encode()))

    def signed(self, name: str, body: Body, **changes: Any) -> tuple[str, str]:
        text = self.text(name, body, **changes)
        return text, self.sign(text)

    def enrol(self, name: str = "enrol", **changes: Any) -> transactions.RegisterPatient:
        return transactions.RegisterPatient(*self.signed(f"{name} {self.name}", Enrol(self.keys), **changes))

    def grant(self, name: str, terms: GrantTerms | None = None, **changes: Any) -> transactions.AuthorizeAccess:
        return transactions.AuthorizeAccess(*self.signed(name, terms or grant_terms(), **changes))

    def dissent(self, name: str, terms: DissentTerms | None = None, **changes: Any) -> transactions.Dissent:
        return transactions.Dissent(*self.signed(name, terms or dissent_terms(), **changes))

    def revoke(self, name: str, target: str, kind: str = "grant", **changes: Any) -> transactions.RevokeAccess:
        return transactions.RevokeAccess(*self.signed(name, Revoke(kind, an_id(target)), **changes))

    def revoke_all(self, name: str, floor: int, **changes: Any) -> transactions.RevokeAll:
        return transactions.RevokeAll(*self.signed(name, RevokeEverything(floor), **changes))

    def next_epoch(self) -> Wallet:
        return replace(self, key_epoch=self.key_epoch + 1)


def grant_terms(**changes: Any) -> GrantTerms:
    terms = GrantTerms(
        grantee=B,
        practitioner=None,
        categories=("medication", "result"),
        purposes=("HRESCH", "TREAT"),
        permissions=("read",),
        valid_from=after(-60),
        valid_until=after(86400),
        recorded_until=NOW,
        consent_digest=a_digest("consent"),
        request=None,
    )
    return replace(terms, **changes)


def dissent_terms(**changes: Any) -> DissentTerms:
    return replace(DissentTerms(("result",), ("BTG", "TREAT"), a_digest("dissent")), **changes)


def open_access(
    name: str, wallet: Wallet, grant: str, *, practitioner: str = "doctor", purpose: str = "TREAT", until: str = ""
) -> transactions.OpenAccess:
    return transactions.OpenAccess(
        id=an_id(name),
        patient=wallet.patient,
        grant=an_id(grant),
        practitioner=an_id(practitioner),
        purpose=purpose,
        key_digest=a_digest("one-use key"),
        reader_digest=a_digest("reader"),
        valid_until=until or after(900),
    )


def break_glass(name: str, custodian: str = A, *, until: str = "") -> transactions.BreakGlass:
    return transactions.BreakGlass(
        id=an_id(name),
        custodian=custodian,
        subject_tag=a_digest("subject"),
        practitioner=an_id("doctor"),
        reason="unconscious",
        categories=("allergy", "medication"),
        key_digest=a_digest("one-use key"),
        reader_digest=a_digest("reader"),
        valid_until=until or after(4 * 3600),
    )


class Log:
    """A hospital's two logs, growing."""

    def __init__(self) -> None:
        self.records = merkle.MemoryTree()
        self.access = merkle.MemoryTree()

    def grow(self, records: int, access: int = 0) -> Log:
        for tree, count in ((self.records, records), (self.access, access)):
            for _ in range(count):
                tree.append(merkle.leaf_hash(str(tree.size).encode()))
        return self

    def anchor(
        self,
        sizes: tuple[int, int],
        former: tuple[int, int] = (0, 0),
        *,
        incarnation: int = 1,
        opening: transactions.Opening | None = None,
        unwraps: int = 0,
    ) -> transactions.Anchor:
        return transactions.Anchor(
            incarnation,
            opening,
            log_head(self.records, former[0], sizes[0]),
            log_head(self.access, former[1], sizes[1]),
            unwraps,
        )


def log_head(tree: merkle.MemoryTree, old: int, new: int) -> transactions.LogHead:
    proof = merkle.consistency_proof(min(old, new), new, tree.read)
    return transactions.LogHead(new, encode_bytes(tree.root(new)), tuple(encode_bytes(item) for item in proof))


def three_hospitals() -> MemoryChannel:
    """A channel on which A, B and C are members."""
    channel = MemoryChannel()
    for caller in (A, B, C):
        assert channel.submit(registration(caller), caller)
    return channel


def utc(year: int, month: int = 1, day: int = 1) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)
