"""Each refusal names its reason and place: by them callers tell an alarm from a mistake, and find what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain import jcs
from domain.errors import Denied, Invalid, NotFound, Tampered, YilianError
from domain.identifiers import encode_bytes
from offchain.envelope import composite
from offchain.envelope.chunk_list import ChunkList, Geometry
from offchain.envelope.composite import (
    MANIFEST_TYPE,
    MAX_MEMBERS,
    Manifest,
    Member,
    open_manifest,
    seal_manifest,
    verify_member,
)
from offchain.envelope.content import Description, PlainBytes, encode_preamble
from offchain.envelope.header import Header, header_bytes
from offchain.envelope.hpke import HPKE_HYBRID, HPKE_X25519, RecipientPrivateKey, RecipientPublicKey, hpke_open
from offchain.envelope.keys import CustodyKey, DataKey, RecordSecret, SessionKey
from offchain.envelope.messages import MAX_MESSAGE_BYTES, SealedMessage, open_message, seal_message
from offchain.envelope.seal import seal, seal_stream
from offchain.envelope.sealed import SealedBytes, SealedObject, received
from offchain.envelope.suite import A256GCM_64_TEST, MAX_CHUNKS, SALT_BYTES
from offchain.envelope.unseal import OpenedObject, unseal
from offchain.envelope.wraps import (
    A256GCM,
    MAX_WRAPPED_BYTES,
    KeyBinding,
    Wrap,
    decrypt_key,
    unwrap_for_access,
    unwrap_for_custodian,
    unwrap_for_patient,
    unwrap_session,
    wrap_for_access,
    wrap_for_patient,
    wrap_session,
)
from tests.unit.offchain.sealing import DESCRIPTION, KEY, OBJECT_ID, TEST_SUITES, fresh_id, header, sealed_small

Call = Callable[[], object]
ACCESS = fresh_id()
BINDING = KeyBinding(fresh_id(), fresh_id(), 1)
CUSTODY, SECRET, SESSION = CustodyKey(bytes(32)), RecordSecret(bytes(32)), SessionKey(bytes(32))
PATIENT, HYBRID = RecipientPrivateKey.generate(HPKE_X25519), RecipientPrivateKey.generate(HPKE_HYBRID)
DIGEST = encode_bytes(bytes(32))
MEMBER = Member(fresh_id(), DIGEST, 1, KEY)
SEALED = sealed_small(bytes(100))


def refusal(call: Call) -> tuple[type[YilianError], str, str]:
    """Kind, reason and place; each refusal explains itself in a sentence."""
    with pytest.raises(YilianError) as refused:
        call()
    assert " " in refused.value.detail
    return type(refused.value), refused.value.reason, refused.value.place


def head(**changes: object) -> bytes:
    """A header's bytes with other fields."""
    fields = {"objectId": OBJECT_ID, "origin": "A", "salt": encode_bytes(bytes(32)), "suite": A256GCM_64_TEST.name}
    encoded = jcs.canonical({**fields, **changes})
    return b"YLN1" + len(encoded).to_bytes(4, "big") + encoded


@pytest.mark.parametrize(
    ("call", "reason", "place"),
    [
        (lambda: Header("x", "A", bytes(SALT_BYTES)), "invalid", "header.objectId"),
        (lambda: Header(fresh_id(), "\0", bytes(SALT_BYTES)), "invalid", "header.origin"),
        (lambda: Header(fresh_id(), "A", bytes(SALT_BYTES - 1)), "invalid", "header.salt"),
        (lambda: Header.parse(head(objectId="x"), TEST_SUITES), "invalid", "header.objectId"),
        (lambda: Header.parse(head(origin=""), TEST_SUITES), "invalid", "header.origin"),
        (lambda: Header.parse(head(salt="?"), TEST_SUITES), "invalid", "header.salt"),
        (lambda: Header.parse(head(salt=encode_bytes(bytes(31))), TEST_SUITES), "invalid", "header.salt"),
        (lambda: Header.parse(head()), "suite", "header.suite"),
        (lambda: Header.parse(head(suite=1), TEST_SUITES), "header", "header"),
        (lambda: Header.parse(head(more=1), TEST_SUITES), "header", "header"),
        (lambda: Header.parse(head() + b" ", TEST_SUITES), "header", ""),
        (lambda: header_bytes(b"YLN1\0\0\0"), "header", "header"),
        (lambda: header_bytes(b"YLN2\0\0\0\1"), "header", "header"),
        (lambda: header_bytes(b"YLN1\0\0\0\0"), "header", "header"),
        (lambda: header_bytes(b"YLN1" + (4097).to_bytes(4, "big")), "header", "header"),
    ],
)
def test_a_refused_header_is_refused_at_its_field(call: Call, reason: str, place: str) -> None:
    assert refusal(call) == (Invalid, reason, place)


def test_a_header_may_be_as_long_as_its_bound() -> None:
    assert header_bytes(b"YLN1" + (4096).to_bytes(4, "big")) == 4096 + 8
    assert header_bytes(b"YLN1" + (1).to_bytes(4, "big")) == 1 + 8


@pytest.mark.parametrize(
    ("call", "reason", "place"),
    [
        (lambda: KeyBinding("x", fresh_id(), 1), "invalid", "objectId"),
        (lambda: KeyBinding(fresh_id(), "x", 1), "invalid", "recordId"),
        (lambda: KeyBinding(fresh_id(), fresh_id(), 0), "invalid", "version"),
        (lambda: KeyBinding(fresh_id(), fresh_id(), jcs.MAX_SAFE_INTEGER + 1), "invalid", "version"),
        (lambda: Wrap("none", "k", b"1"), "alg", "alg"),
        (lambda: Wrap(A256GCM, "", b"1"), "invalid", "wrap"),
        (lambda: Wrap(A256GCM, "k" * 65, b"1"), "invalid", "wrap"),
        (lambda: Wrap(A256GCM, "k", b""), "invalid", "wrap"),
        (lambda: Wrap(A256GCM, "k", bytes(MAX_WRAPPED_BYTES + 1)), "invalid", "wrap"),
        (lambda: Wrap.parse(b'{"alg":1,"keyId":"k","wrapped":"AA"}'), "invalid", "wrap"),
        (lambda: Wrap.parse(b'{"alg":"A256GCM","keyId":1,"wrapped":"AA"}'), "invalid", "wrap"),
        (lambda: Wrap.parse(b'{"alg":"A256GCM","keyId":"k","wrapped":1}'), "invalid", "wrap.wrapped"),
        (lambda: Wrap.parse(b'{"alg":"A256GCM","keyId":"k"}'), "invalid", "wrap.wrapped"),
        (lambda: Wrap.parse(b" " * (4 * MAX_WRAPPED_BYTES + 1)), "too-large", ""),
        (lambda: wrap_for_patient(KEY, HYBRID.public, BINDING), "public-key", ""),
        (lambda: wrap_session(SESSION, PATIENT.public, ACCESS), "public-key", ""),
    ],
)
def test_a_refused_wrap_is_refused_at_its_field(call: Call, reason: str, place: str) -> None:
    assert refusal(call) == (Invalid, reason, place)


@pytest.mark.parametrize(("key_id", "count"), [("k", 1), ("k" * 64, MAX_WRAPPED_BYTES)])
def test_a_wrap_may_be_as_long_as_its_bounds(key_id: str, count: int) -> None:
    wrap = Wrap(A256GCM, key_id, bytes(count))
    assert Wrap.parse(wrap.encode()) == wrap


def test_a_version_may_be_one_or_the_greatest_integer() -> None:
    for version in (1, jcs.MAX_SAFE_INTEGER):
        assert KeyBinding(fresh_id(), fresh_id(), version).version == version


def altered(wrap: Wrap) -> Wrap:
    return replace(wrap, wrapped=wrap.wrapped[:-1])


@pytest.mark.parametrize(
    ("call", "kind", "reason"),
    [
        (lambda: unwrap_for_custodian(Wrap(A256GCM, "k", b"1"), CUSTODY, SECRET, BINDING), Tampered, "wrap-altered"),
        (
            lambda: unwrap_for_patient(altered(wrap_for_patient(KEY, PATIENT.public, BINDING)), PATIENT, BINDING),
            Tampered,
            "wrap-altered",
        ),
        (
            lambda: unwrap_for_access(
                altered(wrap_for_access(KEY, SESSION, ACCESS, BINDING)), SESSION, ACCESS, BINDING
            ),
            Tampered,
            "wrap-altered",
        ),
        (
            lambda: unwrap_for_access(wrap_for_access(KEY, SESSION, ACCESS, BINDING), SESSION, fresh_id(), BINDING),
            Denied,
            "no-wrap",
        ),
        (
            lambda: unwrap_session(
                wrap_session(SESSION, HYBRID.public, ACCESS), RecipientPrivateKey.generate(HPKE_HYBRID), ACCESS
            ),
            Denied,
            "no-wrap",
        ),
        (lambda: decrypt_key(b"short", SESSION, []), Tampered, "wrap-altered"),
        (lambda: hpke_open(PATIENT, [], b"short"), Tampered, "wrap-altered"),
    ],
)
def test_a_wrap_that_does_not_open_says_whether_it_is_an_alarm(
    call: Call, kind: type[YilianError], reason: str
) -> None:
    assert refusal(call) == (kind, reason, "")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_wrap_that_holds_no_key_is_altered(size: int) -> None:
    """Somebody with the session key could wrap other bytes; they never become a key."""
    nonce = bytes(12)
    wrapped = nonce + AESGCM(SESSION.reveal()).encrypt(nonce, bytes(size), jcs.canonical([]))
    assert refusal(partial(decrypt_key, wrapped, SESSION, [])) == (Tampered, "wrap-altered", "")


@pytest.mark.parametrize(
    ("call", "reason", "place"),
    [
        (lambda: RecipientPublicKey("none", bytes(32)), "public-key", "alg"),
        (lambda: RecipientPublicKey(HPKE_X25519, bytes(31)), "public-key", "alg"),
        (lambda: RecipientPublicKey(HPKE_X25519, bytes(32)), "public-key", ""),
        (lambda: RecipientPublicKey.parse("none", DIGEST, "keys"), "public-key", "keys"),
        (lambda: RecipientPublicKey.parse(1, DIGEST), "public-key", "publicKey"),
        (lambda: RecipientPublicKey.parse(HPKE_X25519, encode_bytes(bytes(31)), "keys"), "invalid", "keys"),
        (lambda: RecipientPublicKey.parse(HPKE_X25519, 1), "invalid", "publicKey"),
        (lambda: SealedMessage.parse(b'{"alg":1}'), "invalid", "message.alg"),
        (lambda: SealedMessage.parse(b'{"alg":"a","keyId":1,"sealed":"AA"}'), "invalid", "message.keyId"),
        (lambda: SealedMessage.parse(b'{"alg":"a","keyId":"k","sealed":1}'), "invalid", "message.sealed"),
        (lambda: SealedMessage.parse(b" " * (2 * MAX_MESSAGE_BYTES + 1)), "too-large", ""),
        (lambda: SealedMessage.parse(sealed_message(MAX_MESSAGE_BYTES + 2049)), "invalid", "message.sealed"),
        (lambda: seal_message(PATIENT.public, [], bytes(MAX_MESSAGE_BYTES + 1)), "too-large", ""),
    ],
)
def test_a_refused_key_or_message_is_refused_at_its_field(call: Call, reason: str, place: str) -> None:
    assert refusal(call) == (Invalid, reason, place)


def sealed_message(count: int) -> bytes:
    return SealedMessage(HPKE_X25519, DIGEST, bytes(count)).encode()


def test_messages_may_be_as_long_as_their_bound() -> None:
    plaintext = bytes(MAX_MESSAGE_BYTES)
    message = SealedMessage.parse(seal_message(HYBRID.public, ["kind"], plaintext).encode())
    assert open_message(HYBRID, ["kind"], message) == plaintext
    assert len(SealedMessage.parse(sealed_message(MAX_MESSAGE_BYTES + 2048)).sealed) == MAX_MESSAGE_BYTES + 2048


def test_a_message_for_another_key_or_algorithm_is_not_for_this_one() -> None:
    message = seal_message(PATIENT.public, ["kind"], b"text")
    for other in (replace(message, alg=HPKE_HYBRID), replace(message, key_id=DIGEST)):
        assert refusal(partial(open_message, PATIENT, ["kind"], other)) == (Denied, "no-wrap", "")


def a_manifest(content: jcs.JsonValue) -> Manifest:
    """What opens from a sealed object of the manifest's type."""
    sealed_header = Header.fresh(fresh_id(), "A")
    sealed = seal(PlainBytes(jcs.canonical(content), Description(MANIFEST_TYPE)), KEY, sealed_header)
    return open_manifest(sealed.verified(sealed.digest), KEY, object_id=sealed_header.object_id)


def member_fields(**changes: jcs.JsonValue) -> jcs.JsonValue:
    fields: jcs.JsonObject = {
        "attributes": {},
        "digest": DIGEST,
        "key": DIGEST,
        "length": 1,
        "objectId": fresh_id(),
        **changes,
    }
    return {"attributes": {}, "members": [fields]}


@pytest.mark.parametrize(
    ("call", "reason", "place"),
    [
        (lambda: Member("x", DIGEST, 1, KEY), "invalid", "member.objectId"),
        (lambda: Member(fresh_id(), "x", 1, KEY), "invalid", "member.digest"),
        (lambda: Member(fresh_id(), DIGEST, -1, KEY), "invalid", "member.length"),
        (lambda: Member(fresh_id(), DIGEST, jcs.MAX_SAFE_INTEGER + 1, KEY), "invalid", "member.length"),
        (lambda: Manifest(()), "too-large", ""),
        (lambda: Manifest((MEMBER,) * (MAX_MEMBERS + 1)), "too-large", ""),
        (lambda: Manifest((MEMBER, MEMBER)), "duplicate-member", ""),
        (lambda: a_manifest({"attributes": {}}), "not-a-manifest", ""),
        (lambda: a_manifest({"members": []}), "not-a-manifest", ""),
        (lambda: a_manifest({"attributes": [], "members": []}), "not-a-manifest", ""),
        (lambda: a_manifest({"attributes": {}, "members": {}}), "not-a-manifest", ""),
        (lambda: a_manifest({"attributes": {}, "members": []}), "too-large", ""),
        (lambda: a_manifest({"attributes": {}, "members": [1]}), "invalid", "member.objectId"),
        (lambda: a_manifest(member_fields(objectId="x")), "invalid", "member.objectId"),
        (lambda: a_manifest(member_fields(digest="x")), "invalid", "member.digest"),
        (lambda: a_manifest(member_fields(length="1")), "invalid", "member"),
        (lambda: a_manifest(member_fields(length=True)), "invalid", "member"),
        (lambda: a_manifest(member_fields(attributes=[])), "invalid", "member"),
        (lambda: a_manifest(member_fields(key=1)), "invalid", "member.key"),
        (lambda: a_manifest(member_fields(key=encode_bytes(bytes(MAX_WRAPPED_BYTES + 1)))), "invalid", "member.key"),
    ],
)
def test_a_refused_manifest_is_refused_at_its_field(call: Call, reason: str, place: str) -> None:
    assert refusal(call) == (Invalid, reason, place)


def test_a_member_that_is_not_there_or_another_is_named() -> None:
    absent = fresh_id()
    assert refusal(lambda: Manifest((MEMBER,)).member(absent)) == (NotFound, "not-found", absent)
    sealed = SEALED.verified(SEALED.digest, TEST_SUITES)
    same = Member(sealed.header.object_id, sealed.digest, 1, KEY)
    verify_member(same, sealed)
    for other in (replace(same, object_id=fresh_id()), replace(same, digest=DIGEST)):
        assert refusal(partial(verify_member, other, sealed)) == (Tampered, "other-object", "")


def test_a_member_may_be_empty_or_as_long_as_a_signed_integer() -> None:
    for length in (0, jcs.MAX_SAFE_INTEGER):
        assert Member(fresh_id(), DIGEST, length, KEY).length == length


def test_a_manifest_may_be_as_long_as_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, manifest_header = Manifest((MEMBER,)), Header.fresh(fresh_id(), "A")
    sealed = seal_manifest(manifest, KEY, manifest_header)
    opened = unseal(sealed.verified(sealed.digest), KEY, object_id=manifest_header.object_id)
    size = len(opened.whole(max_bytes=1 << 20).content)
    monkeypatch.setattr(composite, "MAX_MANIFEST_BYTES", size)
    again = seal_manifest(manifest, KEY, manifest_header)
    assert open_manifest(again.verified(again.digest), KEY, object_id=manifest_header.object_id) == manifest
    monkeypatch.setattr(composite, "MAX_MANIFEST_BYTES", size - 1)
    assert refusal(partial(seal_manifest, manifest, KEY, manifest_header)) == (Invalid, "too-large", "")


@pytest.mark.parametrize(
    ("call", "kind", "reason"),
    [
        (lambda: ChunkList.parse(bytes(8 + 31)), Tampered, "chunk-list"),
        (lambda: ChunkList.parse(bytes(7) + b"\1" + bytes(32 + 33)), Tampered, "chunk-list"),
        (lambda: ChunkList(1, bytes(32), ()), Tampered, "chunk-list"),
        (lambda: ChunkList(0, bytes(32), (bytes(32),)), Tampered, "chunk-list"),
        (lambda: ChunkList(1 << 63, bytes(32), (bytes(32),)), Tampered, "chunk-list"),
        (lambda: Geometry(A256GCM_64_TEST, 100, 100), Tampered, "truncated"),
        (lambda: Geometry(A256GCM_64_TEST, 100, 116), Tampered, "truncated"),
        (lambda: Geometry(A256GCM_64_TEST, 100, 100 + 80 * MAX_CHUNKS + 17), Tampered, "truncated"),
        (lambda: encode_preamble(Description("text/plain", "n" * 40), 1, A256GCM_64_TEST), Invalid, "preamble"),
        (lambda: b"".join(seal_stream([b"ab"], DESCRIPTION, KEY, header(), length=1)), Invalid, "length"),
        (lambda: b"".join(received([SEALED.data], max_bytes=10, allowed=TEST_SUITES)), Invalid, "too-large"),
        (lambda: b"".join(received([SEALED.data[:9]], max_bytes=10, allowed=TEST_SUITES)), Tampered, "truncated"),
        (lambda: SEALED.verified(SEALED.digest, TEST_SUITES).read(-1, 2), Invalid, "range"),
        (lambda: SEALED.verified(SEALED.digest, TEST_SUITES).read(len(SEALED.data), 1), Invalid, "range"),
        (lambda: SEALED.verified(SEALED.digest, TEST_SUITES).read(2, -1), Invalid, "range"),
        (lambda: SealedBytes.of(SEALED.data[:-1] + b"", ()), Invalid, "suite"),
    ],
)
def test_a_refused_object_names_the_reason(call: Call, kind: type[YilianError], reason: str) -> None:
    assert refusal(call)[:2] == (kind, reason)


def test_an_object_may_have_the_least_and_the_greatest_length() -> None:
    assert ChunkList(1, bytes(32), (bytes(32),)).total_bytes == 1
    assert ChunkList((1 << 63) - 1, bytes(32), (bytes(32),)).total_bytes == (1 << 63) - 1
    assert Geometry(A256GCM_64_TEST, 100, 117).plaintext_bytes == 1
    assert Geometry(A256GCM_64_TEST, 100, 100 + 80 * MAX_CHUNKS).chunks == MAX_CHUNKS


def test_an_object_of_too_many_chunks_is_not_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offchain.envelope.seal.MAX_CHUNKS", 3)
    within = b"".join(seal_stream([bytes(100)], DESCRIPTION, KEY, header()))
    assert SealedBytes.of(within, TEST_SUITES).chunk_list.hashes[2:]
    assert refusal(lambda: b"".join(seal_stream([bytes(200)], DESCRIPTION, KEY, header()))) == (
        Invalid, "too-large", "",
    )  # fmt: skip


def test_an_object_received_may_be_as_long_as_its_bound() -> None:
    size = len(SEALED.data)
    pieces = [SEALED.data[:10], SEALED.data[10:]]
    assert b"".join(received(pieces, max_bytes=size, allowed=TEST_SUITES)) == SEALED.data
    assert refusal(lambda: b"".join(received(pieces, max_bytes=size - 1, allowed=TEST_SUITES))) == (
        Invalid, "too-large", "",
    )  # fmt: skip


def test_bytes_in_memory_are_read_only_under_their_own_digest() -> None:
    assert refusal(lambda: SEALED.verified(DIGEST, TEST_SUITES)) == (Tampered, "not-anchored", DIGEST)
    assert refusal(lambda: SEALED.verified(SEALED.digest)) == (Invalid, "suite", "header.suite")


def opened() -> OpenedObject:
    return unseal(SEALED.verified(SEALED.digest, TEST_SUITES), KEY, object_id=OBJECT_ID)


def test_an_object_is_opened_for_its_own_id_and_key_alone() -> None:
    sealed, other = SEALED.verified(SEALED.digest, TEST_SUITES), fresh_id()
    assert refusal(partial(unseal, sealed, KEY, object_id=other)) == (Tampered, "other-object", other)
    assert refusal(partial(unseal, sealed, DataKey(bytes(32)), object_id=OBJECT_ID))[:2] == (Tampered, "wrong-key")


def test_content_is_read_up_to_its_bound_and_within_its_length() -> None:
    assert opened().whole(max_bytes=100).content == bytes(100)
    assert refusal(lambda: opened().whole(max_bytes=99)) == (Invalid, "too-large", "")
    assert opened().range(0, 100) == bytes(100)
    assert opened().range(100, 0) == b""
    for offset, length in ((-1, 2), (1, 100), (101, 0), (5, -1)):
        assert refusal(partial(opened().range, offset, length)) == (Invalid, "range", "")


def test_a_verified_object_says_under_which_digest() -> None:
    sealed = SealedObject.verified(
        SEALED.read_at, len(SEALED.data), SEALED.digest, SEALED.chunk_list, allowed=TEST_SUITES
    )
    assert (sealed.digest, sealed.whole().digest) == (SEALED.digest, SEALED.digest)
    in_memory = SEALED.verified(SEALED.digest, TEST_SUITES)
    assert in_memory.chunk_list == sealed.chunk_list == SEALED.chunk_list
    assert in_memory.whole() == sealed.whole() == SEALED


@pytest.mark.parametrize("fields", [b"{}", b'{"contentType":1}', b'{"contentType":"a/b","fileName":1}'])
def test_a_description_of_another_form_is_refused(fields: bytes) -> None:
    assert refusal(partial(Description.parse, fields)) == (Invalid, "invalid", "description")


def test_a_preamble_may_fill_the_first_chunk() -> None:
    fixed = len(encode_preamble(Description("a"), 1, A256GCM_64_TEST))
    full = Description("a" * (65 - fixed))
    assert len(encode_preamble(full, 1, A256GCM_64_TEST)) == 64
    longer = Description("a" * (66 - fixed))
    assert refusal(partial(encode_preamble, longer, 1, A256GCM_64_TEST)) == (Invalid, "preamble", "")


def test_attributes_of_manifest_and_member_are_signed_json() -> None:
    assert refusal(lambda: Manifest((MEMBER,), {"weight": 1.5})) == (Invalid, "not-signable", "")
    assert refusal(lambda: replace(MEMBER, attributes={"weight": 1.5})) == (Invalid, "not-signable", "")
