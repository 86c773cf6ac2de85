"""The wallet's use cases: enrol, see, grant, revoke, who read what, export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from domain import leaves, messages
from domain.errors import Conflict, Denied, Invalid, NotFound, Tampered, Unavailable, YilianError
from domain.identifiers import check_identifier, decode_bytes
from domain.receipts import VerifiedReceipt
from domain.statements import MAX_EPOCH, Enrol, Revoke, RevokeEverything
from domain.vocabulary import CATEGORIES
from node_service.client import wire
from node_service.client.answers import read_value
from node_service.client.wallet_client import WalletClient
from offchain.envelope.composite import Member
from offchain.envelope.content import PlainBytes
from offchain.envelope.messages import SealedMessage, open_message
from patient_wallet.drafts import GrantChoice, draft_dissent
from patient_wallet.erasure import Erasures
from patient_wallet.granting import SALT_BYTES, Granting
from patient_wallet.hospitals import Connect, Hospitals, Now, Random
from patient_wallet.keys import derive
from patient_wallet.members import BOX as MEMBERS_BOX
from patient_wallet.members import KnownMembers, gather, renewed
from patient_wallet.opening import MAX_RECORD_BYTES, OpenedRecord, fetch_object, open_member, open_record
from patient_wallet.receipts import row_receipt, verified_rows, verify_own_receipt
from patient_wallet.refusing import PROOF_WITHIN_S, Refused, Relay
from patient_wallet.registration import Registration, Signed
from patient_wallet.told import Access, Granted, Request
from patient_wallet.vault import SEED_BOX, Vault
from patient_wallet.words import seed_of

_NONE_FIRST_EPOCH: Final = 1

Verified = TypeVar("Verified")
Read = TypeVar("Read", wire.ReaderCard, wire.AccessRequestContent)


class Wallet:
    """A patient's wallet over an open vault. Each call opens only the box of the hospital concerned."""

    def __init__(
        self, vault: Vault, connect: Connect, random: Random, now: Now, *, proof_within_s: float = PROOF_WITHIN_S
    ) -> None:
        self._vault, self._random, self._now = vault, random, now
        self._hospitals = Hospitals(vault, connect, random, now)
        self._granting = Granting(vault, self._hospitals, random, now)
        self._proof_within_s = proof_within_s
        self._members: dict[str, KnownMembers] = {}

    # --- Hospitals --------------------------------------------------------------------------------------------------

    def hospitals(self) -> dict[str, str]:
        """MSP id → name of the hospitals at which this wallet is enrolled."""
        return self._hospitals.names()

    def registration(self, msp_id: str) -> Registration:
        """The registration at a hospital.

        Raises:
            NotFound: the wallet is not enrolled there.
        """
        return self._hospitals.registration(msp_id)

    def enrol(self, url: str, code: str) -> Registration:
        """Enrol at a hospital with the one-time code from its counter.

        The seed is opened; the keys for this hospital are derived and kept before they are bound, so that nothing is
        lost if the answer is lost.

        Raises:
            Denied: the code is not valid any more.
            Conflict: already enrolled there.
        """
        client = self._hospitals.stranger(url)
        try:
            offer = client.start_enrolment(code)
        except NotFound:
            raise Denied(
                "the code is not valid, or not any more; ask for another at the counter", reason="code"
            ) from None
        card = offer.hospital
        if card.msp_id in self.hospitals():
            raise Conflict(f"this wallet is enrolled at {card.msp_id} already", reason="enrolled")
        keys = derive(seed_of(self._vault.get(SEED_BOX)["words"]), card.msp_id, _NONE_FIRST_EPOCH)
        registration = Registration(
            card.msp_id, card.name, url, card.channel, offer.patient, keys, grant_epoch=_NONE_FIRST_EPOCH
        )
        signed = registration.sign(Enrol(keys.public), statement=self._hospitals.identifier(), now=self._now())
        self._hospitals.remember(registration)
        try:
            client.finish_enrolment(wire.EnrolmentFinish(code=code, statement=signed.text, signature=signed.signature))
        except (Invalid, Denied, NotFound, Conflict):
            self._hospitals.forget(registration.msp_id)
            raise
        return registration

    # --- Records ----------------------------------------------------------------------------------------------------

    def records(self, msp_id: str) -> Iterator[wire.RecordEntry]:
        """The own records at a hospital."""
        client, after = self._hospitals.session(msp_id), None
        while True:
            page = client.records(after)
            yield from page.items
            if page.next is None:
                return
            after = page.next

    def open(self, msp_id: str, record: str) -> OpenedRecord:
        """Fetch, verify and open one record with the own wrap.

        Raises:
            Invalid: this is no record id.
            Tampered: what the hospital sent does not fit its leaf, or is another record than the one asked for.
            NotFound: no such record.
            Conflict: the hospital has not wrapped its key to this wallet yet; try again shortly.
        """
        check_identifier(record, "record")
        registration, client = self.registration(msp_id), self._hospitals.session(msp_id)
        sealed = client.sealed_record(record)
        if sealed.entry.record != record:
            raise Tampered("the hospital answered with another record", reason="other-record", place=record)
        data = None if sealed.sealed is None else decode_bytes(sealed.sealed, "sealed", max_length=MAX_RECORD_BYTES)
        if data is None:
            leaf = leaves.parse_record_leaf(decode_bytes(sealed.leaf, "leaf"))
            data = fetch_object(client, leaf.digest)
        return open_record(sealed, data, keys=registration.keys, patient=registration.patient)

    def open_member(self, msp_id: str, member: Member) -> PlainBytes:
        """Fetch, verify and open one member of a composite record."""
        return open_member(member, fetch_object(self._hospitals.session(msp_id), member.digest))

    # --- Grants -----------------------------------------------------------------------------------------------------

    def preview(self, msp_id: str, choice: GrantChoice) -> wire.Preview:
        """What the reader would see today, and how much is withheld; nothing is signed."""
        return self._granting.preview(msp_id, choice)

    def grant(self, msp_id: str, choice: GrantChoice, grantee_url: str) -> Granted:
        """Sign a grant, put it on the ledger, hand the package over: see :meth:`Granting.grant`, for errors too."""
        return self._granting.grant(msp_id, choice, grantee_url)

    def deliver_packages(self) -> dict[str, YilianError]:
        """Hand waiting packages to their grantees; return, by grant, why one could not be handed over now."""
        return self._granting.deliver_packages()

    def revoke(self, msp_id: str, target: str, *, kind: str = "grant", through: str | None = None) -> Refused:
        """Revoke one grant or withdraw one dissent, through the custodian and other members at once.

        Works also for a grant that is not on the ledger yet: it is refused for ever then. ``through``: address of a
        further member that relays it.
        """
        registration = self.registration(msp_id)
        signed = registration.sign(Revoke(kind, target), statement=self._hospitals.identifier(), now=self._now())
        return self._relay(registration, signed, through, self._grantee(msp_id, target))

    def revoke_all(self, msp_id: str, *, through: str | None = None) -> Refused:
        """Revoke every grant at a hospital by raising the floor of grant epochs.

        The custodian is asked for the present floor, since this file may be an old copy; where ``through`` names
        another member, it works without an answer from the custodian too.
        """
        try:
            registration = self._hospitals.with_floor(msp_id, self._hospitals.session(msp_id).grants().floor)
        except YilianError:
            if through is None:
                raise
            registration = self.registration(msp_id)
        floor = min(registration.grant_epoch + 1, MAX_EPOCH)
        signed = registration.sign(RevokeEverything(floor), statement=self._hospitals.identifier(), now=self._now())
        done = self._relay(registration, signed, through, None)
        self._hospitals.with_floor(msp_id, floor)
        return done

    def dissent(
        self, msp_id: str, categories: Sequence[str] = CATEGORIES, purposes: Sequence[str] = ("BTG",)
    ) -> Refused:
        """Refuse for everybody, whatever is granted; by default break-glass for all categories.

        The custodian gets the full Consent, others the signed statement, so that nobody alone can keep it quiet.
        """
        registration = self.registration(msp_id)
        draft = draft_dissent(
            categories, purposes, statement=self._hospitals.identifier(), patient=registration.patient,
            custodian=msp_id, salt=self._random(SALT_BYTES), now=self._now(),
        )  # fmt: skip
        signed = registration.sign(draft.terms, statement=draft.id, now=self._now())
        relays, own = self._relays(registration), registration.url.rstrip("/")
        taken: dict[str, wire.Committed] = {}
        others = [url for url in relays.addresses(None, None) if url != own]
        try:
            taken[own] = self._hospitals.session(msp_id).dissent(draft.signed(signed.text, signed.signature))
        except YilianError:
            taken |= relays.send(signed, others or [own])
        else:
            with suppress(YilianError):
                taken |= relays.send(signed, others) if others else {}
        return relays.prove(signed, taken, ())

    def grants(self, msp_id: str) -> wire.GrantPage:
        """All grants and dissents at a hospital."""
        return self._hospitals.session(msp_id).grants()

    # --- Who asks, who read -----------------------------------------------------------------------------------------

    def requests(self, msp_id: str) -> list[Request]:
        """The requests for access, opened; one that does not open hides no other."""
        registration = self.registration(msp_id)
        opened = []
        for entry in self._hospitals.session(msp_id).requests():
            info = messages.access_request(entry.id, registration.patient)
            content = self._read(registration, info, entry.message, wire.AccessRequestContent)
            opened.append(Request(entry.id, entry.requester, content))
        return opened

    def accesses(self, msp_id: str, *, proven: bool = False) -> Iterator[Access]:
        """Who read what and what was released, as the custodian tells from its access log, oldest first.

        With ``proven`` receipts are fetched and verified too; one that proves something else is Tampered.
        """
        registration, client, after = self.registration(msp_id), self._hospitals.session(msp_id), None
        receipts = self._verified_rows(client, msp_id) if proven else {}
        while True:
            page = client.accesses(after)
            for item in page.items:
                row = leaves.parse_access_leaf(decode_bytes(item.leaf, "leaf"))
                info = messages.reader(row.access or row.id, registration.patient)
                sent = item.reader is not None
                reader = self._read(registration, info, item.reader, wire.ReaderCard)
                unreadable = sent and reader is None
                yield Access(row, reader, item.path is not None, unreadable, receipts.get(item.leaf))
            if page.next is None:
                return
            after = page.next

    def notices(self, msp_id: str) -> list[wire.NoticeEntry]:
        """What the hospital has to tell, a broken glass above all."""
        return self._hospitals.session(msp_id).notices()

    @property
    def erasures(self) -> Erasures:
        """Asking for erasure, and its certificates."""
        return Erasures(
            self._vault,
            self.registration,
            self._hospitals.session,
            self.members,
            self.members_anew,
            self._hospitals.stranger,
            self._random,
            self._now,
        )

    # --- Proofs -----------------------------------------------------------------------------------------------------

    def members(self, msp_id: str) -> KnownMembers:
        """Whose signatures count on the channel of a hospital: asked of several hospitals, which must agree.

        Raises:
            Unavailable: nobody answers, and nothing is known from before.
            Tampered: the hospitals do not agree.
        """
        return self._members.get(msp_id) or self.members_anew(msp_id)

    def members_anew(self, msp_id: str) -> KnownMembers:
        """As :meth:`members`, whatever this wallet was told before."""
        registration, name = self.registration(msp_id), f"{MEMBERS_BOX}:{msp_id}"
        before = KnownMembers.from_box(box) if (box := self._hospitals.box(name)) else None
        try:
            known = gather(
                self._hospitals.stranger,
                registration.channel,
                [registration.url, *self._hospitals.others(registration)],
            )
        except Unavailable:
            if before is None:
                raise
            return before
        known = renewed(self._members.get(msp_id), known)
        self._members[msp_id] = known
        self._vault.put(name, known.to_box())
        return known

    def receipt(self, msp_id: str, kind: str, name: str) -> tuple[bytes, VerifiedReceipt]:
        """A receipt of the patient, verified: its bytes, which anybody can verify again, and what they prove.

        Args:
            kind: ``record``, ``grant``, ``dissent``, ``statement-used``, ``access``, ``emergency``, ``access-row``.

        Raises:
            NotFound: there is nothing of this name.
            Unavailable: not witnessed yet (``not-witnessed``).
            Tampered: it proves something else.
        """
        check_identifier(name, "id")
        client = self._hospitals.session(msp_id)
        encoded = row_receipt(client, name) if kind == "access-row" else client.receipt(kind, name)
        registration = self.registration(msp_id)
        return encoded, self._by_members(
            msp_id, lambda members: verify_own_receipt(encoded, members, registration, kind, name)
        )

    # --- Within -----------------------------------------------------------------------------------------------------

    def _by_members(self, msp_id: str, verify: Callable[[KnownMembers], Verified]) -> Verified:
        """What the members vouch for; before it is called wrong they are asked anew, for members and keys change."""
        try:
            return verify(self.members(msp_id))
        except Tampered:
            return verify(self.members_anew(msp_id))

    def _relays(self, registration: Registration) -> Relay:
        """Whatever is wrong with the members stops no refusal: it only stays unproven."""
        try:
            members: KnownMembers | None = self.members(registration.msp_id)
        except YilianError:
            members = None
        return Relay(
            self._hospitals.stranger, registration, members, self._proof_within_s, self._hospitals.others(registration)
        )

    def _relay(self, registration: Registration, signed: Signed, through: str | None, grantee: str | None) -> Refused:
        relays = self._relays(registration)
        taken = relays.send(signed, relays.addresses(grantee, through))
        return relays.prove(signed, taken, () if grantee is None else (grantee,))

    def _verified_rows(self, client: WalletClient, msp_id: str) -> dict[str, VerifiedReceipt]:
        """A hospital that gives no receipts hides no line of who read."""
        try:
            return self._by_members(msp_id, lambda members: verified_rows(client, members, msp_id))
        except (Unavailable, NotFound):
            return {}

    def _grantee(self, msp_id: str, grant: str) -> str | None:
        """Who was granted, as this wallet noted when it signed."""
        noted = self._hospitals.box(f"granted:{msp_id}").get(grant)
        return noted if isinstance(noted, str) else None

    @staticmethod
    def _read(
        registration: Registration, info: messages.Info, message: wire.SealedMessage | None, kind: type[Read]
    ) -> Read | None:
        """What another hospital sealed to this wallet; None where there is nothing, or nothing that can be read."""
        if message is None:
            return None
        try:
            sealed = decode_bytes(message.sealed, "sealed", max_length=1 << 20)
            opened = open_message(registration.keys.wrap, info, SealedMessage(message.alg, message.kid, sealed))
            return read_value(kind, opened)
        except (Invalid, Denied, Tampered):
            return None
