from __future__ import annotations

from dataclasses import replace

import pytest

from domain.errors import Denied, Invalid, Tampered
from offchain.envelope.hpke import HPKE_HYBRID, HPKE_X25519, RecipientPrivateKey, RecipientPublicKey
from offchain.envelope.keys import CustodyKey, DataKey, RecordSecret, SessionKey
from offchain.envelope.messages import MAX_MESSAGE_BYTES, SealedMessage, open_message, seal_message
from offchain.envelope.wraps import (
    KeyBinding,
    Wrap,
    unwrap_for_access,
    unwrap_for_custodian,
    unwrap_for_patient,
    unwrap_session,
    wrap_for_access,
    wrap_for_custodian,
    wrap_for_patient,
    wrap_session,
)
from tests.unit.offchain.sealing import fresh_id

KEY = DataKey(bytes(range(32)))
CUSTODY = CustodyKey(bytes(range(32, 64)))
RECORD_SECRET = RecordSecret(bytes(range(96, 128)))
SESSION = SessionKey(bytes(range(64, 96)))
BINDING = KeyBinding(fresh_id(), fresh_id(), 3)
OTHER_ROWS = [
    replace(BINDING, object_id=fresh_id()),
    replace(BINDING, record_id=fresh_id()),
    replace(BINDING, version=4),
    KeyBinding(BINDING.record_id, BINDING.object_id, 3),
]
PATIENT = RecipientPrivateKey.generate(HPKE_X25519)
ONE_USE = RecipientPrivateKey.generate(HPKE_HYBRID)
ACCESS = fresh_id()
SMALL_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]


def _altered(wrap: Wrap) -> list[Wrap]:
    positions = range(0, len(wrap.wrapped), max(1, len(wrap.wrapped) // 40))
    flipped = [bytes(b ^ (position == at) for position, b in enumerate(wrap.wrapped)) for at in positions]
    return [replace(wrap, wrapped=bytes_) for bytes_ in (*flipped, wrap.wrapped[:-1], wrap.wrapped + b"\x00")]


def test_each_wrap_gives_the_key_back_and_survives_its_encoding() -> None:
    custodian = wrap_for_custodian(KEY, CUSTODY, RECORD_SECRET, "k1", BINDING)
    patient = wrap_for_patient(KEY, PATIENT.public, BINDING)
    session = wrap_session(SESSION, ONE_USE.public, ACCESS)
    access = wrap_for_access(KEY, SESSION, ACCESS, BINDING)
    for wrap in (custodian, patient, session, access):
        assert Wrap.parse(wrap.encode()) == wrap
    assert unwrap_for_custodian(custodian, CUSTODY, RECORD_SECRET, BINDING) == KEY
    assert unwrap_for_patient(patient, PATIENT, BINDING) == KEY
    assert unwrap_session(session, ONE_USE, ACCESS) == SESSION
    assert unwrap_for_access(access, SESSION, ACCESS, BINDING) == KEY


@pytest.mark.parametrize("row", OTHER_ROWS, ids=["object", "record", "version", "swapped-ids"])
def test_a_wrap_moved_to_another_row_is_refused(row: KeyBinding) -> None:
    with pytest.raises(Tampered):
        unwrap_for_custodian(
            wrap_for_custodian(KEY, CUSTODY, RECORD_SECRET, "k1", BINDING), CUSTODY, RECORD_SECRET, row
        )
    with pytest.raises(Tampered):
        unwrap_for_patient(wrap_for_patient(KEY, PATIENT.public, BINDING), PATIENT, row)
    with pytest.raises(Tampered):
        unwrap_for_access(wrap_for_access(KEY, SESSION, ACCESS, BINDING), SESSION, ACCESS, row)


def test_a_custodian_wrap_under_another_key_id_is_refused() -> None:
    wrap = wrap_for_custodian(KEY, CUSTODY, RECORD_SECRET, "k1", BINDING)
    with pytest.raises(Tampered):
        unwrap_for_custodian(replace(wrap, key_id="k2"), CUSTODY, RECORD_SECRET, BINDING)


def test_a_session_or_key_of_another_access_is_refused() -> None:
    other = fresh_id()
    with pytest.raises(Tampered):
        unwrap_session(wrap_session(SESSION, ONE_USE.public, ACCESS), ONE_USE, other)
    access = wrap_for_access(KEY, SESSION, ACCESS, BINDING)
    with pytest.raises(Denied):
        unwrap_for_access(access, SESSION, other, BINDING)
    with pytest.raises(Tampered):
        unwrap_for_access(replace(access, key_id=other), SESSION, other, BINDING)


def test_an_altered_wrap_is_tampered() -> None:
    for wrap in _altered(wrap_for_custodian(KEY, CUSTODY, RECORD_SECRET, "k1", BINDING)):
        with pytest.raises(Tampered):
            unwrap_for_custodian(wrap, CUSTODY, RECORD_SECRET, BINDING)
    for wrap in _altered(wrap_for_patient(KEY, PATIENT.public, BINDING)):
        with pytest.raises(Tampered):
            unwrap_for_patient(wrap, PATIENT, BINDING)
    for wrap in _altered(wrap_session(SESSION, ONE_USE.public, ACCESS)):
        with pytest.raises(Tampered):
            unwrap_session(wrap, ONE_USE, ACCESS)


def test_no_wrap_for_you_differs_from_altered() -> None:
    with pytest.raises(Denied) as caught:
        unwrap_for_patient(
            wrap_for_patient(KEY, PATIENT.public, BINDING), RecipientPrivateKey.generate(HPKE_X25519), BINDING
        )
    assert caught.value.reason == "no-wrap"
    with pytest.raises(Denied):
        unwrap_session(wrap_session(SESSION, ONE_USE.public, ACCESS), RecipientPrivateKey.generate(HPKE_HYBRID), ACCESS)


def test_a_wrap_of_one_kind_is_not_taken_for_another() -> None:
    with pytest.raises(Tampered):
        unwrap_for_custodian(wrap_for_patient(KEY, PATIENT.public, BINDING), CUSTODY, RECORD_SECRET, BINDING)
    with pytest.raises(Tampered):
        unwrap_for_patient(wrap_for_custodian(KEY, CUSTODY, RECORD_SECRET, "k1", BINDING), PATIENT, BINDING)
    with pytest.raises(Tampered):
        unwrap_session(wrap_for_access(KEY, SESSION, ACCESS, BINDING), ONE_USE, ACCESS)
    with pytest.raises(Invalid):
        wrap_for_patient(KEY, ONE_USE.public, BINDING)
    with pytest.raises(Invalid):
        wrap_session(SESSION, PATIENT.public, ACCESS)


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_public_keys_of_small_order_are_refused_in_both_suites(point: bytes) -> None:
    with pytest.raises(Invalid):
        RecipientPublicKey(HPKE_X25519, point)
    with pytest.raises(Invalid):
        RecipientPublicKey(HPKE_HYBRID, ONE_USE.public.raw[:1184] + point)


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_an_encapsulation_of_small_order_is_tampered(point: bytes) -> None:
    wrap = wrap_for_patient(KEY, PATIENT.public, BINDING)
    with pytest.raises(Tampered):
        unwrap_for_patient(replace(wrap, wrapped=point + wrap.wrapped[32:]), PATIENT, BINDING)


def test_public_keys_have_one_text_and_a_digest() -> None:
    for private in (PATIENT, ONE_USE):
        public = private.public
        assert RecipientPublicKey.parse(public.alg, public.text) == public
        assert len(public.digest) == 43
    assert len(ONE_USE.public.raw) == 1216
    for alg, text in (("HPKE-P256", PATIENT.public.text), (HPKE_HYBRID, PATIENT.public.text), (HPKE_X25519, "A" * 44)):
        with pytest.raises(Invalid):
            RecipientPublicKey.parse(alg, text)


@pytest.mark.parametrize("alg", [HPKE_X25519, HPKE_HYBRID])
def test_messages_open_for_their_recipient_and_purpose_only(alg: str) -> None:
    private = RecipientPrivateKey.generate(alg)
    message = seal_message(private.public, ["grant-package", ACCESS], "给张医生".encode())
    assert SealedMessage.parse(message.encode()) == message
    assert open_message(private, ["grant-package", ACCESS], message).decode() == "给张医生"
    with pytest.raises(Tampered):
        open_message(private, ["grant-package", fresh_id()], message)
    with pytest.raises(Tampered):
        open_message(private, ["request", ACCESS], message)
    with pytest.raises(Tampered):
        open_message(private, ["grant-package", ACCESS], replace(message, sealed=message.sealed[:-1]))
    with pytest.raises(Denied):
        open_message(RecipientPrivateKey.generate(alg), ["grant-package", ACCESS], message)


def test_messages_are_bounded() -> None:
    with pytest.raises(Invalid):
        seal_message(PATIENT.public, [], bytes(MAX_MESSAGE_BYTES + 1))


def test_no_private_key_shows_in_a_repr() -> None:
    for private in (PATIENT, ONE_USE):
        assert str(private.reveal())[2:20] not in repr(private)
        with pytest.raises(TypeError):
            private.__reduce__()
    assert "secret" in repr(SESSION)
    assert str(SESSION.reveal())[2:20] not in repr([SESSION])


@pytest.mark.parametrize("encoded", [b"{}", b"[]", b'{"alg":"none","keyId":"k","wrapped":"AA"}', b"x"])
def test_bytes_that_are_no_wrap_are_invalid(encoded: bytes) -> None:
    with pytest.raises(Invalid):
        Wrap.parse(encoded)


def test_custody_key_and_record_secret_are_both_needed() -> None:
    wrap = wrap_for_custodian(KEY, CUSTODY, RECORD_SECRET, "k1", BINDING)
    with pytest.raises(Tampered):
        unwrap_for_custodian(wrap, CustodyKey.generate(), RECORD_SECRET, BINDING)
    with pytest.raises(Tampered):
        unwrap_for_custodian(wrap, CUSTODY, RecordSecret.generate(), BINDING)
    with pytest.raises(Tampered):
        unwrap_for_custodian(wrap, CustodyKey(RECORD_SECRET.reveal()), RecordSecret(CUSTODY.reveal()), BINDING)
    assert unwrap_for_custodian(wrap, CUSTODY, RECORD_SECRET, BINDING) == KEY
