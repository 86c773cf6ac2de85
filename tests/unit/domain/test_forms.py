"""Every form names the field that breaks a rule, takes what lies at its bounds and refuses what lies beyond."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import pytest

from domain import (
    effective,
    entries,
    erasure,
    grants,
    leaves,
    ports,
    queries,
    receipt_form,
    statements,
    transactions,
    vocabulary,
    wallet_consent,
    wire,
    witness_log,
)
from domain.errors import Invalid
from domain.identifiers import decode_bytes, encode_bytes, identifier
from domain.jcs import MAX_SAFE_INTEGER, MAX_SIGNED_BYTES
from domain.paths import LeafPath
from domain.signed_texts import MAX_TEXT_BYTES, SignedText
from domain.statements import MAX_EPOCH, MAX_STATEMENT_BYTES
from domain.witness_answers import Answer
from domain.witness_key import WitnessPublicKey
from tests.unit.domain.forms import DIGEST, FORMS, ID, KEY, LATER, NOW, OTHER_ID, PUBLISHED, SIGNATURE

BELOW: Final[dict[type[object], str]] = {
    receipt_form.Proven: "proves.",
    receipt_form.WritePlace: "write.",
    receipt_form.Inclusion: "log.",
    receipt_form.Member: "members.",
}
"""These forms are always parts of one larger form, whose field stands before their own."""

UNCHECKED: Final = {
    (witness_log.Write, "value"),
    *((grants.AccessRequest, name) for name in ("organization", "practitioner", "purpose")),
    *((grants.RecordFacts, name) for name in ("category", "permission")),
    *((wallet_consent.Parties, name) for name in ("id", "patient", "custodian")),
}
"""What the node itself fills in; none of it is read from outside."""

FIELDS: Final = [
    (form, field.name)
    for form in FORMS
    for field in dataclasses.fields(form)  # type: ignore[arg-type]
    if (type(form), field.name) not in UNCHECKED
]


def of(kind: type[object]) -> Any:
    """The example of a form."""
    return next(form for form in FORMS if type(form) is kind)


def name_of(value: object) -> str:
    return value if isinstance(value, str) else f"{type(value).__module__}.{type(value).__name__}"


def place_of_refusal(form: Any, **changes: object) -> str:
    with pytest.raises(Invalid) as refused:
        dataclasses.replace(form, **changes)
    assert refused.value.reason == "invalid"
    assert " " in refused.value.detail
    return refused.value.place


@pytest.mark.parametrize(("form", "field"), FIELDS, ids=name_of)
def test_a_field_of_another_type_is_refused_at_its_name(form: object, field: str) -> None:
    assert place_of_refusal(form, **{field: 7.5}) == BELOW.get(type(form), "") + field


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_a_form_is_read_as_it_was_written(form: Any) -> None:
    if not isinstance(form, (receipt_form.Members, witness_log.Write)):
        assert wire.from_json(type(form), wire.to_json(form)) == form


EPOCH: Final = ((1, MAX_EPOCH), (0, MAX_EPOCH + 1, True))
FROM_ZERO: Final = ((0, MAX_SAFE_INTEGER), (-1, MAX_SAFE_INTEGER + 1, False))
FROM_ONE: Final = ((1, MAX_SAFE_INTEGER), (0, MAX_SAFE_INTEGER + 1, True))
PROOF: Final = (((), (DIGEST,) * 128), ((DIGEST,) * 129, (DIGEST, "x"), (encode_bytes(bytes(31)),)))
RECORDS: Final = tuple(sorted(identifier(number.to_bytes(16, "big")) for number in range(201)))
MANY: Final = tuple(dataclasses.replace(PUBLISHED, kid=f"kid{number}") for number in range(32))
URLS: Final = (
    ("http://a", "https://" + "a" * 248, "https://!~"),
    ("", "https://", "https://" + "a" * 249, "ftp://a", "https://a b", "https://é", " https://a"),
)


def text(most: int) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """A text of 1 to so many characters."""
    return ("x", "x" * most), ("", "x" * (most + 1))


BOUNDS: Final[list[tuple[type[object], str, tuple[tuple[object, ...], tuple[object, ...]]]]] = [
    (statements.Envelope, "key_epoch", EPOCH),
    (statements.Envelope, "grant_epoch", EPOCH),
    (statements.RevokeEverything, "floor", ((2, MAX_EPOCH), (1, MAX_EPOCH + 1))),
    (statements.Session, "nonce", ((DIGEST,), (encode_bytes(bytes(31)), encode_bytes(bytes(33))))),
    (statements.Revoke, "kind", (("grant", "dissent"), ("", "Grant", "request"))),
    (statements.GrantTerms, "practitioner", ((None, ID), ("", "x"))),
    (statements.GrantTerms, "recorded_until", ((None, NOW), ("", "2026-03-01"))),
    (statements.GrantTerms, "request", ((None, ID), ("", "x"))),
    (statements.GrantTerms, "valid_until", ((LATER, "2026-03-01T12:00:01Z"), (NOW, "2026-03-01T11:59:59Z"))),
    (
        statements.GrantTerms,
        "categories",
        ((tuple(sorted(vocabulary.CATEGORIES)),), ((), ("result", "imaging"), ("x",))),
    ),
    (statements.GrantTerms, "purposes", ((tuple(sorted(vocabulary.PURPOSES)),), ((), ("BTG",), ("TREAT", "TREAT")))),
    (statements.GrantTerms, "permissions", ((("contribute", "keep", "read"),), ((), ("write",)))),
    (statements.DissentTerms, "purposes", ((("BTG",), ("BTG", "TREAT")), ((), ("TREAT", "BTG"), ("x",)))),
    (statements.PatientKeys, "signing_alg", ((), ("ed25519", "HPKE-X25519"))),
    (statements.PatientKeys, "wrap_alg", ((), ("Ed25519",))),
    (statements.PatientKeys, "signing", ((), (DIGEST, encode_bytes(bytes(31)), encode_bytes(bytes(33))))),
    (statements.PatientKeys, "wrap", ((), (encode_bytes(bytes(31)), encode_bytes(bytes(33))))),
    (transactions.OrganizationKey, "use", ((), ("x",))),
    (transactions.OrganizationKey, "alg", ((), ("SHA-256", "x"))),
    (transactions.OrganizationKey, "valid_until", ((None, NOW), ("",))),
    (transactions.RegisterOrganization, "url", URLS),
    (transactions.RegisterOrganization, "witness_url", ((None, *URLS[0]), URLS[1])),
    (transactions.RegisterOrganization, "keys", ((MANY,), ((), (*MANY, PUBLISHED), (PUBLISHED, PUBLISHED)))),
    (transactions.RotateKey, "statement", text(MAX_STATEMENT_BYTES)),
    (transactions.RotateKey, "signature", ((SIGNATURE,), (encode_bytes(bytes(63)), encode_bytes(bytes(65))))),
    (transactions.RotateKey, "new_signature", ((SIGNATURE,), (encode_bytes(bytes(63)), encode_bytes(bytes(65))))),
    (transactions.CloseRegistration, "reason", (vocabulary.CLOSE_REASONS, ("", "x"))),
    (transactions.RetractRecord, "reason", (vocabulary.RETRACT_REASONS, ("retention",))),
    (transactions.LockRecord, "reason", (vocabulary.LOCK_REASONS, ("wrong-patient",))),
    (transactions.LogHead, "size", FROM_ZERO),
    (transactions.LogHead, "proof", PROOF),
    (transactions.Opening, "reason", (vocabulary.INCARNATION_REASONS, ("x",))),
    (transactions.Opening, "records_size", FROM_ZERO),
    (transactions.Opening, "access_size", FROM_ZERO),
    (transactions.Anchor, "incarnation", FROM_ONE),
    (transactions.Anchor, "unwraps", FROM_ZERO),
    (transactions.Anchor, "opening", ((None,), ({},))),
    (transactions.EraseRecord, "records", ((RECORDS[:1], RECORDS[:200]), ((), RECORDS, (OTHER_ID, ID), (ID, ID)))),
    (transactions.AttestErasure, "records", ((RECORDS[:1], RECORDS[:200]), ((), RECORDS, (OTHER_ID, ID), (ID, ID)))),
    (transactions.AttestErasure, "retained_until", ((None, NOW), ("",))),
    (transactions.OpenAccess, "purpose", (vocabulary.PURPOSES, ("BTG", ""))),
    (transactions.BreakGlass, "reason", (vocabulary.BREAK_GLASS_REASONS, ("x",))),
    (transactions.ReviewBreakGlass, "outcome", (vocabulary.REVIEW_OUTCOMES, ("x",))),
    (queries.QueryGrants, "after", ((None, *text(512)[0]), text(512)[1])),
    (queries.QueryGrants, "limit", ((1, 1000), (0, 1001, True))),
    (queries.QueryAccesses, "after", ((None, *text(512)[0]), text(512)[1])),
    (queries.QueryAccesses, "limit", ((1, 1000), (0, 1001, True))),
    (queries.QueryStatement, "kind", (vocabulary.STATEMENT_KINDS, ("x",))),
    (
        queries.QueryHistory,
        "key",
        (
            (("org", "A"), ("grant", "a", "b", "c", "x" * 64)),
            (("org",), ("x", "A"), ("org", ""), ("org", "x" * 65), ("org", *"abcde")),
        ),
    ),
    (entries.OrganizationEntry, "status", (entries.ORGANIZATION_STATUSES, ("x",))),
    (entries.OrganizationEntry, "url", URLS),
    (entries.OrganizationEntry, "witness_url", ((None, *URLS[0]), URLS[1])),
    (entries.OrganizationEntry, "keys", (((), (PUBLISHED,) * 32), ((PUBLISHED,) * 33,))),
    (entries.PreviousKeys, "key_epoch", EPOCH),
    (entries.PatientEntry, "key_epoch", EPOCH),
    (entries.PatientEntry, "status", (entries.REGISTRATION_STATUSES, ("x",))),
    (entries.PatientEntry, "reason", ((None, *vocabulary.CLOSE_REASONS), ("x",))),
    (
        entries.PatientEntry,
        "previous_keys",
        (((), (of(entries.PreviousKeys),) * 1000), ((of(entries.PreviousKeys),) * 1001,)),
    ),
    (entries.FloorEntry, "grant_epoch", EPOCH),
    (entries.Head, "size", FROM_ZERO),
    (entries.LogEntry, "unwraps", FROM_ZERO),
    (entries.LogEntry, "opening", ((None,), ({},))),
    (entries.StatusEntry, "status", (entries.RECORD_STATUSES, ("active",))),
    (entries.StatusEntry, "reason", ((None, *vocabulary.RETRACT_REASONS, *vocabulary.LOCK_REASONS), ("x",))),
    (entries.StatusEntry, "until", ((None, NOW), ("",))),
    (entries.AttestationEntry, "retained_until", ((None, NOW), ("",))),
    (entries.GrantEntry, "status", (("active", "revoked"), ("x",))),
    (entries.GrantEntry, "key_epoch", EPOCH),
    (entries.GrantEntry, "grant_epoch", EPOCH),
    (entries.GrantEntry, "revoked_by", ((None, ID), ("",))),
    (entries.GrantEntry, "terms", ((), (None,))),
    (entries.DissentEntry, "status", (("active", "withdrawn"), ("revoked",))),
    (entries.DissentEntry, "key_epoch", EPOCH),
    (entries.DissentEntry, "withdrawn_by", ((None, ID), ("",))),
    (entries.DissentEntry, "terms", ((), (None,))),
    (entries.AccessEntry, "purpose", (vocabulary.PURPOSES, ("BTG",))),
    (entries.EmergencyEntry, "reason", (vocabulary.BREAK_GLASS_REASONS, ("x",))),
    (entries.ReviewEntry, "outcome", (vocabulary.REVIEW_OUTCOMES, ("x",))),
    (entries.StatementEntry, "statement_digest", ((None, DIGEST), ("",))),
    (LeafPath, "incarnation", FROM_ONE),
    (LeafPath, "size", FROM_ONE),
    (LeafPath, "index", ((0,), (-1, 1, 2, False))),
    (LeafPath, "hashes", PROOF),
    (leaves.Author, "alg", (("Ed25519",), ("x",))),
    (leaves.Author, "signature", ((SIGNATURE,), (encode_bytes(bytes(63)), encode_bytes(bytes(65))))),
    (leaves.RecordLeaf, "version", ((2, MAX_SAFE_INTEGER), (0, MAX_SAFE_INTEGER + 1, True))),
    (leaves.RecordLeaf, "previous", ((DIGEST,), (None, "x"))),
    (leaves.RecordLeaf, "size_bucket", ((0, 63), (-1, 64))),
    (leaves.RecordLeaf, "day", (("2024-02-29",), ("2026-02-29", "2026-3-1", ""))),
    (leaves.RecordLeaf, "salt", ((DIGEST,), (encode_bytes(bytes(31)), encode_bytes(bytes(33))))),
    (leaves.RecordLeaf, "author", ((None,), ({},))),
    (leaves.AccessLeaf, "action", (leaves.ACCESS_ACTIONS, ("x",))),
    (leaves.AccessLeaf, "records", (((), (ID,) * 1000), ((ID,) * 1001, ("x",)))),
    (leaves.AccessLeaf, "salt", ((DIGEST,), (encode_bytes(bytes(31)), encode_bytes(bytes(33))))),
    (leaves.AccessLeaf, "purpose", ((None, "TREAT"), ("",))),
    (leaves.AccessLeaf, "access", ((None, ID), ("x",))),
    (leaves.AccessLeaf, "patient", ((None, ID), ("x",))),
    (witness_log.LogEntry, "number", FROM_ZERO),
    (witness_log.Write, "transaction", FROM_ZERO),
    (witness_log.Write, "tx_id", text(128)),
    (witness_log.Write, "key", text(1024)),
    (witness_log.WriteLeaf, "transaction", FROM_ZERO),
    (witness_log.WriteLeaf, "tx_id", text(128)),
    (witness_log.WriteLeaf, "key", text(1024)),
    (witness_log.WriteLeaf, "digest", ((None, DIGEST), ("x",))),
    (receipt_form.Proven, "kind", (("record", "access-row"), ("x",))),
    (receipt_form.Proven, "key", text(1024)),
    (receipt_form.Proven, "value", text(MAX_SIGNED_BYTES)),
    (receipt_form.Proven, "leaf", (text(65536)[0], (None, *text(65536)[1]))),
    (receipt_form.Proven, "path", ((), (None,))),
    (receipt_form.WritePlace, "transaction", FROM_ZERO),
    (receipt_form.WritePlace, "tx_id", text(128)),
    (receipt_form.WritePlace, "index", FROM_ZERO),
    (receipt_form.WritePlace, "size", FROM_ZERO),
    (receipt_form.WritePlace, "path", PROOF),
    (receipt_form.Inclusion, "size", FROM_ZERO),
    (receipt_form.Inclusion, "path", PROOF),
    (receipt_form.Members, "channel", text(249)),
    (receipt_form.Members, "ledger", (("embedded", "fabric"), ("x",))),
    (
        receipt_form.Members,
        "members",
        ((of(receipt_form.Members).members,), ((), of(receipt_form.Members).members * 2)),
    ),
    (
        receipt_form.Member,
        "witness",
        (((),), ((DIGEST,), (encode_bytes(bytes(31)),), of(receipt_form.Member).witness * 33)),
    ),
    (Answer, "nonce", ((DIGEST,), (encode_bytes(bytes(31)), encode_bytes(bytes(33))))),
    (Answer, "block", ((0,), (-1,))),
    (WitnessPublicKey, "channel", text(249)),
    (WitnessPublicKey, "key", ((), (DIGEST, encode_bytes(bytes(31)), encode_bytes(bytes(33))))),
    (effective.Effective, "channel", text(249)),
    (effective.Effective, "tx_id", text(128)),
    (effective.Effective, "block", FROM_ZERO),
    (SignedText, "text", text(MAX_TEXT_BYTES)),
    (SignedText, "signature", ((SIGNATURE,), (encode_bytes(bytes(63)), encode_bytes(bytes(65))))),
    (erasure.Attested, "retained_until", ((None, NOW), ("",))),
    (erasure.Missing, "reason", (("not-told", "told", "unknown-there"), ("x",))),
]


@pytest.mark.parametrize(("kind", "field", "bounds"), BOUNDS, ids=lambda item: getattr(item, "__name__", None))
def test_a_field_takes_its_bounds_and_refuses_what_is_beyond(
    kind: type[object], field: str, bounds: tuple[tuple[object, ...], tuple[object, ...]]
) -> None:
    form = of(kind)
    accepted, refused = bounds
    for value in accepted:
        assert getattr(dataclasses.replace(form, **{field: value}), field) == value
    for value in refused:
        place = BELOW.get(kind, "") + field
        assert f"{place_of_refusal(form, **{field: value})}.".startswith(f"{place}.")


def test_a_wrap_key_of_small_order_is_refused_as_weak() -> None:
    with pytest.raises(Invalid) as refused:
        dataclasses.replace(of(statements.PatientKeys), wrap=DIGEST)
    assert (refused.value.reason, refused.value.place) == ("weak-key", "wrap")


@pytest.mark.parametrize(
    ("kind", "changes", "place"),
    [
        (entries.GrantEntry, {"status": "tombstone"}, "terms"),
        (entries.DissentEntry, {"status": "tombstone"}, "terms"),
        (transactions.AnchorStatement, {"kind": "ai-result"}, "statement"),
        (transactions.AnchorStatement, {"statement": None}, "statement"),
        (transactions.AnchorStatement, {"signature": None}, "signature"),
        (transactions.AnchorStatement, {"kind": "ai-result", "statement": None}, "signature"),
        (queries.QueryAccesses, {"limit": None}, "QueryAccesses"),
        (queries.QueryAccesses, {"id": ID}, "QueryAccesses"),
        (queries.QueryAccesses, {"id": ID, "limit": None}, "QueryAccesses"),
        (leaves.RecordLeaf, {"version": 1}, "previous"),
        (receipt_form.Proven, {"kind": "write"}, "proves"),
        (receipt_form.Proven, {"kind": "write", "leaf": None}, "proves"),
        (receipt_form.Proven, {"kind": "write", "path": None}, "proves"),
        (Answer, {"block": 1}, "checkpoint"),
        (Answer, {"channel": "other"}, "checkpoint"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(
    kind: type[object], changes: dict[str, object], place: str
) -> None:
    assert place_of_refusal(of(kind), **changes) == place


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (entries.GrantEntry, {"status": "tombstone", "terms": None}),
        (entries.DissentEntry, {"status": "tombstone", "terms": None}),
        (transactions.AnchorStatement, {"kind": "ai-result", "statement": None, "signature": None}),
        (queries.QueryAccesses, {"id": ID, "after": None, "limit": None}),
        (leaves.RecordLeaf, {"version": 1, "previous": None}),
        (receipt_form.Proven, {"kind": "write", "leaf": None, "path": None}),
    ],
)
def test_fields_that_fit_together_are_taken(kind: type[object], changes: dict[str, object]) -> None:
    form = dataclasses.replace(of(kind), **changes)
    assert {name: getattr(form, name) for name in changes} == changes


def test_two_members_share_no_name_and_no_witness_key() -> None:
    members = of(receipt_form.Members)
    (member,) = members.members
    other = receipt_form.Member("B", ())
    assert dataclasses.replace(members, members=(member, other)).keys == {"A": (decode_bytes(KEY, "key"),), "B": ()}
    for second in (receipt_form.Member("A", ()), receipt_form.Member("B", (KEY,))):
        assert place_of_refusal(members, members=(member, second)) == "members"


ARGUMENTS: Final = [form for form in FORMS if type(form) in {*transactions.NAMES.values(), *queries.NAMES.values()}]


@pytest.mark.parametrize("form", ARGUMENTS, ids=name_of)
def test_arguments_are_read_as_they_were_written(form: Any) -> None:
    of_name = transactions if type(form).__name__ in transactions.NAMES else queries
    assert of_name.parse(*of_name.encode(form)) == form


def test_a_query_of_accesses_leaves_out_what_it_does_not_ask_by() -> None:
    assert queries.encode(queries.QueryAccesses(id=ID)) == ("QueryAccesses", f'{{"id":"{ID}"}}'.encode())
    assert queries.encode(queries.QueryAccesses(None, None, 5)) == ("QueryAccesses", b'{"after":null,"limit":5}')


@pytest.mark.parametrize("kind", entries.OBJECT_TYPES.values(), ids=lambda kind: kind.__name__)
def test_a_state_value_is_read_as_it_was_written(kind: type[Any]) -> None:
    assert entries.parse(kind, entries.encode(of(kind))) == of(kind)


def test_a_custody_entry_names_the_field_that_breaks_a_rule() -> None:
    entry = ports.CustodyEntry(ID, "release", 0, NOW)
    for field, value, place in (
        ("entry_id", "x", "entryId"),
        ("purpose", "", "purpose"),
        ("evaluated", -1, "evaluated"),
        ("at", "now", "at"),
    ):
        assert place_of_refusal(entry, **{field: value}) == place
