"""Thefts by a hospital that names another one as grantee, custodian, requester or creator."""

from __future__ import annotations

import os
from typing import Final

from domain import messages
from domain.errors import Denied, NotFound
from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.leaves import subject_tag
from domain.transactions import AuthorizeAccess, OpenAccess, RequestAccess
from domain.vocabulary import PATIENT_WRAP_ALG
from node_service.client import exchange_wire, wire
from node_service.sharing.practitioners import Practitioner
from node_service.sharing.sealed_messages import to_wire
from offchain.envelope.hpke import RecipientPublicKey
from offchain.envelope.messages import seal_message
from yilian.demo.report import StepFailed, check
from yilian.evil.forging import sign_grant
from yilian.evil.malicious import MaliciousHospital, fresh_digest, fresh_id
from yilian.evil.theft import CONTRACT, CUSTODIAN, LEDGER, Refusal, Stage, Theft, denied, refused

_SALT_BYTES: Final = 32


def name_another_grantee(stage: Stage) -> Refusal:
    """The third hospital writes its own name into the grant that the patient signed for the second."""
    signed = sign_grant(stage, stage.cheat.msp_id)
    renamed = signed.text.replace(f'"{stage.cheat.msp_id}"', f'"{stage.accomplice.msp_id}"')
    check(renamed != signed.text, "the grant names nobody")
    return refused(CONTRACT, lambda: stage.accomplice.commit(AuthorizeAccess(renamed, signed.signature)), Denied)


def name_another_custodian(stage: Stage) -> Refusal:
    """Announces an emergency at the third hospital, and asks the patient's custodian under it."""
    salt = os.urandom(_SALT_BYTES)
    tag = subject_tag(stage.cast.patient, salt)
    opened = stage.cheat.break_glass(stage.accomplice.msp_id, tag, stage.practitioner)
    opening = exchange_wire.Opening(access=opened.id, patient=stage.cast.patient, subject_salt=encode_bytes(salt))
    body = exchange_wire.ExchangeSearch(opening=opening)
    return denied(stage, opened.id, lambda: stage.cheat.ask(stage.cast.custodian, "POST", "/exchange/search", body))


def name_another_requester(stage: Stage) -> Refusal:
    """The third hospital asks the patient in the second's name: under its request, and in the sealed message.

    The custodian takes no request but from whom the ledger names, and the wallet shows that name beside the message.
    """
    liar, claimed = stage.accomplice, stage.cheat.msp_id
    foreign, own = _announced(stage, stage.cheat), _announced(stage, liar)
    refused(CUSTODIAN, lambda: _deliver(stage, liar, foreign, claimed), NotFound, Denied)
    _deliver(stage, liar, own, claimed)
    told = {item.id: item for item in stage.cast.wallet.requests(stage.home)}
    check(foreign.id not in told, "a request was taken under another hospital's name")
    shown = told[own.id]
    if shown.content is None or shown.content.requester != claimed:
        raise StepFailed("the message that names another hospital did not arrive")
    check(shown.requester == liar.msp_id, "the wallet shows another hospital than the one that asks")
    return Refusal(CUSTODIAN, "named-by-ledger")


def name_another_creator(stage: Stage) -> Refusal:
    """Submits a read under the second hospital's grant as that hospital, signed with the third's own key."""
    transaction = OpenAccess(
        id=fresh_id(),
        patient=stage.cast.patient,
        grant=stage.cast.grant,
        practitioner=stage.practitioner,
        purpose="TREAT",
        key_digest=fresh_digest(),
        reader_digest=fresh_digest(),
        valid_until=instant(stage.now(hours=1)),
    )
    return refused(LEDGER, lambda: stage.accomplice.propose_as(stage.cheat.msp_id, transaction), Denied)


def _announced(stage: Stage, asker: MaliciousHospital) -> RequestAccess:
    """A request on the ledger, to be delivered."""
    transaction = RequestAccess(fresh_id(), instant(stage.now(hours=1)))
    asker.commit(transaction)
    return transaction


def _deliver(stage: Stage, sender: MaliciousHospital, asked: RequestAccess, claimed: str) -> None:
    """Hand a request to the custodian whose sealed message claims to come from another hospital."""
    card = stage.cast.wallet.registration(stage.home).card
    content = wire.AccessRequestContent(
        id=asked.id,
        requester=claimed,
        practitioner=stage.practitioner,
        reader=Practitioner(stage.practitioner, "陈华", "clinician").card(os.urandom),
        purpose="TREAT",
        categories=["allergy"],
        message="会诊 / consultation",
        valid_until=asked.valid_until,
    )
    key = RecipientPublicKey.parse(PATIENT_WRAP_ALG, card.wrap_key, "wrap")
    message = seal_message(key, messages.access_request(asked.id, card.patient), content.model_dump_json().encode())
    body = exchange_wire.RequestDelivery(
        id=asked.id, patient=card.patient, valid_until=asked.valid_until, message=to_wire(message)
    )
    sender.ask(stage.cast.custodian, "POST", "/exchange/requests", body)


THEFTS: Final = (
    Theft(
        "other-grantee",
        "writes its own name into another hospital's grant",
        "在他院授权中改写为本院",
        name_another_grantee,
        Refusal(CONTRACT, "signature"),
    ),
    Theft(
        "other-custodian",
        "breaks the glass naming another custodian",
        "破窗时指名另一保管医院",
        name_another_custodian,
        Refusal(CUSTODIAN, "other-custodian"),
    ),
    Theft(
        "other-requester",
        "asks the patient in another hospital's name",
        "以他院名义向患者请求",
        name_another_requester,
        Refusal(CUSTODIAN, "named-by-ledger"),
    ),
    Theft(
        "other-creator",
        "signs a transaction in another hospital's name",
        "以他院名义签署交易",
        name_another_creator,
        Refusal(LEDGER, "bad-signature"),
    ),
)
