"""Thefts by two hospitals together: altered contracts, forked ledgers, relays and witnesses that lie."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Final

from chaincode.contract import v1
from chaincode.stub import Response, Stub, create_composite_key
from domain import entries, jcs, statements, transactions
from domain.entries import GrantEntry
from domain.errors import Tampered, Unavailable, YilianError
from domain.instants import instant
from domain.statements import Revoke
from domain.transactions import AuthorizeAccess, RequestAccess
from network.embedded.export import export
from network.witness.client import WitnessClient
from network.witness.compare import Comparison, compare
from node_service.client.transport import Transport
from node_service.client.wallet_client import WalletClient
from patient_wallet.refusing import Relay
from yilian.audit_export import verify_folder
from yilian.demo.network import WitnessProcess, free_ports
from yilian.demo.report import StepFailed, check
from yilian.evil.forging import sign_grant
from yilian.evil.lying_relay import lying_relay
from yilian.evil.malicious import fresh_id
from yilian.evil.theft import CUSTODIAN, Refusal, Stage, Theft, refused

WITNESS: Final = "witness"
WALLET: Final = "wallet"
AUDITOR: Final = "auditor"
_WAIT_S: Final = 30.0
_PROOF_WITHIN_S: Final = 2.0
_POLL_S: Final = 0.1


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


def swallow_a_revocation(stage: Stage) -> Refusal:
    """Cuts the wallet off from all others, says yes to its revocation, and throws it away."""
    wallet, registration = stage.cast.wallet, stage.cast.wallet.registration(stage.home)
    signed = registration.sign(Revoke("grant", fresh_id()), statement=fresh_id(), now=stage.now())
    with lying_relay() as url:

        def cut_off(_address: str) -> WalletClient:
            return WalletClient(Transport(url), bytes(32), lambda _message: b"")

        relay = Relay(cut_off, registration, wallet.members(stage.home), _PROOF_WITHIN_S)
        done = relay.prove(signed, relay.send(signed, [registration.url]), (stage.cheat.msp_id,))
    check(done.state == "sent", "the wallet believed a relay that threw the revocation away")
    return Refusal(WALLET, "not-proven")


def silence_the_third(stage: Stage) -> Refusal:
    """Silences every witness but the custodian's and the reader's own, and reads."""
    third = _witness(stage, stage.accomplice.msp_id)
    opened = stage.opened()
    third.stop()
    try:
        refusal = refused(CUSTODIAN, lambda: stage.cheat.search(stage.cast.custodian, opened), Unavailable)
    finally:
        third.start(stage.cast.third.environment)
    _wait(lambda: _hear(third) is not None, "the third hospital's witness does not come back")
    return refusal


def fork_the_ledger(stage: Stage) -> Refusal:
    """Keeps a second ledger with another history from here on, and has its own witness sign both."""
    own = _witness(stage, stage.cheat.msp_id)
    forked = stage.network.folder / "forked"
    own.stop()  # a moment without its signatures, in which its folder is whole
    shutil.copytree(stage.network.ledger, forked)
    second = WitnessProcess(stage.network.folder / "forked-witness", ["--ledger", str(forked)], free_ports(1)[0])
    shutil.copytree(own.folder, second.folder)
    own.start(stage.cast.reader.environment)
    for ledger in (stage.network.ledger, forked):
        stage.cheat.commit(RequestAccess(fresh_id(), instant(stage.now(hours=1))), ledger=ledger)
    second.start(stage.cast.reader.environment)
    try:
        found = _compared(stage, second)
    finally:
        second.stop()
    fork = found.fork
    if fork is None:
        raise StepFailed("comparing the witnesses did not prove the fork")
    return Refusal(WITNESS, "fork-proof", f"{len(fork.encode())} bytes")


def forge_a_grant(stage: Stage) -> Refusal:
    """Commits a grant that the patient never signed, and reads under it.

    The third hospital's witness executes the block again and stops: the custodian finds nobody without a stake who says
    that its view is fresh. Where it is asked before that, it finds the forged signature itself (``forged-grant``).
    """
    forged = sign_grant(stage, stage.cheat.msp_id, forged=True)
    stage.cheat.commit(AuthorizeAccess(forged.text, forged.signature), contract=believing)
    opened = stage.cheat.open_access(stage.cast.patient, forged.id, stage.practitioner)
    third = _witness(stage, stage.accomplice.msp_id)
    _wait(lambda: third.alarm() is not None, "no witness noticed the forged grant")
    alarm = third.alarm()
    check(alarm is not None and alarm.startswith("contract at "), f"the witness stopped for another reason: {alarm}")
    refusal = refused(CUSTODIAN, lambda: stage.cheat.search(stage.cast.custodian, opened), Unavailable)
    return Refusal(CUSTODIAN, refusal.reason, f"alarm of the witness: {alarm}")


def pass_the_forgery_on(stage: Stage) -> Refusal:
    """Hands the ledger with the forged grant to an auditor."""
    folder = stage.network.folder / "forged-export"
    export(stage.network.ledger, folder)
    return refused(AUDITOR, lambda: verify_folder(folder, stage.network.ground.genesis), Tampered)


def _witness(stage: Stage, msp_id: str) -> WitnessProcess:
    found = next(hospital.witness for hospital in stage.network.hospitals if hospital.msp_id == msp_id)
    if found is None:
        raise StepFailed(f"{msp_id} runs no witness")
    return found


def _compared(stage: Stage, second: WitnessProcess) -> Comparison:
    """Compare the forked witness with the third hospital's, once both have seen the block in which they differ."""
    members = stage.cast.wallet.members(stage.home).file
    third = _witness(stage, stage.accomplice.msp_id)
    deadline = time.monotonic() + _WAIT_S
    while True:
        found = compare([WitnessClient(second.url), WitnessClient(third.url)], members)
        if found.fork is not None or time.monotonic() > deadline:
            return found
        time.sleep(_POLL_S)


def _hear(witness: WitnessProcess) -> object | None:
    try:
        return WitnessClient(witness.url).note()
    except YilianError:
        return None


def _wait(holds: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not holds():
        check(time.monotonic() < deadline, failure)
        time.sleep(_POLL_S)


THEFTS: Final = (
    Theft(
        "swallowed-revocation",
        "and another one say yes to a revocation and throw it away",
        "合谋答应撤销却将其丢弃",
        swallow_a_revocation,
        Refusal(WALLET, "not-proven"),
    ),
    Theft(
        "silenced-witness",
        "and another one silence whoever could see a revocation",
        "合谋让见证者沉默",
        silence_the_third,
        Refusal(CUSTODIAN, "no-witness"),
    ),
    Theft(
        "fork",
        "and another one keep two ledgers",
        "合谋维持两本账",
        fork_the_ledger,
        Refusal(WITNESS, "fork-proof"),
    ),
    Theft(
        "forged-grant",
        "and another one commit a grant that nobody signed",
        "合谋伪造患者授权",
        forge_a_grant,
        Refusal(CUSTODIAN, "no-witness"),
    ),
    Theft(
        "forged-ledger",
        "and another one show an auditor that ledger",
        "合谋向审计员出示账本",
        pass_the_forgery_on,
        Refusal(AUDITOR, "contract"),
    ),
)
