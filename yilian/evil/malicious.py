"""A member that cheats: it holds its own genuine keys, and whatever it runs is altered."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from chaincode.contract import v1
from domain import entries, jcs, transactions
from domain.entries import OrganizationEntry
from domain.errors import Conflict
from domain.identifiers import encode_bytes, identifier
from domain.instants import instant
from domain.ports import Clock
from domain.transactions import BreakGlass, OpenAccess, Transaction, UpdateOrganization
from network.embedded.endorser import SignedProposal
from network.embedded.layout import Layout
from network.embedded.ledger import EmbeddedLedger
from network.embedded.material import load_key_pair
from network.execution import Contract
from node_service import organization_keys, secrets
from node_service.client import exchange_wire, wire
from node_service.client.answers import read_value
from node_service.client.proofs import client_assertion
from node_service.client.transport import Transport
from offchain.envelope.hpke import HPKE_HYBRID, RecipientPrivateKey
from yilian.demo.network import Hospital
from yilian.ledger_commands import SystemClock

ACCESS_LIFETIME: Final = timedelta(minutes=10)
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DIGEST_BYTES: Final = 32
_IDENTIFIER_BYTES: Final = 16
MAX_ANSWER_BYTES: Final = 64 << 20


class ShiftedClock:
    """A clock that was set."""

    def __init__(self, shift: timedelta) -> None:
        self._shift = shift

    def now(self) -> datetime:
        """The present moment, shifted."""
        return datetime.now(UTC) + self._shift


@dataclass(frozen=True, slots=True)
class Opened:
    """An access or emergency that the cheat committed, with the key that only it has."""

    id: str
    patient: str
    key: RecipientPrivateKey = field(repr=False)

    def wire(self) -> exchange_wire.Opening:
        """What the custodian is told."""
        return exchange_wire.Opening(access=self.id, patient=self.patient)


class MaliciousHospital:
    """A consortium member that leaves its own node aside and speaks to ledger and hospitals as it likes."""

    def __init__(self, hospital: Hospital, ledger: Path) -> None:
        self.hospital = hospital
        self._ledger = ledger
        self._secrets = secrets.load(hospital.folder)

    @property
    def msp_id(self) -> str:
        """Its MSP id."""
        return self.hospital.msp_id

    def commit(
        self,
        transaction: Transaction,
        *,
        clock: Clock | None = None,
        contract: Contract = v1.invoke,
        ledger: Path | None = None,
    ) -> str:
        """Put a transaction on the ledger, endorsed by whatever contract and clock the cheat runs.

        Raises:
            YilianError: the contract refused, or the network did not find it valid.
        """
        return self.submit(*transactions.encode(transaction), clock=clock, contract=contract, ledger=ledger)

    def submit(
        self,
        name: str,
        arguments: bytes,
        *,
        clock: Clock | None = None,
        contract: Contract = v1.invoke,
        ledger: Path | None = None,
    ) -> str:
        """Put on the ledger whatever arguments the cheat writes, also such as no honest client makes.

        Raises:
            YilianError: the contract refused, or the network did not find it valid.
        """
        with EmbeddedLedger(
            ledger or self._ledger, self.msp_id, clock or SystemClock(), os.urandom, contract=contract
        ) as opened:
            tx_id = opened.submit(name, arguments)
            status = opened.status(tx_id)
        if status is None or not status.valid:
            raise Conflict("the network found the transaction invalid", reason="not-valid")
        return tx_id

    def endorse(self, transaction: Transaction, *, clock: Clock | None = None) -> bytes:
        """An envelope that peers have endorsed, and that nobody has ordered yet."""
        with EmbeddedLedger(self._ledger, self.msp_id, clock or SystemClock(), os.urandom) as opened:
            return opened.assemble(opened.endorse(opened.propose(*transactions.encode(transaction))))

    def propose_as(self, other: str, transaction: Transaction) -> None:
        """Have a transaction endorsed that names another member as its creator, signed with the cheat's own key.

        Raises:
            YilianError: the peers refused.
        """
        own = load_key_pair(Layout(self._ledger).identity(self.msp_id, "node")).signer(self.msp_id)
        with EmbeddedLedger(self._ledger, other, SystemClock(), os.urandom) as opened:
            proposal = opened.propose(*transactions.encode(transaction)).proposal
            opened.endorse(SignedProposal(proposal, own.sign(proposal.serialize())))

    def order(self, envelope: bytes) -> None:
        """Order an endorsed envelope.

        Raises:
            Conflict: the network did not find it valid; the reason is its code.
        """
        with EmbeddedLedger(self._ledger, self.msp_id, SystemClock(), os.urandom) as opened:
            status = opened.status(opened.broadcast(envelope))
        if status is None or not status.valid:
            raise Conflict("the network found the transaction invalid", reason=status.code if status else "not-valid")

    def open_access(
        self,
        patient: str,
        grant: str,
        practitioner: str,
        purpose: str = "TREAT",
        *,
        clock: Clock | None = None,
        until: datetime | None = None,
    ) -> Opened:
        """Announce a read, with a one-use key of its own; ``until``: its grant's end, where that is near."""
        opened, transaction = _access(patient, grant, practitioner, purpose, _end(clock, until))
        self.commit(transaction, clock=clock)
        return opened

    def endorse_access(
        self,
        patient: str,
        grant: str,
        practitioner: str,
        *,
        clock: Clock | None = None,
        until: datetime | None = None,
    ) -> tuple[Opened, bytes]:
        """A read whose announcement is endorsed and not ordered."""
        opened, transaction = _access(patient, grant, practitioner, "TREAT", _end(clock, until))
        return opened, self.endorse(transaction, clock=clock)

    def break_glass(
        self,
        custodian: str,
        tag: str,
        practitioner: str,
        *,
        reader_digest: str | None = None,
        clock: Clock | None = None,
    ) -> Opened:
        """Announce an emergency for whomever the subject tag commits to."""
        opened, transaction = emergency(
            custodian, tag, practitioner, reader_digest or fresh_digest(), _end(clock, None)
        )
        self.commit(transaction, clock=clock)
        return opened

    @contextmanager
    def registered_at(self, url: str) -> Iterator[None]:
        """For a while its own entry in the registry names this address."""
        with EmbeddedLedger(self._ledger, self.msp_id, SystemClock(), os.urandom) as opened:
            found = opened.evaluate("QueryOrganization", {"msp": self.msp_id})
        entry = entries.parse(OrganizationEntry, jcs.canonical(found))
        self.commit(UpdateOrganization(url, entry.keys, entry.witness_url))
        try:
            yield
        finally:
            self.commit(UpdateOrganization(entry.url, entry.keys, entry.witness_url))

    def assertion(self, target: Hospital, *, issuer: str | None = None) -> str:
        """A signed claim of who asks; ``issuer`` is whom the cheat claims to be."""
        return client_assertion(
            issuer or self.msp_id,
            organization_keys.signing_kid(self._secrets),
            self._sign,
            audience=target.msp_id,
            now_s=time.time(),
        )

    def token(self, target: Hospital, assertion: str | None = None) -> str:
        """Trade an assertion for a token."""
        body = exchange_wire.ExchangeToken(
            grant_type="client_credentials",
            client_assertion_type=_ASSERTION_TYPE,
            client_assertion=assertion or self.assertion(target),
        )
        with Transport(target.url) as transport:
            answer = transport.call("POST", "/exchange/token", body=body)
        return read_value(wire.Token, answer.content).access_token

    def ask(
        self,
        target: Hospital,
        method: str,
        path: str,
        body: wire.Wire | None = None,
        *,
        token: str | None = None,
        **query: str,
    ) -> bytes:
        """Call a route of the exchange with a token, of its own unless another is named."""
        with Transport(target.url) as transport:
            headers = {"Authorization": f"Bearer {token or self.token(target)}", **_range(path)}
            return transport.call(
                method, path, body=body, params=query, headers=headers, max_bytes=MAX_ANSWER_BYTES
            ).content

    def search(
        self, target: Hospital, opened: Opened, patient: str | None = None, *, token: str | None = None
    ) -> wire.RecordPage:
        """Ask what may be read under an opening."""
        opening = opened.wire().model_copy(update={"patient": patient or opened.patient})
        body = exchange_wire.ExchangeSearch(opening=opening)
        answer = self.ask(target, "POST", "/exchange/search", body, token=token)
        return read_value(wire.RecordPage, answer)

    def fetch(self, target: Hospital, opened: Opened, digest: str) -> bytes:
        """Ask for the first sealed bytes of an object."""
        return self.ask(target, "GET", f"/exchange/objects/{digest}", access=opened.id)

    def release(
        self, target: Hospital, opened: Opened, records: list[str], *, key: RecipientPrivateKey | None = None
    ) -> exchange_wire.Released:
        """Ask for records and their keys."""
        body = exchange_wire.ExchangeRelease(
            opening=opened.wire(), public_key=encode_bytes((key or opened.key).public.raw), records=records
        )
        return read_value(exchange_wire.Released, self.ask(target, "POST", "/exchange/release", body))

    @property
    def _sign(self) -> Callable[[bytes], bytes]:
        return lambda message: organization_keys.sign(self._secrets, message)


def emergency(
    custodian: str, tag: str, practitioner: str, reader_digest: str, valid_until: str
) -> tuple[Opened, BreakGlass]:
    """An emergency that nobody has announced yet."""
    opened = Opened(fresh_id(), "", RecipientPrivateKey.generate(HPKE_HYBRID))
    transaction = BreakGlass(
        id=opened.id,
        custodian=custodian,
        subject_tag=tag,
        practitioner=practitioner,
        reason="unconscious",
        categories=("allergy",),
        key_digest=opened.key.public.digest,
        reader_digest=reader_digest,
        valid_until=valid_until,
    )
    return opened, transaction


def _end(clock: Clock | None, until: datetime | None) -> str:
    """When an access ends that is opened now by this clock, at ``until`` at the latest."""
    longest = (clock or SystemClock()).now() + ACCESS_LIFETIME
    return instant(longest if until is None else min(longest, until))


def _access(patient: str, grant: str, practitioner: str, purpose: str, valid_until: str) -> tuple[Opened, OpenAccess]:
    opened = Opened(fresh_id(), patient, RecipientPrivateKey.generate(HPKE_HYBRID))
    transaction = OpenAccess(
        id=opened.id,
        patient=patient,
        grant=grant,
        practitioner=practitioner,
        purpose=purpose,
        key_digest=opened.key.public.digest,
        reader_digest=fresh_digest(),
        valid_until=valid_until,
    )
    return opened, transaction


def fresh_id() -> str:
    """A random identifier."""
    return identifier(os.urandom(_IDENTIFIER_BYTES))


def fresh_digest() -> str:
    """A digest of nothing in particular."""
    return encode_bytes(os.urandom(_DIGEST_BYTES))


def _range(path: str) -> dict[str, str]:
    return {"Range": "bytes=0-65535"} if path.startswith("/exchange/objects/") else {}
