"""What stands on the ledger: values of listed kinds, and nothing by which one person's two hospitals are linked."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from domain import jcs
from network.blocks.rwset import Write
from network.embedded.export import export
from network.verifier.content import Item, Kind, items_of, unlisted
from network.verifier.report import VerifiedBlock
from node_service.client import wire
from node_service.client.transport import Transport
from patient_wallet.drafts import GrantChoice
from patient_wallet.seeding import create_wallet
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from tests.scenario.actors import cheap_passphrases, eventually
from tests.scenario.network import Hospital, consortium
from tests.scenario.test_story import emergency_patient, enrolled
from yilian.audit_export import verify_folder
from yilian.contract_versions import CONTRACT
from yilian.language import text
from yilian.main import build

RENHE, TONGJI, MINGDE = "RenheMSP", "TongjiMSP", "MingdeMSP"
PUBLIC_KINDS = {Kind.INSTANT, Kind.ORGANISATION, Kind.ADDRESS, Kind.NUMBER, Kind.CODE, Kind.NAME}
"""Kinds that are the same for many people: what they say together is the consent, not who it is."""


@dataclass(frozen=True)
class Ledger:
    """The verified blocks of a life, and the patient ids of one person at two hospitals."""

    folder: Path
    blocks: list[VerifiedBlock]
    patients: dict[str, str]

    def items(self) -> list[Item]:
        return [item for block in self.blocks for item in items_of(block, CONTRACT)]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """One person enrols at two hospitals with one wallet: grants, reading, dissent, revoking, broken glass."""
    folder = tmp_path_factory.mktemp("on-chain")
    with consortium(folder / "network") as hospitals, cheap_passphrases():
        vault = Vault.create(folder / "wallet.json", "a passphrase for a test")
        create_wallet(vault, "english", os.urandom)
        wallet = Wallet(vault, Transport, os.urandom, lambda: datetime.now(UTC))
        patients = {msp: live(hospitals[msp], hospitals[MINGDE], wallet) for msp in (RENHE, TONGJI)}
        for msp in patients:
            eventually(lambda msp=msp: hospitals[msp].staff("dr").status().outbox, lambda waits: waits == 0)  # type: ignore[misc]
        export(hospitals[RENHE].settings.embedded_folder, folder / "export")
    blocks: list[VerifiedBlock] = []
    verify_folder(folder / "export", None, blocks.append)
    return Ledger(folder / "export", blocks, patients)


def live(custodian: Hospital, reader: Hospital, wallet: Wallet) -> str:
    patient, _ = emergency_patient(custodian)
    enrolled(custodian, wallet, patient)
    msp, card = custodian.msp_id, wallet.registration(custodian.msp_id).card
    asked = reader.clinician.request_access(
        wire.AccessRequest(card=card, purpose="TREAT", categories=["allergy"], message="for the ward")
    )
    granted = wallet.grant(msp, GrantChoice(grantee=reader.msp_id, request=asked.id), reader.url)
    reader.clinician.confirm_match(granted.patient, granted.id, None)
    access = reader.clinician.open_access(granted.patient, granted.id, "TREAT").id
    assert reader.clinician.chart(access).items
    body = wire.EmergencyBody(card=card, reason="unconscious", categories=["allergy"])
    emergency = reader.clinician.break_glass(body).id
    review = wire.ReviewBody(outcome="justified", note="seen with the head of the ward")
    reader.staff("privacy").call("POST", f"/api/shared/emergencies/{emergency}/reviews", body=review)
    wallet.dissent(msp)
    wallet.revoke(msp, granted.id)
    return patient


def test_every_value_on_the_ledger_is_of_a_listed_kind(ledger: Ledger) -> None:
    assert [str(item) for block in ledger.blocks for item in unlisted(block, CONTRACT)] == []
    items = ledger.items()
    assert {item.kind for item in items} == set(Kind) - {Kind.UNKNOWN}
    assert len(items) > 500
    written = {item.place.split()[0] for item in items if item.place.endswith("arguments.statement.type")}
    assert {"RegisterPatient", "AuthorizeAccess", "Dissent", "RevokeAccess"} <= written


def test_the_command_says_so(ledger: Ledger) -> None:
    shown = CliRunner().invoke(build(text("en")), ["audit", "lint", str(ledger.folder)])
    assert shown.exception is None
    assert "listed values only" in shown.stdout


def test_two_hospitals_entries_share_no_field_for_one_person(ledger: Ledger) -> None:
    """All transactions that name one patient id, and what they wrote: no value that tells people apart is in both."""
    items = ledger.items()
    telling = {msp: values_about(items, patient) for msp, patient in ledger.patients.items()}
    assert min(map(len, telling.values())) > 20
    assert telling[RENHE] & telling[TONGJI] == set()


def values_about(items: list[Item], patient: str) -> set[str]:
    """What distinguishes people in all that concerns a patient id, followed through the ids that it is tied to.

    A member of staff who reads at both is the same person, and not the patient.
    """
    by_transaction: dict[str, set[str]] = {}
    staff = {item.value for item in items if item.place.endswith((".practitioner", ".reviewer"))}
    for item in items:
        if item.kind not in PUBLIC_KINDS and item.value not in staff:
            by_transaction.setdefault(item.tx_id, set()).add(item.value)
    known = {patient}
    while True:
        grown = known.union(*(values for values in by_transaction.values() if values & known))
        if grown == known:
            return known
        known = grown


@pytest.mark.parametrize("place", ["AuthorizeAccess arguments.statement.body.consent_digest", "patient.keys.signing"])
def test_the_comparison_finds_one_field_that_two_entries_share(ledger: Ledger, place: str) -> None:
    items, (first, second) = ledger.items(), ledger.patients.values()
    ours = {item.tx_id for item in items if item.value == first}
    one = next(item for item in items if item.place == place and item.tx_id in ours)
    other = next(item for item in items if item.place == place and item.tx_id not in ours)
    leaked = [replace(item, value=one.value) if item is other else item for item in items]
    assert one.value in values_about(leaked, first) & values_about(leaked, second)


# --- Broken on purpose ----------------------------------------------------------------------------------------------


def altered(ledger: Ledger, name: str, change: Callable[[Write], Write]) -> list[Item]:
    """What is found once the first write under an object type is changed."""

    def changed(write: Write) -> Write:
        return change(write) if write.key[1:].startswith(f"{name}\0") else write

    for block in ledger.blocks:
        for at, one in enumerate(block.transactions):
            transaction = one.transaction
            if transaction is None or transaction.chaincode != CONTRACT:
                continue
            rwsets = tuple(replace(rwset, writes=tuple(map(changed, rwset.writes))) for rwset in transaction.rwsets)
            if rwsets != transaction.rwsets:
                other = replace(one, transaction=replace(transaction, rwsets=rwsets))
                listed = (*block.transactions[:at], other, *block.transactions[at + 1 :])
                return list(unlisted(replace(block, transactions=listed), CONTRACT))
    raise AssertionError(f"nothing under {name} was changed")


def with_field(**fields: jcs.JsonValue) -> Callable[[Write], Write]:
    return lambda write: Write(write.key, jcs.canonical({**jcs.parse_object(write.value or b""), **fields}))


@pytest.mark.parametrize(
    ("name", "change", "place"),
    [
        ("patient", with_field(name="张三"), "patient.name"),
        ("patient", with_field(reason="died of a heart attack"), "value of patient"),
        ("grant", with_field(note="see the psychiatrist"), "grant.note"),
        ("access", with_field(key_digest="MRN-000123"), "value of access"),
        ("access", with_field(purpose="HIV"), "value of access"),
        ("emergency", with_field(practitioner="Dr Wang"), "value of emergency"),
        ("log", with_field(unwraps="many"), "value of log"),
        ("patient", lambda write: Write(write.key.replace("patient", "person"), write.value), "write key"),
        ("grant", lambda write: Write(write.key[:-1] + "张三\0", write.value), "write grant.id"),
        ("log", lambda write: Write(write.key, b"not JSON"), "value of log"),
        ("dissent", lambda write: Write(write.key, None), "value of dissent"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_place_on_the_ledger_is_named_by_transaction_and_field(
    ledger: Ledger, name: str, change: Callable[[Write], Write], place: str
) -> None:
    found = altered(ledger, name, change)
    assert place in {item.place.removesuffix(" with a field that its type has not") for item in found}
    assert all(item.tx_id and item.block > 0 for item in found)
    assert "张三" not in " ".join(str(item) for item in found)
