"""The digest of an erasure statement, and certificates."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.erasure import (
    MAX_CERTIFICATE_BYTES,
    Attested,
    Certificate,
    ErasedRecord,
    KeptRecord,
    Missing,
    parse_certificate,
    records_digest,
    verify_certificate,
)
from domain.errors import Invalid, Tampered
from domain.identifiers import encode_bytes, identifier

ONE, TWO = sorted(identifier(bytes([number]) * 16) for number in (1, 2))
AT = "2026-03-01T08:00:00Z"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = encode_bytes(KEY.public_key().public_bytes_raw())


def certificate(**changes: Any) -> Certificate:
    erased = ErasedRecord(ONE, "ab" * 32, AT, AT, AT, (Attested("B", None),), (Missing("C", "told"),))
    fields: dict[str, Any] = {
        "channel": "yilian", "custodian": "A", "kid": "signing-1", "case": ONE, "statement": ONE,
        "records_digest": records_digest([ONE, TWO], bytes(32)), "issued_at": AT, "erased": (erased,),
        "kept": (KeptRecord(TWO, AT, "cn-outpatient"),),
    }  # fmt: skip
    return Certificate(**{**fields, **changes})


def signed(text: str) -> str:
    return encode_bytes(KEY.sign(text.encode()))


def test_the_digest_has_the_documented_form() -> None:
    assert records_digest([ONE, TWO], bytes(range(32))) == "IOLbJgVpYjMK1dFjYd56zOb3eL8In21Xlf89ud_nRlE"
    assert records_digest([ONE], bytes(32)) != records_digest([TWO], bytes(32))
    assert records_digest([ONE], bytes(32)) != records_digest([ONE], bytes([1] * 32))


@pytest.mark.parametrize(
    ("records", "salt", "place"),
    [([], bytes(32), "records"), ([TWO, ONE], bytes(32), "records"), ([ONE, ONE], bytes(32), "records"),
     (["x"], bytes(32), "records"), ([ONE], bytes(31), "salt"), ([ONE], bytes(33), "salt"),
     (sorted(identifier(number.to_bytes(16, "big")) for number in range(201)), bytes(32), "records")],
    ids=["none", "unsorted", "twice", "no-id", "short-salt", "long-salt", "too-many"],
)  # fmt: skip
def test_what_no_statement_names_is_refused(records: list[str], salt: bytes, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        records_digest(records, salt)
    assert refused.value.place == place


def test_a_statement_may_name_two_hundred_records() -> None:
    assert records_digest(sorted(identifier(number.to_bytes(16, "big")) for number in range(200)), bytes(32))


def test_a_certificate_is_read_as_it_was_written() -> None:
    text = certificate().encode()
    assert verify_certificate(text, signed(text), PUBLIC) == certificate()
    assert json.loads(text)["type"] == "erasure-certificate"
    final = replace(certificate().erased[0], final_at=AT)
    assert parse_certificate(certificate(erased=(final,)).encode()).erased == (final,)
    with pytest.raises(Invalid):
        replace(final, final_at="soon")


def test_an_altered_or_foreign_certificate_is_tampered() -> None:
    text = certificate().encode()
    with pytest.raises(Tampered):
        verify_certificate(certificate(custodian="B").encode(), signed(text), PUBLIC)
    other = encode_bytes(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    with pytest.raises(Tampered):
        verify_certificate(text, signed(text), other)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"v": 0}, "v"), ({"v": 3}, "v"), ({"v": ...}, "v"), ({"v": 2}, "erased.waiting"),
        ({"type": "receipt"}, "type"), ({"type": ...}, "type"),
        ({"alg": "SM2"}, "alg"), ({"alg": ...}, "alg"), ({"more": 1}, "certificate"), ({"kid": ...}, "certificate.kid"),
        ({"erased": [{"record": ONE}]}, "erased.attested"), ({"erased": [1]}, "erased"), ({"kept": [1]}, "kept"),
        ({"custodian": "?"}, "custodian"),
    ],
)  # fmt: skip
def test_a_certificate_of_another_form_is_refused(change: dict[str, Any], place: str) -> None:
    fields = {**json.loads(certificate().encode()), **change}
    kept = {name: value for name, value in fields.items() if value is not ...}
    with pytest.raises(Invalid) as refused:
        parse_certificate(json.dumps(kept, sort_keys=True, separators=(",", ":")))
    assert refused.value.place == place


def test_a_certificate_has_bounds() -> None:
    with pytest.raises(Invalid) as refused:
        parse_certificate(" " * (MAX_CERTIFICATE_BYTES + 1))
    assert refused.value.reason == "too-large"
    kept = KeptRecord(TWO, AT, "rule")
    assert len(certificate(kept=(kept,) * 1000).kept) == 1000
    for name, values in (("kept", (kept,) * 1001), ("erased", certificate().erased * 1001)):
        with pytest.raises(Invalid) as refused:
            certificate(**{name: values})
        assert refused.value.place == name


def test_a_certificate_is_verified_with_a_key_and_a_signature() -> None:
    text = certificate().encode()
    for signature, key, place in (("x", PUBLIC, "signature"), (signed(text), "x", "signing_key")):
        with pytest.raises(Invalid) as refused:
            verify_certificate(text, signature, key)
        assert refused.value.place == place
