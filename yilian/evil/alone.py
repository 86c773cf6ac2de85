"""Thefts by one hospital whose node, contract and clock are altered."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from domain.errors import Conflict, Denied, NotFound
from domain.transactions import AuthorizeAccess, RetractRecord
from node_service.client import wire
from node_service.client.shared_client import SharedClient
from node_service.client.transport import Transport
from offchain.envelope.hpke import HPKE_HYBRID, RecipientPrivateKey
from yilian.demo.report import check
from yilian.evil.forging import sign_grant
from yilian.evil.malicious import Opened, ShiftedClock, fresh_id
from yilian.evil.theft import Refusal, Stage, Theft, refused

CUSTODIAN: Final = "custodian"
CONTRACT: Final = "contract"
LEDGER: Final = "ledger"
METADATA_SERVICE: Final = "http://169.254.169.254/latest"
"""Where clouds tell a machine its credentials."""


def read_without_entry(stage: Stage) -> Refusal:
    """Asks for records under an access that nobody committed."""
    invented = Opened(fresh_id(), stage.cast.patient, RecipientPrivateKey.generate(HPKE_HYBRID))
    return refused(CUSTODIAN, lambda: stage.cheat.search(stage.cast.custodian, invented), NotFound, Denied)


def grant_to_oneself(stage: Stage) -> Refusal:
    """Signs a grant for itself with a key of its own."""
    signed = sign_grant(stage, stage.cheat.msp_id, forged=True)
    return refused(CONTRACT, lambda: stage.cheat.commit(AuthorizeAccess(signed.text, signed.signature)), Denied)


def open_under_foreign_grant(stage: Stage) -> Refusal:
    """The third hospital announces a read under a grant that names the second."""
    return refused(
        CONTRACT,
        lambda: stage.accomplice.open_access(stage.cast.patient, stage.cast.grant, stage.practitioner),
        Denied,
    )


def claim_to_be_another(stage: Stage) -> Refusal:
    """Signs in at the custodian as another hospital."""
    cheat, target = stage.accomplice, stage.cast.custodian
    assertion = cheat.assertion(target, issuer=stage.cheat.msp_id)
    return refused(CUSTODIAN, lambda: cheat.token(target, assertion), Denied)


def use_foreign_access(stage: Stage) -> Refusal:
    """The third hospital asks under the second's committed access."""
    opened = stage.opened()
    return refused(CUSTODIAN, lambda: stage.accomplice.search(stage.cast.custodian, opened), NotFound, Denied)


def replay_assertion(stage: Stage) -> Refusal:
    """Uses an assertion twice, as somebody would who saw it."""
    assertion = stage.cheat.assertion(stage.cast.custodian)
    stage.cheat.token(stage.cast.custodian, assertion)
    return refused(CUSTODIAN, lambda: stage.cheat.token(stage.cast.custodian, assertion), Denied)


def take_withheld(stage: Stage) -> Refusal:
    """Asks by its id for the record that the patient withheld."""
    released = stage.cheat.release(stage.cast.custodian, stage.opened(), [stage.withheld])
    check(stage.withheld not in [item.entry.record for item in released.items], "the withheld record was released")
    return Refusal(CUSTODIAN, "not-released")


def ask_for_another_patient(stage: Stage) -> Refusal:
    """Uses a genuine access for another patient of the same hospital."""
    other, opened = stage.other_people()[0], stage.opened()
    return refused(CUSTODIAN, lambda: stage.cheat.search(stage.cast.custodian, opened, other), NotFound, Denied)


def swap_the_key(stage: Stage) -> Refusal:
    """Has the keys sealed to another key than the committed one."""
    other, wanted = RecipientPrivateKey.generate(HPKE_HYBRID), [stage.granted[0].record]
    opened = stage.opened()
    return refused(
        CUSTODIAN, lambda: stage.cheat.release(stage.cast.custodian, opened, wanted, key=other), NotFound, Denied
    )


def fetch_unreleased_object(stage: Stage) -> Refusal:
    """Fetches the sealed bytes of the withheld record by their digest."""
    opened, path = stage.opened(), f"/exchange/objects/{stage.digest_of(stage.withheld)}"
    return refused(
        CUSTODIAN, lambda: stage.cheat.ask(stage.cast.custodian, "GET", path, access=opened.id), NotFound, Denied
    )


def use_another_purpose(stage: Stage) -> Refusal:
    """Reads for research under a grant for treatment."""
    return refused(
        CONTRACT,
        lambda: stage.cheat.open_access(stage.cast.patient, stage.cast.grant, stage.practitioner, "HRESCH"),
        Denied,
    )


def send_another_practitioner(stage: Stage) -> Refusal:
    """Lets somebody else read than the grant names."""
    return refused(CONTRACT, lambda: stage.cheat.open_access(stage.cast.patient, stage.cast.grant, fresh_id()), Denied)


def turn_the_clock(stage: Stage) -> Refusal:
    """Opens an access far in the future by its own peer's clock, to have it for weeks."""
    clock = ShiftedClock(timedelta(days=8))
    opened = stage.cheat.open_access(stage.cast.patient, stage.cast.grant, stage.practitioner, clock=clock)
    return refused(CUSTODIAN, lambda: stage.cheat.search(stage.cast.custodian, opened), NotFound, Denied)


def use_stolen_token(stage: Stage) -> Refusal:
    """Uses the token of the patient's wallet, copied on its way, without the wallet's key."""
    token = stage.tap.token()

    def call() -> None:
        with Transport(stage.cast.custodian.url) as transport:
            transport.call("GET", "/wallet/records", headers={"Authorization": f"DPoP {token}"})

    return refused(CUSTODIAN, call, Denied)


def hold_a_grant_back(stage: Stage) -> Refusal:
    """Keeps a signed grant, and submits it after the patient has withdrawn it."""
    signed = sign_grant(stage, stage.cheat.msp_id)
    stage.cast.wallet.revoke(stage.home, signed.id)
    return refused(
        CONTRACT, lambda: stage.cheat.commit(AuthorizeAccess(signed.text, signed.signature)), Denied, Conflict
    )


def hold_an_endorsement_back(stage: Stage) -> Refusal:
    """Has a read endorsed while the grant is live, and orders it after the patient has revoked."""
    signed = sign_grant(stage, stage.cheat.msp_id)
    stage.cheat.commit(AuthorizeAccess(signed.text, signed.signature))
    opened, held = stage.cheat.endorse_access(stage.cast.patient, signed.id, stage.practitioner)
    stage.cast.wallet.revoke(stage.home, signed.id)
    refusal = refused(LEDGER, lambda: stage.cheat.order(held), Conflict)
    refused(CUSTODIAN, lambda: stage.cheat.search(stage.cast.custodian, opened), NotFound, Denied)
    return refusal


def alter_a_grant(stage: Stage) -> Refusal:
    """Puts the patient's genuine signature under other terms."""
    signed = sign_grant(stage, stage.cheat.msp_id)
    altered = signed.text.replace('"permissions":["read"]', '"permissions":["keep","read"]')
    check(altered != signed.text, "there was nothing to alter")
    return refused(CONTRACT, lambda: stage.cheat.commit(AuthorizeAccess(altered, signed.signature)), Denied)


def write_anothers_records(stage: Stage) -> Refusal:
    """Marks a record of the custodian as retracted: the ledger files it under the cheat's own name."""
    record = stage.granted[0].record
    stage.cheat.commit(RetractRecord(record, "entered-in-error"))
    entry = next(item for item in stage.cast.wallet.records(stage.home) if item.record == record)
    check(entry.status == "active", "another hospital retracted the custodian's record")
    return Refusal(CONTRACT, "own-keys-only")


def register_an_inside_address(stage: Stage) -> Refusal:
    """Registers a metadata service's address as its own node's, so that another hospital calls that."""
    liar, card = stage.accomplice, stage.cast.wallet.registration(stage.home).card
    body = wire.AccessRequest(
        card=card.model_copy(update={"custodian": liar.msp_id, "patient": fresh_id()}),
        purpose="TREAT", categories=["problem"], message="会诊 / consultation",
    )  # fmt: skip
    doctor = SharedClient(stage.cast.house_doctor.client)
    with liar.registered_at(METADATA_SERVICE):
        refusal = refused(CUSTODIAN, lambda: doctor.request_access(body), Denied)
    check(refusal.reason == "address", f"refused for another reason: {refusal.reason}")
    return refusal


def read_after_revoke(stage: Stage) -> Refusal:
    """Keeps an access open, with a released object, and goes on after the patient revoked."""
    cheat, custodian = stage.cheat, stage.cast.custodian
    opened, wanted = stage.opened(), stage.granted[0]
    check(bool(cheat.release(custodian, opened, [wanted.record]).items), "the grant did not release its record")
    stage.cast.wallet.revoke(stage.home, stage.cast.grant, through=stage.cast.third.url)
    refused(CUSTODIAN, lambda: cheat.release(custodian, opened, [wanted.record]), NotFound, Denied)
    refused(CUSTODIAN, lambda: cheat.search(custodian, opened), NotFound, Denied)
    path = f"/exchange/objects/{stage.digest_of(wanted.record)}"
    return refused(CUSTODIAN, lambda: cheat.ask(custodian, "GET", path, access=opened.id), NotFound, Denied)


def revive_by_replay(stage: Stage) -> Refusal:
    """Submits the revoked grant's statement again."""
    stage.cheat.commit(AuthorizeAccess(*stage.tap.grant(stage.cast.grant)))
    return refused(
        CONTRACT,
        lambda: stage.cheat.open_access(stage.cast.patient, stage.cast.grant, stage.practitioner),
        Denied,
    )


THEFTS: Final = (
    Theft("no-entry", "reads without an entry on the ledger", "账本无记录即读取", read_without_entry),
    Theft("own-grant", "signs a grant for itself", "自签授权", grant_to_oneself),
    Theft("foreign-grant", "opens an access under another hospital's grant", "盗用他院授权", open_under_foreign_grant),
    Theft("impersonation", "signs in as another hospital", "冒充其他医院", claim_to_be_another),
    Theft("replayed-assertion", "uses a sign-in twice", "重放登录凭证", replay_assertion),
    Theft("foreign-access", "asks under another hospital's access", "盗用他院访问", use_foreign_access),
    Theft("withheld", "asks by id for what the patient withheld", "索取患者保留的病历", take_withheld),
    Theft("other-patient", "uses an access for another patient", "借访问读取他人", ask_for_another_patient),
    Theft("other-key", "has the keys sealed to another key", "更换一次性密钥", swap_the_key),
    Theft(
        "unreleased-object", "fetches an unreleased object by its digest", "按摘要取未释放对象", fetch_unreleased_object
    ),
    Theft("other-purpose", "reads for research under a grant for treatment", "改变用途", use_another_purpose),
    Theft("other-practitioner", "lets somebody else read", "换人读取", send_another_practitioner),
    Theft("clock", "opens an access eight days ahead by its own clock", "拨快时钟八天", turn_the_clock),
    Theft("stolen-token", "uses the wallet's token without its key", "盗用钱包令牌", use_stolen_token),
    Theft("held-grant", "submits a grant after it was withdrawn", "扣留授权，撤销后再提交", hold_a_grant_back),
    Theft(
        "held-endorsement",
        "orders after the revocation what was endorsed before",
        "撤销前背书，撤销后排序",
        hold_an_endorsement_back,
    ),
    Theft("altered-grant", "puts the patient's signature under other terms", "篡改已签名的授权", alter_a_grant),
    Theft("foreign-record", "retracts the custodian's record", "撤回他院病历", write_anothers_records),
    Theft(
        "inside-address",
        "registers an address inside another's network",
        "登记指向他院内网的地址",
        register_an_inside_address,
    ),
    Theft("after-revoke", "goes on reading after the revocation", "撤销后继续读取", read_after_revoke),
    Theft("revived-grant", "submits the revoked grant again", "重新提交已撤销的授权", revive_by_replay),
)
