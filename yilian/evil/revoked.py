"""Thefts around a revocation: what was signed, endorsed or released before it, used after it."""

from __future__ import annotations

import json
from typing import Final

from domain.errors import Conflict, Denied, NotFound
from domain.transactions import AuthorizeAccess
from patient_wallet.drafts import GrantChoice
from yilian.demo.report import check
from yilian.demo.story import until_fresh
from yilian.evil.forging import sign_grant
from yilian.evil.theft import CONTRACT, CUSTODIAN, LEDGER, Refusal, Stage, Theft, denied, refused

_OTHERS: Final = 2
"""Observations at the head of the list that other thefts tamper with."""


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
    after = denied(stage, opened.id, lambda: stage.cheat.search(stage.cast.custodian, opened))
    check(after.reason == "no-entry", f"the custodian refused for another reason: {after}")
    return refusal


def read_old_version(stage: Stage) -> Refusal:
    """Has a version released, lets the custodian supersede it, and fetches it after the patient revoked."""
    check(len(stage.granted) > _OTHERS, "the patient has too few observations to try")
    cheat, custodian, record = stage.cheat, stage.cast.custodian, stage.granted[-1].record
    choice = GrantChoice(grantee=cheat.msp_id, practitioner=stage.practitioner, preset="also-new")
    grant = stage.cast.wallet.grant(stage.home, choice, stage.cast.reader.public_url).id
    opened = cheat.open_access(stage.cast.patient, grant, stage.practitioner)
    check(bool(until_fresh(lambda: cheat.release(custodian, opened, [record])).items), "the record was not released")
    old = stage.digest_of(record)
    _supersede(stage, record)
    check(stage.digest_of(record) != old, "the record has no new version")
    check(bool(until_fresh(lambda: cheat.fetch(custodian, opened, old))), "the old version is gone already")
    stage.cast.wallet.revoke(stage.home, grant, through=stage.cast.third.url)
    refusal = denied(stage, opened.id, lambda: cheat.search(custodian, opened))
    refused(CUSTODIAN, lambda: until_fresh(lambda: cheat.fetch(custodian, opened, old)), NotFound, Denied)
    return refusal


def read_after_revoke(stage: Stage) -> Refusal:
    """Keeps an access open, with a released object, and goes on after the patient revoked."""
    cheat, custodian = stage.cheat, stage.cast.custodian
    opened, wanted = stage.opened(), stage.granted[0]
    check(bool(cheat.release(custodian, opened, [wanted.record]).items), "the grant did not release its record")
    digest = stage.digest_of(wanted.record)
    check(bool(cheat.fetch(custodian, opened, digest)), "the released object was not handed out")
    stage.cast.wallet.revoke(stage.home, stage.cast.grant, through=stage.cast.third.url)
    refusal = denied(stage, opened.id, lambda: cheat.release(custodian, opened, [wanted.record]))
    check(denied(stage, opened.id, lambda: cheat.search(custodian, opened)) == refusal, "a search is told otherwise")
    refused(CUSTODIAN, lambda: until_fresh(lambda: cheat.fetch(custodian, opened, digest)), NotFound, Denied)
    return refusal


def revive_by_replay(stage: Stage) -> Refusal:
    """Submits the revoked grant's statement again."""
    stage.cheat.commit(AuthorizeAccess(*stage.tap.grant(stage.cast.grant)))
    return refused(
        CONTRACT,
        lambda: stage.cheat.open_access(stage.cast.patient, stage.cast.grant, stage.practitioner),
        Denied,
    )


def _supersede(stage: Stage, record: str) -> None:
    """A doctor of the custodian writes a note into an Observation: its next version."""
    doctor, path = stage.cast.house_doctor.client, f"/Observation/{record}"
    found = doctor.fhir("GET", path)
    changed = json.loads(found.content) | {"note": [{"text": "复核 / reviewed"}]}
    doctor.fhir("PUT", path, content=json.dumps(changed).encode(), if_match=found.headers["etag"])


BEFORE: Final = (
    Theft(
        "held-grant",
        "submits a grant after it was withdrawn",
        "扣留授权，撤销后再提交",
        hold_a_grant_back,
        Refusal(CONTRACT, "revoked"),
    ),
    Theft(
        "held-endorsement",
        "orders after the revocation what was endorsed before",
        "撤销前背书，撤销后排序",
        hold_an_endorsement_back,
        Refusal(LEDGER, "MVCC_READ_CONFLICT"),
    ),
    Theft(
        "old-version",
        "fetches an old version after the revocation",
        "撤销后取旧版本",
        read_old_version,
        Refusal(CUSTODIAN, "not-active"),
    ),
)
"""Under grants of their own: the story's grant lives on."""

THEFTS: Final = (
    Theft(
        "after-revoke",
        "goes on reading after the revocation",
        "撤销后继续读取",
        read_after_revoke,
        Refusal(CUSTODIAN, "not-active"),
    ),
    Theft(
        "revived-grant",
        "submits the revoked grant again",
        "重新提交已撤销的授权",
        revive_by_replay,
        Refusal(CONTRACT, "not-active"),
    ),
)
"""These end the story's grant."""
