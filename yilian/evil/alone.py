"""Thefts by one hospital whose node and contract are altered."""

from __future__ import annotations

from typing import Final

from domain import jcs
from domain.errors import Denied, Invalid
from domain.identifiers import encode_bytes
from domain.transactions import AuthorizeAccess, RetractRecord
from node_service.client import wire
from node_service.client.shared_client import SharedClient
from node_service.client.transport import Transport
from offchain.envelope.hpke import HPKE_HYBRID, RecipientPrivateKey
from yilian.demo.report import check
from yilian.evil.forging import sign_grant
from yilian.evil.malicious import Opened, fresh_id
from yilian.evil.theft import CONTRACT, CUSTODIAN, Refusal, Stage, Theft, denied, refused

METADATA_SERVICE: Final = "http://169.254.169.254/latest"
"""Where clouds tell a machine its credentials."""
_SIGNATURE_BYTES: Final = 64


def read_without_entry(stage: Stage) -> Refusal:
    """Asks for records under an access that nobody committed."""
    invented = Opened(fresh_id(), stage.cast.patient, RecipientPrivateKey.generate(HPKE_HYBRID))
    return denied(stage, invented.id, lambda: stage.cheat.search(stage.cast.custodian, invented))


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
    return denied(stage, opened.id, lambda: stage.accomplice.search(stage.cast.custodian, opened))


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
    return denied(stage, opened.id, lambda: stage.cheat.search(stage.cast.custodian, opened, other))


def swap_the_key(stage: Stage) -> Refusal:
    """Has the keys sealed to another key than the committed one."""
    other, wanted = RecipientPrivateKey.generate(HPKE_HYBRID), [stage.granted[0].record]
    opened = stage.opened()
    return denied(stage, opened.id, lambda: stage.cheat.release(stage.cast.custodian, opened, wanted, key=other))


def fetch_unreleased_object(stage: Stage) -> Refusal:
    """Fetches the sealed bytes of the withheld record by their digest, as it fetches those of a released one."""
    opened, custodian = stage.opened(), stage.cast.custodian
    check(bool(stage.cheat.fetch(custodian, opened, stage.digest_of(stage.granted[0].record))), "nothing was released")
    digest = stage.digest_of(stage.withheld)
    return denied(stage, opened.id, lambda: stage.cheat.fetch(custodian, opened, digest))


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


def use_stolen_token(stage: Stage) -> Refusal:
    """Uses the token of the patient's wallet, copied on its way, without the wallet's key."""
    token = stage.tap.token()

    def call() -> None:
        with Transport(stage.cast.custodian.url) as transport:
            transport.call("GET", "/wallet/records", headers={"Authorization": f"DPoP {token}"})

    return refused(CUSTODIAN, call, Denied)


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
    return refusal


def submit_without_signature(stage: Stage) -> Refusal:
    """Writes a grant for itself and submits it with no signature: no field, an empty one, one of zeros."""
    text = sign_grant(stage, stage.cheat.msp_id, forged=True).text
    _submit_unsigned(stage, {"statement": text})
    _submit_unsigned(stage, {"statement": text, "signature": ""})
    unsigned = AuthorizeAccess(text, encode_bytes(bytes(_SIGNATURE_BYTES)))
    return refused(CONTRACT, lambda: stage.cheat.commit(unsigned), Denied)


def _submit_unsigned(stage: Stage, arguments: jcs.JsonObject) -> None:
    name, encoded = AuthorizeAccess.__name__, jcs.canonical(arguments)
    refusal = refused(CONTRACT, lambda: stage.cheat.submit(name, encoded), Invalid)
    check(refusal.detail.endswith("signature"), f"refused for another field: {refusal}")


THEFTS: Final = (
    Theft(
        "no-entry",
        "reads without an entry on the ledger",
        "账本无记录即读取",
        read_without_entry,
        Refusal(CUSTODIAN, "no-entry"),
    ),
    Theft("own-grant", "signs a grant for itself", "自签授权", grant_to_oneself, Refusal(CONTRACT, "signature")),
    Theft(
        "unsigned-grant",
        "submits a grant without a signature",
        "提交无签名的授权",
        submit_without_signature,
        Refusal(CONTRACT, "signature-form"),
    ),
    Theft(
        "foreign-grant",
        "opens an access under another hospital's grant",
        "盗用他院授权",
        open_under_foreign_grant,
        Refusal(CONTRACT, "other-organization"),
    ),
    Theft(
        "impersonation",
        "signs in as another hospital",
        "冒充其他医院",
        claim_to_be_another,
        Refusal(CUSTODIAN, "assertion"),
    ),
    Theft(
        "replayed-assertion",
        "uses a sign-in twice",
        "重放登录凭证",
        replay_assertion,
        Refusal(CUSTODIAN, "replayed"),
    ),
    Theft(
        "foreign-access",
        "asks under another hospital's access",
        "盗用他院访问",
        use_foreign_access,
        Refusal(CUSTODIAN, "other-organization"),
    ),
    Theft(
        "withheld",
        "asks by id for what the patient withheld",
        "索取患者保留的病历",
        take_withheld,
        Refusal(CUSTODIAN, "not-released"),
    ),
    Theft(
        "other-patient",
        "uses an access for another patient",
        "借访问读取他人",
        ask_for_another_patient,
        Refusal(CUSTODIAN, "other-patient"),
    ),
    Theft(
        "other-key",
        "has the keys sealed to another key",
        "更换一次性密钥",
        swap_the_key,
        Refusal(CUSTODIAN, "one-use-key"),
    ),
    Theft(
        "unreleased-object",
        "fetches an unreleased object by its digest",
        "按摘要取未释放对象",
        fetch_unreleased_object,
        Refusal(CUSTODIAN, "not-released"),
    ),
    Theft(
        "other-purpose",
        "reads for research under a grant for treatment",
        "改变用途",
        use_another_purpose,
        Refusal(CONTRACT, "purpose"),
    ),
    Theft(
        "other-practitioner",
        "lets somebody else read",
        "换人读取",
        send_another_practitioner,
        Refusal(CONTRACT, "other-practitioner"),
    ),
    Theft(
        "stolen-token",
        "uses the wallet's token without its key",
        "盗用钱包令牌",
        use_stolen_token,
        Refusal(CUSTODIAN, "dpop"),
    ),
    Theft(
        "altered-grant",
        "puts the patient's signature under other terms",
        "篡改已签名的授权",
        alter_a_grant,
        Refusal(CONTRACT, "signature"),
    ),
    Theft(
        "foreign-record",
        "retracts the custodian's record",
        "撤回他院病历",
        write_anothers_records,
        Refusal(CONTRACT, "own-keys-only"),
    ),
    Theft(
        "inside-address",
        "registers an address inside another's network",
        "登记指向他院内网的地址",
        register_an_inside_address,
        Refusal(CUSTODIAN, "address"),
    ),
)
