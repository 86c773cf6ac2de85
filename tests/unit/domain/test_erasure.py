"""The digest of an erasure statement, and certificates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.erasure import (
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
    ("records", "salt"),
    [([], bytes(32)), ([TWO, ONE], bytes(32)), ([ONE, ONE], bytes(32)), (["x"], bytes(32)), ([ONE], bytes(31)),
     (sorted(identifier(number.to_bytes(16, "big")) for number in range(201)), bytes(32))],
    ids=["none", "unsorted", "twice", "no-id", "short-salt", "too-many"],
)  # fmt: skip
def test_what_no_statement_names_is_refused(records: list[str], salt: bytes) -> None:
    with pytest.raises(Invalid):
        records_digest(records, salt)


def test_a_certificate_is_read_as_it_was_written() -> None:
    text = certificate().encode()
    assert verify_certificate(text, signed(text), PUBLIC) == certificate()
    assert json.loads(text)["type"] == "erasure-certificate"


def test_an_altered_or_foreign_certificate_is_tampered() -> None:
    text = certificate().encode()
    with pytest.raises(Tampered):
        verify_certificate(certificate(custodian="B").encode(), signed(text), PUBLIC)
    other = encode_bytes(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    with pytest.raises(Tampered):
        verify_certificate(text, signed(text), other)


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"type": "receipt"}, {"alg": "SM2"}, {"more": 1}, {"erased": [{"record": ONE}]}, {"custodian": "?"}],
    ids=["version", "type", "algorithm", "unknown-field", "half-a-record", "custodian"],
)  # fmt: skip
def test_a_certificate_of_another_form_is_refused(change: dict[str, Any]) -> None:
    fields = {**json.loads(certificate().encode()), **change}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    with pytest.raises(Invalid):
        parse_certificate(text)
