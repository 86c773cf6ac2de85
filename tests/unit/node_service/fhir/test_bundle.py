"""Bundles are split and come back byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Invalid
from node_service.fhir.bundle import BundleParts, Skeleton, reassemble, split_bundle
from node_service.fhir.references import is_reference
from node_service.fhir.resource import parse_resource
from node_service.fhir.splice import Splice, SplicedResource, decode_splices, encode_splices, splice

RECORD_ID = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
NOW = "2026-01-31T09:30:00Z"


def spliced(parts: BundleParts) -> list[SplicedResource]:
    """Every resource with everything replaced that can be."""
    return [
        splice(
            entry.resource,
            record_id=RECORD_ID,
            version_id="7",
            last_updated=NOW,
            references={position: f"Patient/{position}" for position in range(len(entry.resource.references))},
        )
        for entry in parts.entries
        if entry.resource is not None
    ]


def there_and_back(encoded: bytes) -> bytes:
    parts = split_bundle(encoded)
    skeleton = Skeleton.decode(parts.skeleton.encode())
    return reassemble(skeleton, [(one.stored, decode_splices(encode_splices(one.undo))) for one in spliced(parts)])


def test_every_synthea_bundle_comes_back_byte_for_byte(shared_data: Path) -> None:
    files = sorted((shared_data / "fhir" / "synthea").glob("*.json"))
    assert len(files) == 14
    for file in files:
        received = file.read_bytes()
        assert there_and_back(received) == received


def test_the_stored_form_of_every_synthea_resource_differs_only_in_id_meta_and_references(shared_data: Path) -> None:
    file = min((shared_data / "fhir" / "synthea").glob("*.json"))
    parts = split_bundle(file.read_bytes())
    for entry, one in zip(parts.entries, spliced(parts), strict=True):
        assert entry.resource is not None
        stored = json.loads(one.stored)
        assert stored.pop("id") == RECORD_ID
        meta = stored.pop("meta")
        assert (meta.pop("versionId"), meta.pop("lastUpdated")) == ("7", NOW)
        received = {**entry.resource.value}
        received.pop("id")
        assert meta == received.pop("meta")
        assert without_references(stored) == without_references(received)


def without_references(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_references(item) for key, item in value.items() if key != "reference"}
    return [without_references(item) for item in value] if isinstance(value, list) else value


texts = st.sampled_from(["Binary/1", "urn:uuid:1", "http://x/Binary/1/_history/2", "Basic/1"]) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), max_size=8
)
names = st.sampled_from(
    ["reference", "url", "id", "meta", "versionId", "lastUpdated", "resource", "fullUrl", "x", "\\", '"']
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
metas = st.builds(
    lambda rest, server: {**rest, **server},
    st.dictionaries(names.filter(lambda name: name not in ("versionId", "lastUpdated")), values, max_size=3),
    st.dictionaries(st.sampled_from(["versionId", "lastUpdated"]), texts),
)
resources = st.builds(
    lambda body, meta, id_: {**body, **meta, **id_, "resourceType": "Basic"},
    st.dictionaries(names.filter(lambda name: name not in ("id", "meta")), values, max_size=4),
    st.just({}) | st.fixed_dictionaries({"meta": metas}),
    st.just({}) | st.just({"id": "a.B-1"}),
)
spaces = st.sampled_from(["", " ", "\n\t", "\r\n  "])


def written(value: Any, space: str, ascii_only: bool, escaped: bool) -> str:
    """JSON in one of many spellings."""
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(f"{space},{space}", f"{space}:{space}"))
    return text.replace('"reference"', '"\\u0072eferenc\\u0065"').replace('"url"', '"u\\u0072l"') if escaped else text


@settings(max_examples=150, deadline=None)
@given(st.lists(resources, max_size=4), spaces, st.booleans(), st.booleans())
def test_any_bundle_in_any_spelling_comes_back_byte_for_byte(
    entries: list[dict[str, Any]], space: str, ascii_only: bool, escaped: bool
) -> None:
    bundle = {"entry": [{"resource": one} for one in entries], "type": "batch", "resourceType": "Bundle"}
    received = (space + written(bundle, space, ascii_only, escaped) + space).encode()
    assert there_and_back(received) == received


@settings(max_examples=150, deadline=None)
@given(resources, spaces, st.booleans(), st.booleans())
def test_the_reference_spans_hold_exactly_the_reference_strings(
    body: dict[str, Any], space: str, ascii_only: bool, escaped: bool
) -> None:
    resource = parse_resource(written(body, space, ascii_only, escaped).encode())
    assert [one.text for one in resource.references] == list(reference_strings(resource.value))
    for one in resource.references:
        assert json.loads(resource.encoded[one.start : one.end]) == one.text


def reference_strings(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in reference_strings(item)]
    if not isinstance(value, dict):
        return []
    return [
        found
        for key, item in value.items()
        for found in ([item] if isinstance(item, str) and is_reference(key, item) else reference_strings(item))
    ]


@settings(max_examples=150, deadline=None)
@given(resources, spaces, st.booleans())
def test_the_spliced_resource_is_the_received_one_with_id_version_and_time(
    body: dict[str, Any], space: str, ascii_only: bool
) -> None:
    resource = parse_resource(written(body, space, ascii_only, False).encode())
    stored = splice(resource, record_id=RECORD_ID, version_id="1", last_updated=NOW, references={}).stored
    meta = {**body.get("meta", {}), "versionId": "1", "lastUpdated": NOW}
    assert parse_resource(stored).value == {**body, "id": RECORD_ID, "meta": meta}


json_like = st.text(st.sampled_from('{}[]:,"\\u0eréaf1-. \n\x00'), max_size=24)


@settings(max_examples=400, deadline=None)
@given(st.one_of(json_like, values.map(lambda value: written(value, "", False, False))), st.binary(max_size=3))
def test_what_is_read_is_what_python_reads_and_all_else_is_refused(member: str, tail: bytes) -> None:
    received = b'{"resourceType":"Basic","x":' + member.encode() + b"}" + tail
    try:
        resource = parse_resource(received)
    except Invalid:
        return
    assert resource.value == json.loads(received)
    assert resource.encoded == received.strip()


def bundle_of(*entries: dict[str, Any], kind: str = "batch") -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)}).encode()


@pytest.mark.parametrize("kind", ["transaction", "batch", "collection", "document", "searchset", "history"])
def test_a_bundle_of_each_kind_is_read(kind: str) -> None:
    parts = split_bundle(bundle_of({"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Basic"}}, kind=kind))
    assert parts.bundle_type == kind
    assert parts.entries[0].full_url == "urn:uuid:1"


def test_an_entry_that_deletes_has_no_resource_and_stays_in_the_skeleton() -> None:
    received = bundle_of(
        {"request": {"method": "DELETE", "url": "Basic/1"}}, {"resource": {"resourceType": "Basic", "id": "2"}}
    )
    parts = split_bundle(received)
    assert [(entry.method, entry.resource is None) for entry in parts.entries] == [("DELETE", True), (None, False)]
    assert there_and_back(received) == received


@pytest.mark.parametrize(
    ("received", "reason", "place"),
    [
        (b'{"resourceType":"Patient"}', "not-a-bundle", "resourceType"),
        (b'{"resourceType":"Bundle","type":"x"}', "wrong-value", "type"),
        (bundle_of({"resource": {"id": "1"}}), "no-resource-type", "entry[0].resource.resourceType"),
        (bundle_of({}, {"resource": {"resourceType": "Basic", "id": "a b"}}), "wrong-value", "entry[1].resource.id"),
        (
            bundle_of({"resource": {"resourceType": "Basic", "meta": {"versionId": {"reference": ""}}}}),
            "wrong-value",
            "entry[0].resource.meta.versionId",
        ),
        (bundle_of({"resource": {"meta": 5}}), "wrong-value", "entry[0].resource.meta"),
        (bundle_of({"fullUrl": 1}), "wrong-value", "entry[0].fullUrl"),
        (bundle_of({"request": []}), "wrong-value", "entry[0].request"),
        (b'{"resourceType":"Bundle","type":"batch","entry":{}}', "not-json", "line 1 column 49"),
        (b'{"resourceType":"Bundle","type":"batch","type":"batch"}', "duplicate-key", ""),
        (b'{"resourceType":"Bundle","type":"batch"} {}', "not-json", "line 1 column 42"),
        (b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic",}}]}', "not-json", ""),
        (b"\xff", "not-utf8", "byte 0"),
    ],
)
def test_what_is_no_bundle_is_refused_with_place_and_reason(received: bytes, reason: str, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        split_bundle(received)
    assert refused.value.reason == reason
    assert refused.value.place == place or not place


def test_more_entries_than_allowed_are_refused() -> None:
    with pytest.raises(Invalid, match="2 entries"):
        split_bundle(bundle_of({}, {}, {}), max_entries=2)


def test_more_bytes_than_allowed_are_refused() -> None:
    with pytest.raises(Invalid, match="longer than 10 bytes"):
        split_bundle(bundle_of(), max_bytes=10)


@pytest.mark.parametrize(("depth", "accepted"), [(64, True), (65, False), (5000, False)])
def test_a_resource_nested_too_deeply_is_refused(depth: int, accepted: bool) -> None:
    text = '{"resourceType":"Basic","x":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
    if accepted:
        assert parse_resource(text.encode()).resource_type == "Basic"
        return
    with pytest.raises(Invalid) as refused:
        parse_resource(text.encode())
    assert refused.value.reason == "too-deep"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('"x":NaN', "not-json"),
        ('"x":-Infinity', "not-json"),
        ('"x":1e999', "not-json"),
        ('"x":"a\\u0000"', "control-character"),
        ('"x":"\\\\\\u001F"', "control-character"),
        ('"x":"\\b"', "control-character"),
        ('"x":"\\ud800"', "lone-surrogate"),
        ('"x":{"a":1,"a":2}', "duplicate-key"),
        ('"x":01', "not-json"),
        ('"x":"\n"', "not-json"),
        ('"\\x":1', "not-json"),
        ('"a\nb":1', "not-json"),
        ('"x":' + "9" * 5000, "not-json"),
        ('"x":', "not-json"),
    ],
)
def test_json_that_is_not_strict_is_refused(body: str, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_resource(('{"resourceType":"Basic",' + body + "}").encode())
    assert refused.value.reason == reason


def test_a_byte_order_mark_and_white_space_around_a_single_resource_are_dropped() -> None:
    assert parse_resource(b'\xef\xbb\xbf \n{"resourceType":"Basic"}\n').encoded == b'{"resourceType":"Basic"}'


def test_text_that_looks_like_a_reference_inside_a_string_is_left_alone() -> None:
    body = {"resourceType": "Basic", "x": 'say "reference": "Patient/1" twice', 'y"reference': "Patient/2"}
    assert parse_resource(json.dumps(body).encode()).references == ()


def test_white_space_behind_a_resource_belongs_to_the_skeleton() -> None:
    parts = split_bundle(
        b'{"resourceType":"Bundle","type":"batch","entry":[ {"resource": {"resourceType":"Basic" } } ]}'
    )
    assert parts.entries[0].resource is not None
    assert parts.entries[0].resource.encoded == b'{"resourceType":"Basic" }'


GOLDEN_BUNDLE = (
    '{"resourceType":"Bundle","type":"batch","entry":[ {"fullUrl":"urn:uuid:1","resource":{"id":"a",'
    '"resourceType":"Basic","subject":{"reference":"Patient/测试"}} } ]}'
)
GOLDEN_STORED = (
    '{"meta":{"versionId":"7","lastUpdated":"2026-01-31T09:30:00Z"},"id":"aaaaaaaaaaaaaaaaaaaaaaaaaa",'
    '"resourceType":"Basic","subject":{"reference":"Patient/0"}}'
)
GOLDEN_SPLICES = (
    '{"format":"yilian-splices-1","splices":[{"offset":1,"length":62,"replacement":""},'
    '{"offset":68,"length":28,"replacement":"\\"a\\""},{"offset":143,"length":11,"replacement":"\\"Patient/测试\\""}]}'
)
GOLDEN_SKELETON = (
    '{"format":"yilian-bundle-skeleton-1","pieces":["{\\"resourceType\\":\\"Bundle\\",\\"type\\":\\"batch\\",'
    '\\"entry\\":[ {\\"fullUrl\\":\\"urn:uuid:1\\",\\"resource\\":"," } ]}"]}'
)


def test_the_formats_of_stored_form_splice_list_and_skeleton_stay_as_they_are() -> None:
    parts = split_bundle(GOLDEN_BUNDLE.encode())
    (one,) = spliced(parts)
    assert one.stored.decode() == GOLDEN_STORED
    assert encode_splices(one.undo).decode() == GOLDEN_SPLICES
    assert parts.skeleton.encode().decode() == GOLDEN_SKELETON
    read_back = Skeleton.decode(GOLDEN_SKELETON.encode())
    assert reassemble(read_back, [(GOLDEN_STORED.encode(), decode_splices(GOLDEN_SPLICES.encode()))]).decode() == (
        GOLDEN_BUNDLE
    )


@pytest.mark.parametrize(
    ("entry", "identity"),
    [
        ({"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Basic", "id": "b"}}, "Basic/b"),
        ({"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Basic"}}, "digest#urn:uuid:1"),
        ({"resource": {"resourceType": "Basic"}}, "digest#0"),
        (
            {
                "fullUrl": "urn:uuid:1",
                "resource": {"resourceType": "Basic", "id": "b"},
                "request": {"method": "POST", "url": "Basic"},
            },
            "digest#urn:uuid:1",
        ),
        (
            {"resource": {"resourceType": "Basic", "id": "b"}, "request": {"method": "PUT", "url": "Basic/b"}},
            "Basic/b",
        ),
    ],
)
def test_the_identity_of_an_entry_is_its_id_unless_it_is_posted(entry: dict[str, Any], identity: str) -> None:
    assert split_bundle(bundle_of(entry)).entries[0].identity("digest") == identity


def test_a_skeleton_refuses_another_number_of_resources() -> None:
    parts = split_bundle(bundle_of({"resource": {"resourceType": "Basic"}}))
    with pytest.raises(Invalid, match="another number"):
        reassemble(parts.skeleton, [])


@pytest.mark.parametrize(
    "encoded", [b"{}", b"[]", b'{"format":"x","pieces":[""]}', b'{"format":"yilian-bundle-skeleton-1","pieces":[1]}']
)
def test_what_is_no_skeleton_is_refused(encoded: bytes) -> None:
    with pytest.raises(Invalid, match="skeleton"):
        Skeleton.decode(encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        b"{}",
        b"[1]",
        b'{"format":"x","splices":[]}',
        b'{"format":"yilian-splices-1","splices":[{"offset":-1,"length":0,"replacement":""}]}',
        b'{"format":"yilian-splices-1","splices":[{"offset":1}]}',
    ],
)
def test_what_is_no_splice_list_is_refused(encoded: bytes) -> None:
    with pytest.raises(Invalid, match="splice"):
        decode_splices(encoded)


@pytest.mark.parametrize("splices", [[Splice(0, 9, b"")], [Splice(1, 2, b""), Splice(2, 1, b"")]])
def test_splices_that_do_not_fit_their_bytes_are_refused(splices: list[Splice]) -> None:
    with pytest.raises(Invalid, match="overlap"):
        reassemble(Skeleton((b"", b"")), [(b"abcd", splices)])


def test_no_patient_data_shows_in_a_repr() -> None:
    received = bundle_of(
        {"fullUrl": "urn:x:SECRET", "resource": {"resourceType": "Patient", "id": "SECRET", "x": "SECRET"}}
    )
    parts = split_bundle(received)
    assert "SECRET" not in repr(parts)
    assert "SECRET" not in repr(spliced(parts))
