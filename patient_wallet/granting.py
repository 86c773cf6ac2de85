"""Granting: signed here, put on the ledger by the custodian, the package handed to the grantee."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from domain import messages
from domain import wire as values
from domain.errors import Conflict, Denied, Invalid, NotFound, Unavailable, YilianError
from domain.identifiers import encode_bytes
from node_service.client import wire
from node_service.client.answers import Unsent
from node_service.client.wallet_client import WalletClient
from offchain.envelope.hpke import HPKE_HYBRID, RecipientPublicKey
from offchain.envelope.messages import seal_message
from patient_wallet.drafts import Draft, GrantChoice, draft_grant
from patient_wallet.hospitals import Hospitals, Now, Random
from patient_wallet.outgoing import Outgoing, all_outgoing, digest_of
from patient_wallet.registration import Registration
from patient_wallet.told import Granted
from patient_wallet.vault import Vault

SALT_BYTES: Final = 32


class Granting:
    """Grants of one wallet; each is kept until it arrived."""

    def __init__(self, vault: Vault, hospitals: Hospitals, random: Random, now: Now) -> None:
        self._vault, self._hospitals, self._random, self._now = vault, hospitals, random, now

    def preview(self, msp_id: str, choice: GrantChoice) -> wire.Preview:
        """What the reader would see today, and how much is withheld; nothing is signed."""
        draft = self._draft(self._hospitals.registration(msp_id), choice)
        terms = values.to_json(draft.terms)
        return self._hospitals.session(msp_id).preview(wire.PreviewRequest(terms=terms, consent=draft.consent))

    def grant(self, msp_id: str, choice: GrantChoice, grantee_url: str) -> Granted:
        """Sign a grant, put it on the ledger through the custodian, and hand the package to the grantee.

        It is kept before it is sent: where the answer is lost, the same choice again sends the same grant again. A
        grantee that cannot be reached now gets its package later; one that is not who it should be stops everything.

        Raises:
            Denied: another hospital answers at the grantee's address (nothing was signed), or custodian or contract
                refuse.
            OutcomeUnknown: it may be in; choose the same again to be sure.
        """
        outgoing = self._unanswered(msp_id, choice)
        if outgoing is None:
            with suppress(Unavailable):
                self._seal_key_of(msp_id, choice.grantee, self._hospitals.stranger(grantee_url))
            outgoing = self._sign_grant(msp_id, choice, grantee_url)
            try:
                done = self._send_grant(outgoing)
            except Unsent:  # otherwise the hospital may have it
                outgoing.forget(self._vault)
                raise
        else:
            done = self._send_grant(outgoing)
        grant = outgoing.package.grant
        waiting = self.deliver_packages()
        patient = outgoing.package.card.patient
        return Granted(patient, grant, done.tx_id, done.block, delivered=grant not in waiting)

    def deliver_packages(self) -> dict[str, YilianError]:
        """Hand waiting packages to their grantees; return, by grant, why one could not be handed over now."""
        waiting: dict[str, YilianError] = {}
        for outgoing in all_outgoing(self._vault):
            if outgoing.answered:
                try:
                    self._deliver(outgoing)
                except YilianError as error:  # whatever a grantee answers, it stops no package for another
                    waiting[outgoing.package.grant] = error
                else:
                    outgoing.forget(self._vault)
        return waiting

    def _draft(self, registration: Registration, choice: GrantChoice) -> Draft:
        return draft_grant(
            choice, statement=self._hospitals.identifier(), patient=registration.patient, custodian=registration.msp_id,
            salt=self._random(SALT_BYTES), now=self._now(),
        )  # fmt: skip

    def _unanswered(self, msp_id: str, choice: GrantChoice) -> Outgoing | None:
        digest = digest_of(choice)
        for outgoing in all_outgoing(self._vault):
            if not outgoing.answered and (outgoing.custodian, outgoing.choice) == (msp_id, digest):
                if not outgoing.is_late(self._now()):
                    return outgoing
                outgoing.forget(self._vault)
        return None

    def _sign_grant(self, msp_id: str, choice: GrantChoice, grantee_url: str) -> Outgoing:
        registration = self._hospitals.with_floor(msp_id, self._hospitals.session(msp_id).grants().floor)
        draft = self._draft(registration, choice)
        signed = registration.sign(draft.terms, statement=draft.id, now=self._now())
        package = wire.GrantPackage(
            grant=draft.id, card=registration.card, statement=signed.text, signature=signed.signature,
            consent=draft.consent, salt=draft.salt_text,
        )  # fmt: skip
        outgoing = Outgoing(msp_id, choice.grantee, grantee_url, digest_of(choice), answered=False, package=package)
        outgoing.keep(self._vault)
        name = f"granted:{msp_id}"
        self._vault.put(name, {**self._hospitals.box(name), draft.id: choice.grantee})
        return outgoing

    def _send_grant(self, outgoing: Outgoing) -> wire.Committed:
        try:
            done = self._hospitals.session(outgoing.custodian).grant(outgoing.body)
        except (Invalid, Denied, NotFound, Conflict):
            outgoing.forget(self._vault)
            raise
        outgoing.with_answer().keep(self._vault)
        return done

    def _deliver(self, outgoing: Outgoing) -> None:
        client = self._hospitals.stranger(outgoing.url)
        key = self._seal_key_of(outgoing.custodian, outgoing.grantee, client)
        info = messages.grant_package(outgoing.grantee)
        sealed = seal_message(key, info, outgoing.package.model_dump_json().encode())
        client.deliver_package(
            wire.SealedMessage(kid=sealed.key_id, alg=sealed.alg, sealed=encode_bytes(sealed.sealed))
        )

    def _seal_key_of(self, custodian: str, grantee: str, client: WalletClient) -> RecipientPublicKey:
        """The key of whoever answers, if the custodian reads the same from the ledger: two would have to lie together.

        Raises:
            Denied: another hospital answers, or not with a key of the registry.
            NotFound: the registry has no such member.
        """
        card = client.hospital()
        if card.msp_id != grantee:
            raise Denied(f"{card.msp_id} answers there, not {grantee}", reason="other-hospital")
        told = self._hospitals.stranger(self._hospitals.registration(custodian).url).registry(grantee)
        if card.seal_key not in told.seal_keys:
            raise Denied(f"who answers there has not the key of {grantee} in the registry", reason="other-hospital")
        return RecipientPublicKey.parse(HPKE_HYBRID, card.seal_key)
