"""Refusals on their way: to several hospitals at once, and believed only when they are proven.

A relay that says yes may have kept the statement to itself. So a revoke goes to the custodian and to at least two
hospitals beside it and the grantee, counts as revoked by a receipt alone, and as effective by the custodian's signed
word alone; whatever else is said is "sent, not yet proven".
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from domain import effective, jcs, receipts
from domain.effective import Effective
from domain.errors import Conflict, Denied, Invalid, NotFound, OutcomeUnknown, Tampered, YilianError
from domain.identifiers import encode_bytes
from domain.receipt_form import parse_receipt
from domain.receipts import VerifiedReceipt
from node_service.client import wire
from node_service.client.wallet_client import WalletClient
from patient_wallet.members import KnownMembers
from patient_wallet.registration import Registration, Signed

RELAYS: Final = 3
PROOF_WITHIN_S: Final = 8.0
POLL_S: Final = 0.1
_FINAL: Final = (Invalid, Denied, Conflict, NotFound)


@dataclass(frozen=True, slots=True)
class Refused:
    """A revoke, revoke-all or dissent that was sent.

    Attributes:
        block: where a hospital says that it is, which proves nothing; None where no answer came.
        accepted_by: addresses of hospitals that said yes.
        receipt: proof that the ledger holds it, by members that take no part in it.
        effective: the custodian's signed word that it binds there.
        has_witnesses: False where no member runs a witness: then there is no proof to wait for.
    """

    id: str
    block: int | None
    accepted_by: tuple[str, ...]
    receipt: VerifiedReceipt | None
    effective: Effective | None
    has_witnesses: bool

    @property
    def state(self) -> str:
        """``effective``, ``revoked`` or ``sent``."""
        if self.effective is not None:
            return "effective"
        return "sent" if self.receipt is None else "revoked"


@dataclass(frozen=True, slots=True)
class Relay:
    """Sends one patient's statements and looks for their proofs.

    Args:
        client: a client without a session for an address.
        members: None where nobody could be asked who they are, or they do not agree.
        others: addresses known from elsewhere, for that case.
    """

    client: Callable[[str], WalletClient]
    registration: Registration
    members: KnownMembers | None
    proof_within_s: float = PROOF_WITHIN_S
    others: Sequence[str] = ()

    def addresses(self, grantee: str | None, through: str | None) -> list[str]:
        """The custodian, the one that the patient names, and others beside the grantee."""
        own = self.registration.msp_id
        if self.members is None:
            others = list(dict.fromkeys(self.others))
        else:
            others = [url for msp, url in sorted(self.members.urls.items()) if msp not in (own, grantee)][:RELAYS]
        named = [] if through is None else [through.rstrip("/")]
        return list(dict.fromkeys([*named, self.registration.url.rstrip("/"), *others]))

    def send(self, signed: Signed, addresses: Sequence[str]) -> dict[str, wire.Committed]:
        """Hand the statement to all at once; return who says that it is on the ledger.

        Raises:
            YilianError: nobody took it; a refusal rather than that somebody was down.
        """
        with ThreadPoolExecutor(len(addresses)) as pool:
            answers = list(pool.map(lambda url: self._sent(url, signed), addresses))
        taken = {url: one for url, one in zip(addresses, answers, strict=True) if isinstance(one, wire.Committed)}
        errors = [one for one in answers if isinstance(one, YilianError)]
        if not taken:
            final = [error for error in errors if isinstance(error, _FINAL)]
            unknown = [error for error in errors if isinstance(error, OutcomeUnknown)]
            raise (final or unknown or errors)[0]
        return taken

    def prove(self, signed: Signed, taken: dict[str, wire.Committed], parties: Collection[str]) -> Refused:
        """Look for receipt and effect until both are there or the time is over."""
        deadline = time.monotonic() + self.proof_within_s
        receipt: VerifiedReceipt | None = None
        word: Effective | None = None
        wanted = self.members is not None and self.members.has_witnesses
        while True:
            receipt = receipt or (self._receipt(signed, parties) if wanted else None)
            word = word or self._effective(signed)
            if (word is not None and (receipt is not None or not wanted)) or time.monotonic() >= deadline:
                break
            time.sleep(POLL_S)
        block = min((one.block for one in taken.values()), default=None)
        return Refused(signed.id, block, tuple(taken), receipt, word, wanted)

    def _sent(self, url: str, signed: Signed) -> wire.Committed | YilianError:
        try:
            return self.client(url).relay_statement(signed.text, signed.signature)
        except YilianError as error:
            return error

    def _receipt(self, signed: Signed, parties: Collection[str]) -> VerifiedReceipt | None:
        """From whoever has one: it is verified, so it does not matter who gives it."""
        assert self.members is not None  # noqa: S101 - asked only where there are members
        for url in dict.fromkeys([self.registration.url.rstrip("/"), *self.members.urls.values()]):
            try:
                encoded = self.client(url).statement_receipt(self.registration.patient, signed.id)
                return verify_statement_receipt(encoded, self.members, self.registration, signed, parties)
            except YilianError:
                continue
        return None

    def _effective(self, signed: Signed) -> Effective | None:
        keys = [] if self.members is None else self.members.signing_keys(self.registration.msp_id)
        try:
            said = self.client(self.registration.url).statement_effective(self.registration.patient, signed.id)
            word = effective.verify_effective(
                said,
                channel=self.registration.channel,
                custodian=self.registration.msp_id,
                statement=signed.id,
                keys=keys,
            )
        except YilianError:
            return None
        return word if word.patient == self.registration.patient else None


def verify_statement_receipt(
    encoded: bytes, members: KnownMembers, registration: Registration, signed: Signed, parties: Collection[str]
) -> VerifiedReceipt:
    """Verify that a receipt proves that the ledger accepted this very statement.

    Raises:
        Tampered: it proves something else, or nothing.
        Unavailable: too few signatures (``not-witnessed``).
    """
    receipt = receipts_of(encoded)
    verified = receipts.verify_receipt(receipt, members.file, {registration.msp_id, *parties})
    digest = encode_bytes(hashlib.sha256(signed.text.encode()).digest())
    key = "\0".join(("", "statement-used", registration.patient, signed.id, ""))
    value = jcs.parse_object(verified.proven.value.encode())
    if (verified.proven.kind, verified.proven.key, value.get("digest")) != ("write", key, digest):
        raise Tampered("the receipt is about something else", reason="other-receipt")
    return verified


def receipts_of(encoded: bytes) -> receipts.Receipt:
    """A receipt as a hospital sent it.

    Raises:
        Tampered: it is none.
    """
    try:
        return parse_receipt(encoded)
    except Invalid as error:
        raise Tampered("the hospital's receipt is none", reason="receipt-form") from error
