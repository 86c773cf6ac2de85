"""Rules 3, 7 and 8: registrations, statements and keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaincode.contract.v1 import patients
from domain.queries import QueryPatient
from domain.statements import Enrol, Rotate
from domain.transactions import CloseRegistration, RegisterPatient, RotateKey
from tests.unit.chaincode.world import A, B, MemoryChannel, Refused, Wallet, after, an_id


def rotation(old: Wallet, new: Wallet, name: str = "rotate", **changes: str) -> RotateKey:
    text = old.text(name, Rotate(new.keys), **changes)
    return RotateKey(text, old.sign(text), new.sign(text))


def test_the_custodian_binds_keys_to_a_patient_id(channel: MemoryChannel) -> None:
    wallet = Wallet("li")
    assert channel.submit(wallet.enrol(), A)
    assert list(channel.written()) == [
        f"patient/{wallet.patient}",
        f"statement-used/{wallet.patient}/{an_id('enrol li')}",
    ]
    found = channel.query(QueryPatient(wallet.patient))
    assert (found["custodian"], found["key_epoch"], found["status"], found["floor"]) == (A, 1, "active", 1)
    assert found["keys"]["signing"] == wallet.keys.signing
    assert found["enrolled_by"] == an_id("enrol li")


def test_nobody_registers_a_patient_for_another_custodian(channel: MemoryChannel) -> None:
    with pytest.raises(Refused, match=r"403 custodian$"):
        channel.submit(Wallet("li").enrol(), B)


def test_enrolment_begins_with_both_epochs_at_one(channel: MemoryChannel) -> None:
    for wallet in (Wallet("li", key_epoch=2), Wallet("li", grant_epoch=2)):
        with pytest.raises(Refused, match=r"400 invalid statement\.key_epoch$"):
            channel.submit(wallet.enrol())


def test_enrolment_is_signed_with_the_key_it_brings(channel: MemoryChannel) -> None:
    text = Wallet("li").text("enrol li", Enrol(Wallet("li").keys))
    with pytest.raises(Refused, match=r"403 signature signature$"):
        channel.submit(RegisterPatient(text, Wallet("mallory").sign(text)))


def test_enrolling_again_with_the_same_text_changes_nothing(channel: MemoryChannel, wallet: Wallet) -> None:
    assert not channel.submit(wallet.enrol())


def test_a_patient_id_is_enrolled_once(channel: MemoryChannel, wallet: Wallet) -> None:
    with pytest.raises(Refused, match=r"409 patient-id$"):
        channel.submit(wallet.enrol("again"))


def test_rotation_needs_old_and_new_key(channel: MemoryChannel, wallet: Wallet) -> None:
    new, mallory = wallet.next_epoch(), Wallet("mallory")
    text = wallet.text("rotate", Rotate(new.keys))
    for transaction in (
        RotateKey(text, wallet.sign(text), mallory.sign(text)),
        RotateKey(text, mallory.sign(text), new.sign(text)),
        RotateKey(text, new.sign(text), wallet.sign(text)),
    ):
        with pytest.raises(Refused, match=r"403 signature signature$"):
            channel.submit(transaction)


def test_rotation_raises_the_epoch_and_keeps_the_former_keys(channel: MemoryChannel, wallet: Wallet) -> None:
    new = wallet.next_epoch()
    assert channel.submit(rotation(wallet, new))
    found = channel.query(QueryPatient(wallet.patient))
    assert (found["key_epoch"], found["keys"]["signing"]) == (2, new.keys.signing)
    assert [(old["key_epoch"], old["keys"]["signing"]) for old in found["previous_keys"]] == [(1, wallet.keys.signing)]


def test_statements_of_the_old_key_epoch_die_and_live_grants_stay(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.grant("before"))
    channel.submit(rotation(wallet, wallet.next_epoch()))
    with pytest.raises(Refused, match=r"403 key-epoch$"):
        channel.submit(wallet.grant("late"))
    assert channel.state[f"\0grant\0{wallet.patient}\0{an_id('before')}\0"].value.count(b'"active"') == 1
    assert channel.submit(wallet.next_epoch().revoke("r", "before"))


def test_keys_are_rotated_at_the_custodian(channel: MemoryChannel, wallet: Wallet) -> None:
    with pytest.raises(Refused, match=r"403 custodian$"):
        channel.submit(rotation(wallet, wallet.next_epoch()), B)


def test_a_key_never_comes_back(channel: MemoryChannel, wallet: Wallet) -> None:
    with pytest.raises(Refused, match=r"409 key-reused$"):
        channel.submit(rotation(wallet, wallet))
    second = wallet.next_epoch()
    channel.submit(rotation(wallet, second))
    text = second.text("back", Rotate(wallet.keys))
    with pytest.raises(Refused, match=r"409 key-reused$"):
        channel.submit(RotateKey(text, second.sign(text), wallet.sign(text)))


def test_rotations_are_counted(channel: MemoryChannel, wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patients, "MAX_ROTATIONS", 1)
    second = wallet.next_epoch()
    channel.submit(rotation(wallet, second))
    with pytest.raises(Refused, match=r"409 too-many-rotations$"):
        channel.submit(rotation(second, second.next_epoch(), "again"))


def test_a_rotation_is_accepted_once(channel: MemoryChannel, wallet: Wallet) -> None:
    transaction = rotation(wallet, wallet.next_epoch())
    assert channel.submit(transaction)
    assert not channel.submit(transaction)


def test_only_the_custodian_closes_a_registration(channel: MemoryChannel, wallet: Wallet) -> None:
    closing = CloseRegistration(wallet.patient, "deceased")
    with pytest.raises(Refused, match=r"403 custodian$"):
        channel.submit(closing, B)
    assert channel.submit(closing)
    assert not channel.submit(closing)
    with pytest.raises(Refused, match=r"409 closed$"):
        channel.submit(replace(closing, reason="duplicate"))


def test_closing_what_is_not_there_is_not_found(channel: MemoryChannel) -> None:
    with pytest.raises(Refused, match=r"404 not-found patient$"):
        channel.submit(CloseRegistration(an_id("nobody"), "deceased"))


def test_a_closed_registration_takes_refusals_only(channel: MemoryChannel, wallet: Wallet) -> None:
    channel.submit(wallet.grant("g"))
    channel.submit(CloseRegistration(wallet.patient, "patient-request"))
    for transaction in (wallet.grant("g2"), rotation(wallet, wallet.next_epoch())):
        with pytest.raises(Refused, match=r"403 closed$"):
            channel.submit(transaction)
    assert channel.submit(wallet.revoke("r", "g"))
    assert channel.submit(wallet.dissent("d"))
    assert channel.submit(wallet.revoke_all("all", 2))


def test_a_statement_for_another_channel_is_denied(channel: MemoryChannel, wallet: Wallet) -> None:
    with pytest.raises(Refused, match=r"403 channel$"):
        channel.submit(wallet.grant("g", channel="other"))


def test_a_statement_of_another_type_is_invalid(channel: MemoryChannel, wallet: Wallet) -> None:
    grant = wallet.grant("g")
    for kind in (RegisterPatient,):
        with pytest.raises(Refused, match=r"400 invalid statement\.type$"):
            channel.submit(kind(grant.statement, grant.signature))


@pytest.mark.parametrize(
    ("seconds", "accepted"),
    [(-1, False), (0, True), (1, True), (30 * 86400, True), (30 * 86400 + 1, False)],
)
def test_a_statement_is_anchored_in_its_time_or_never(
    channel: MemoryChannel, wallet: Wallet, seconds: int, accepted: bool
) -> None:
    transaction = wallet.grant("g", anchor_by=after(seconds))
    if accepted:
        assert channel.submit(transaction)
    else:
        with pytest.raises(Refused, match=r"403 anchor-by$"):
            channel.submit(transaction)


def test_a_statement_names_the_patients_own_custodian(channel: MemoryChannel, wallet: Wallet) -> None:
    with pytest.raises(Refused, match=r"403 custodian$"):
        channel.submit(replace(wallet, custodian=B).grant("g"))


def test_a_statement_of_nobody_is_not_found(channel: MemoryChannel) -> None:
    with pytest.raises(Refused, match=r"404 not-found statement\.patient$"):
        channel.submit(Wallet("stranger").grant("g"))


def test_a_foreign_signature_is_denied(channel: MemoryChannel, wallet: Wallet) -> None:
    grant = wallet.grant("g")
    with pytest.raises(Refused, match=r"403 signature signature$"):
        channel.submit(replace(grant, signature=Wallet("mallory").sign(grant.statement)))


def test_a_used_statement_id_takes_the_same_text_without_effect_and_no_other(
    channel: MemoryChannel, wallet: Wallet
) -> None:
    channel.submit(wallet.grant("g"))
    assert not channel.submit(wallet.grant("g"), B)
    assert not channel.submit(wallet.grant("g"), at=after(40 * 86400))
    with pytest.raises(Refused, match=r"409 statement-id$"):
        channel.submit(wallet.dissent("g"))
    with pytest.raises(Refused, match=r"409 statement-id$"):
        channel.submit(wallet.grant("g", anchor_by=after(7200)))


def test_statement_ids_of_one_patient_do_not_block_anothers(channel: MemoryChannel, wallet: Wallet) -> None:
    other = Wallet("wang")
    channel.submit(other.enrol())
    channel.submit(wallet.grant("g"))
    assert channel.submit(other.grant("g"))
