"""Asking for erasure, and checking what the custodian certifies about it.

The statement goes on the ledger with a digest alone; which records it names, only the custodian is told. What was asked
is kept in the vault, so that a certificate is compared with it and not with what the custodian says was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from domain import statements
from domain.erasure import SALT_BYTES, Certificate, parse_certificate, records_digest, verify_certificate
from domain.errors import Conflict, Denied, Invalid, NotFound, Tampered, YilianError
from domain.identifiers import IDENTIFIER_BYTES, decode_bytes, encode_bytes, identifier
from domain.instants import moment
from domain.statements import Erasure
from node_service.client import erasure_wire, wire
from node_service.client.wallet_client import WalletClient
from patient_wallet.members import KnownMembers
from patient_wallet.registration import Registration
from patient_wallet.vault import Vault

_PREFIX: Final = "erasure:"


@dataclass(frozen=True, slots=True)
class ShownCase:
    """A case as the custodian tells it.

    Attributes:
        certificate: verified by the custodian's key and compared with what was asked; else None.
        problem: why a certificate that came is not believed.
    """

    case: erasure_wire.ErasureCase
    certificate: Certificate | None
    problem: YilianError | None = None


@dataclass(frozen=True, slots=True)
class Erasures:
    """The erasures of one wallet.

    Args:
        registration, session, members: of a hospital by its MSP id, as the wallet knows them.
        members_anew: the members as hospitals tell them now: keys change.
        stranger: a client without a session for an address.
    """

    vault: Vault = field(repr=False)
    registration: Callable[[str], Registration]
    session: Callable[[str], WalletClient]
    members: Callable[[str], KnownMembers]
    members_anew: Callable[[str], KnownMembers]
    stranger: Callable[[str], WalletClient]
    random: Callable[[int], bytes] = field(repr=False)
    now: Callable[[], datetime]

    def ask(self, msp_id: str, records: Iterable[str], *, through: str | None = None) -> wire.Committed:
        """Sign and send the wish that records be erased; the same records again, before an answer, are the same wish.

        Args:
            msp_id: the custodian, who alone is told which records.
            records: their ids.
            through: address of another member that puts the statement on the ledger first, whatever the custodian does.

        Raises:
            Invalid: no records, too many, or an id is none.
            NotFound: one of them is no record of this patient.
            OutcomeUnknown: it may be in; ask the same again to be sure.
        """
        box = self._unanswered(msp_id, sorted(set(records))) or self._signed(msp_id, sorted(set(records)))
        body = erasure_wire.ErasureRequest(
            statement=box["statement"], signature=box["signature"], records=box["records"], salt=box["salt"]
        )
        try:
            if through is not None:
                self.stranger(through).relay_statement(body.statement, body.signature)
            done = self.session(msp_id).request_erasure(body)
        except (Invalid, Denied, NotFound, Conflict):
            self.vault.remove(_PREFIX + box["id"])
            raise
        self.vault.put(_PREFIX + box["id"], {**box, "answered": True})
        return done

    def cases(self, msp_id: str) -> list[ShownCase]:
        """All cases at a hospital; one certificate that does not verify hides no other."""
        return [self._shown(msp_id, case) for case in self.session(msp_id).erasures()]

    def _shown(self, msp_id: str, case: erasure_wire.ErasureCase) -> ShownCase:
        if case.certificate is None:
            return ShownCase(case, None)
        try:
            return ShownCase(case, self._verified(msp_id, case, case.certificate))
        except (Invalid, Tampered, NotFound) as error:
            return ShownCase(case, None, error)

    def _verified(
        self, msp_id: str, case: erasure_wire.ErasureCase, signed: erasure_wire.ErasureCertificate
    ) -> Certificate:
        """By one of the custodian's keys on which the members agree, for this case, about what was asked.

        Raises:
            Tampered: signed by another key, or about something else.
        """
        certificate = self._signed_by(msp_id, signed)
        registration = self.registration(msp_id)
        if (certificate.custodian, certificate.channel) != (msp_id, registration.channel):
            raise Tampered("the certificate is another hospital's", reason="certificate")
        if certificate.case != case.id or certificate.statement not in (None, case.id):
            raise Tampered("the certificate is about another case", reason="certificate")
        if certificate.statement is not None:
            self._compare(certificate)
        return certificate

    def _signed_by(self, msp_id: str, signed: erasure_wire.ErasureCertificate) -> Certificate:
        try:
            return _by_any(signed, self.members(msp_id).signing_keys(msp_id))
        except Tampered:
            return _by_any(signed, self.members_anew(msp_id).signing_keys(msp_id))

    def _compare(self, certificate: Certificate) -> None:
        """With what this wallet asked; a wallet that was restored since has forgotten it and believes the digest."""
        name = _PREFIX + certificate.case
        if name not in self.vault.names():
            return
        box = self.vault.get(name)
        told = {one.record for one in certificate.erased} | {one.record for one in certificate.kept}
        if certificate.records_digest != _digest(box) or not told.issuperset(box["records"]):
            raise Tampered("the certificate is about other records than were named", reason="certificate")

    def _unanswered(self, msp_id: str, records: Sequence[str]) -> dict[str, Any] | None:
        for name in self.vault.names():
            box = self.vault.get(name) if name.startswith(_PREFIX) else None
            if box is None or box["answered"] or (box["custodian"], box["records"]) != (msp_id, list(records)):
                continue
            if moment(statements.parse(box["statement"]).envelope.anchor_by) > self.now():
                return box
            self.vault.remove(name)
        return None

    def _signed(self, msp_id: str, records: Sequence[str]) -> dict[str, Any]:
        """A fresh statement, kept before it is sent."""
        salt, statement = self.random(SALT_BYTES), identifier(self.random(IDENTIFIER_BYTES))
        body = Erasure(records_digest(records, salt))
        signed = self.registration(msp_id).sign(body, statement=statement, now=self.now())
        box: dict[str, Any] = {
            "id": statement, "custodian": msp_id, "records": list(records), "salt": encode_bytes(salt),
            "statement": signed.text, "signature": signed.signature, "answered": False,
        }  # fmt: skip
        self.vault.put(_PREFIX + statement, box)
        return box


def _digest(box: dict[str, Any]) -> str:
    return records_digest(box["records"], decode_bytes(box["salt"], "salt"))


def _by_any(signed: erasure_wire.ErasureCertificate, keys: Sequence[bytes]) -> Certificate:
    for key in keys:
        try:
            return verify_certificate(signed.text, signed.signature, encode_bytes(key))
        except Tampered:
            continue
    parse_certificate(signed.text)
    raise Tampered("the certificate is not signed by the custodian's key", reason="certificate")
