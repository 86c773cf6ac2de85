"""Thefts by two hospitals together: their peers run an altered contract and sign what it writes."""

from __future__ import annotations

from typing import Final

from chaincode.contract import v1
from chaincode.stub import Response, Stub, create_composite_key
from domain import entries, jcs, statements, transactions
from domain.entries import GrantEntry
from domain.errors import Tampered
from domain.transactions import AuthorizeAccess
from network.embedded.export import export
from yilian.audit_export import verify_folder
from yilian.demo.report import check
from yilian.evil.database import settle_alarms
from yilian.evil.forging import sign_grant
from yilian.evil.theft import Refusal, Stage, Theft, refused

CUSTODIAN: Final = "custodian"
AUDITOR: Final = "auditor"


def believing(stub: Stub, name: str, arguments: bytes) -> Response:
    """A contract that writes any grant, whoever signed it."""
    if name != AuthorizeAccess.__name__:
        return v1.invoke(stub, name, arguments)
    signed = transactions.parse(name, arguments)
    assert isinstance(signed, AuthorizeAccess)  # noqa: S101 - by its name
    statement = statements.parse(signed.statement)
    assert isinstance(statement.body, statements.GrantTerms)  # noqa: S101 - the cheat wrote it
    envelope = statement.envelope
    entry = GrantEntry("active", envelope.custodian, statement.body, 1, 1, None)
    stub.put_state(create_composite_key("grant", (envelope.patient, envelope.id)), entries.encode(entry))
    stub.set_event(name, jcs.canonical({"keys": [f"grant/{envelope.patient}/{envelope.id}"]}))
    return Response(200, payload=jcs.canonical({"changed": True}))


def forge_a_grant(stage: Stage) -> Refusal:
    """Commits a grant that the patient never signed, and reads under it."""
    forged = sign_grant(stage, stage.cheat.msp_id, forged=True)
    stage.cheat.commit(AuthorizeAccess(forged.text, forged.signature), contract=believing)
    opened = stage.cheat.open_access(stage.cast.patient, forged.id, stage.practitioner)
    settle_alarms(stage.cast.custodian)  # what an earlier theft may have raised since; this one raises its own
    refusal = refused(CUSTODIAN, lambda: stage.cheat.search(stage.cast.custodian, opened), Tampered)
    alarms = settle_alarms(stage.cast.custodian)
    check(any(alarm.startswith("release ") for alarm in alarms), "the custodian raised no alarm")
    return refusal


def pass_the_forgery_on(stage: Stage) -> Refusal:
    """Hands the ledger with the forged grant to an auditor."""
    folder = stage.network.folder / "forged-export"
    export(stage.network.ledger, folder)
    return refused(AUDITOR, lambda: verify_folder(folder, stage.network.founding.genesis), Tampered)


THEFTS: Final = (
    Theft(
        "forged-grant",
        "and another one commit a grant that nobody signed",
        "合谋伪造患者授权",
        forge_a_grant,
    ),
    Theft("forged-ledger", "and another one show an auditor that ledger", "合谋向审计员出示账本", pass_the_forgery_on),
)
