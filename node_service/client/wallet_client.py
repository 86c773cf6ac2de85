"""What a patient's wallet asks a hospital (docs/formats/http.md, ``/wallet``)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Self

from pydantic import TypeAdapter

from domain.errors import Denied
from domain.receipt_form import MAX_RECEIPT_BYTES
from domain.signed_texts import SignedText
from node_service.client import erasure_wire, wire
from node_service.client.answers import read_value
from node_service.client.proofs import Sign, dpop_proof, key_thumbprint
from node_service.client.receipt_wire import EffectiveWord, ReceiptPage, Registry
from node_service.client.transport import Answer, Headers, Params, Transport

_REQUESTS: Final = TypeAdapter(list[wire.IncomingRequestEntry])
_NOTICES: Final = TypeAdapter(list[wire.NoticeEntry])
_ERASURES: Final = TypeAdapter(list[erasure_wire.ErasureCase])


class WalletClient:
    """One wallet at one hospital.

    Args:
        public_key, sign: the Ed25519 key to which session tokens are bound; the private half stays with the wallet.
        now_s: seconds since the epoch, for proofs.
    """

    def __init__(
        self, transport: Transport, public_key: bytes, sign: Sign, now_s: Callable[[], float] = time.time
    ) -> None:
        self.transport = transport
        self._public_key = public_key
        self._sign = sign
        self._now_s = now_s
        self._token: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()

    @property
    def key_thumbprint(self) -> str:
        """What a session's statement names: the RFC 7638 thumbprint of the key."""
        return key_thumbprint(self._public_key)

    # --- Without a session ------------------------------------------------------------------------------------------

    def hospital(self) -> wire.HospitalCard:
        """Who the hospital is."""
        return read_value(wire.HospitalCard, self.transport.call("GET", "/hospital").content)

    def registry(self, msp_id: str) -> wire.RegistryEntry:
        """Another member, as this hospital reads it from the ledger."""
        return read_value(wire.RegistryEntry, self.transport.call("GET", f"/registry/{msp_id}").content)

    def registry_view(self) -> Registry:
        """All members, as this hospital reads them from the ledger."""
        return read_value(Registry, self.transport.call("GET", "/registry").content)

    def statement_effective(self, patient: str, statement: str) -> SignedText:
        """The custodian's signed word that a refusal binds; not verified here.

        Raises:
            NotFound: it does not yet.
        """
        answer = self.transport.call("GET", f"/wallet/statements/{patient}/{statement}/effective")
        word = read_value(EffectiveWord, answer.content)
        return SignedText(word.effective, word.signature)

    def statement_receipt(self, patient: str, statement: str) -> bytes:
        """The receipt that the ledger accepted a statement; not verified here.

        Raises:
            Unavailable: not witnessed yet.
        """
        path = f"/wallet/statements/{patient}/{statement}/receipt"
        return self.transport.call("GET", path, max_bytes=MAX_RECEIPT_BYTES).content

    def start_enrolment(self, code: str) -> wire.EnrolmentOffer:
        """Trade the code for the patient id."""
        answer = self.transport.call("POST", "/wallet/enrolments", body=wire.EnrolmentStart(code=code))
        return read_value(wire.EnrolmentOffer, answer.content)

    def finish_enrolment(self, body: wire.EnrolmentFinish) -> wire.Committed:
        """Bind the wallet's keys."""
        return read_value(wire.Committed, self.transport.call("POST", "/wallet/enrolments/finish", body=body).content)

    def nonce(self, patient: str) -> wire.Nonce:
        """A nonce to be signed for a session."""
        answer = self.transport.call("POST", "/wallet/nonces", body=wire.NonceRequest(patient=patient))
        return read_value(wire.Nonce, answer.content)

    def open_session(self, statement: str, signature: str) -> wire.Token:
        """Open a session that the following calls use."""
        body = wire.WalletSession(statement=statement, signature=signature, key_thumbprint=self.key_thumbprint)
        token = read_value(wire.Token, self.transport.call("POST", "/wallet/sessions", body=body).content)
        self._token = token.access_token
        return token

    def relay_statement(self, statement: str, signature: str) -> wire.Committed:
        """Put a signed revoke, revoke-all or dissent on the ledger, at any hospital."""
        body = wire.SignedStatementBody(statement=statement, signature=signature)
        return read_value(wire.Committed, self.transport.call("POST", "/wallet/statements", body=body).content)

    def deliver_package(self, message: wire.SealedMessage) -> None:
        """Hand a grant package to the hospital that may read."""
        self.transport.call("POST", "/wallet/packages", body=message)

    # --- Within a session -------------------------------------------------------------------------------------------

    def records(self, after: str | None = None) -> wire.RecordPage:
        """A page of the patient's records."""
        return read_value(wire.RecordPage, self._call("GET", "/wallet/records", params={"after": after}).content)

    def sealed_record(self, record: str) -> wire.SealedRecord:
        """A sealed record with its leaf, path and the patient's own wrap."""
        return read_value(wire.SealedRecord, self._call("GET", f"/wallet/records/{record}/sealed").content)

    def sealed_object(self, digest: str, offset: int, length: int) -> bytes:
        """A range of a sealed object; fewer bytes only at its end."""
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        return self._call("GET", f"/wallet/objects/{digest}", headers=headers).content

    def preview(self, body: wire.PreviewRequest) -> wire.Preview:
        """What a reader would see today under such a grant."""
        return read_value(wire.Preview, self._call("POST", "/wallet/preview", body=body).content)

    def grants(self) -> wire.GrantPage:
        """All grants and dissents."""
        return read_value(wire.GrantPage, self._call("GET", "/wallet/grants").content)

    def grant(self, body: wire.ConsentedStatement) -> wire.Committed:
        """Put a grant on the ledger."""
        return read_value(wire.Committed, self._call("POST", "/wallet/grants", body=body).content)

    def dissent(self, body: wire.ConsentedStatement) -> wire.Committed:
        """Put a dissent on the ledger."""
        return read_value(wire.Committed, self._call("POST", "/wallet/dissents", body=body).content)

    def requests(self) -> list[wire.IncomingRequestEntry]:
        """Who asks for access."""
        return read_value(_REQUESTS, self._call("GET", "/wallet/requests").content)

    def accesses(self, after: str | None = None) -> wire.AccessPage:
        """A page of who read what."""
        return read_value(wire.AccessPage, self._call("GET", "/wallet/accesses", params={"after": after}).content)

    def receipt(self, kind: str, name: str) -> bytes:
        """The receipt of something of the patient; not verified here."""
        return self._call("GET", f"/wallet/receipts/{kind}/{name}").content

    def access_row_receipt(self, incarnation: int, index: int) -> bytes:
        """The receipt of one row about the patient; not verified here."""
        return self._call("GET", f"/wallet/receipts/access-rows/{incarnation}/{index}").content

    def access_row_receipts(self, after: str | None = None) -> ReceiptPage:
        """A page of receipts of who read what; none is verified here."""
        answer = self._call("GET", "/wallet/receipts/access-rows", params={"after": after})
        return read_value(ReceiptPage, answer.content)

    def request_erasure(self, body: erasure_wire.ErasureRequest) -> wire.Committed:
        """Ask for erasure of records."""
        return read_value(wire.Committed, self._call("POST", "/wallet/erasures", body=body).content)

    def erasures(self) -> list[erasure_wire.ErasureCase]:
        """The patient's erasure cases with their certificates."""
        return read_value(_ERASURES, self._call("GET", "/wallet/erasures").content)

    def notices(self) -> list[wire.NoticeEntry]:
        """What the patient has to see."""
        return read_value(_NOTICES, self._call("GET", "/wallet/notices").content)

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: wire.Wire | None = None,
        params: Params | None = None,
        headers: Headers | None = None,
    ) -> Answer:
        return self.transport.call(method, path, body=body, params=params, headers=headers, authorise=self._authorise)

    def _authorise(self, method: str, url: str) -> Headers:
        if self._token is None:
            raise Denied("open a session first", reason="unauthenticated")
        proof = dpop_proof(self._public_key, self._sign, token=self._token, method=method, url=url, now_s=self._now_s())
        return {"Authorization": f"DPoP {self._token}", "DPoP": proof}
