"""Targets: FHIR as it comes in, and the Consents over which access is decided."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from functools import partial
from typing import Final

from domain import consent, jcs
from domain.decisions import Deny, Permit
from domain.errors import Invalid
from domain.jcs import JsonObject
from domain.resource_facts import resource_facts
from domain.vocabulary import CATEGORIES
from node_service.fhir.bundle import Skeleton, reassemble, split_bundle
from node_service.fhir.category import category
from node_service.fhir.clinical_date import clinical_date
from node_service.fhir.compartment import compartment
from node_service.fhir.identifiers import identifiers
from node_service.fhir.ndjson import read_ndjson
from node_service.fhir.quality import demographics, findings
from node_service.fhir.references import reference_paths
from node_service.fhir.resource import Resource, parse_resource
from node_service.fhir.splice import apply, decode_splices, encode_splices, splice
from node_service.fhir.validation import verify_resource
from tests.fuzz.target import SECRET, Target, accepted, as_json, check_silent
from tests.unit.node_service.fhir.test_hostile import RESOURCES

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_RECORD: Final = "mfrggzdfmztwq2lknnwg23tpoe"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_PATIENT: Final = "Patient/p"
_DISSENT: Final[JsonObject] = {
    "resourceType": "Consent", "status": "active", "patient": {"reference": _PATIENT},
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
    "provision": {"type": "deny"},
}  # fmt: skip


def fuzz_resource(data: bytes) -> None:
    """A resource is refused, or its stored form leads back to the received bytes and differs in nothing else."""
    for resource in accepted(partial(parse_resource, data)):
        _check_splices(resource)
        _check_reading(resource)
        accepted(partial(verify_resource, resource, "entry[0].resource"))
    for splices in accepted(partial(decode_splices, data)):
        assert decode_splices(encode_splices(splices)) == splices


def fuzz_bundle(data: bytes) -> None:
    """Skeleton and resources of a Bundle give its received bytes."""
    for parts in accepted(partial(split_bundle, data)):
        resources = [entry.resource for entry in parts.entries if entry.resource is not None]
        assert reassemble(parts.skeleton, [(one.encoded, ()) for one in resources]) == data
        assert Skeleton.decode(parts.skeleton.encode()) == parts.skeleton
    for skeleton in accepted(partial(Skeleton.decode, data)):
        assert Skeleton.decode(skeleton.encode()) == skeleton


def fuzz_ndjson(data: bytes) -> None:
    """Each line alone is read as it is among others."""
    lines = list(read_ndjson(io.BytesIO(data), max_line_bytes=2000))
    assert len(lines) <= data.count(b"\n") + 1
    for line in lines:
        if isinstance(line.resource, Invalid):
            check_silent(line.resource)
        else:
            assert parse_resource(line.resource.encoded) == line.resource


def fuzz_consent(data: bytes) -> None:
    """Any object is a Consent or permits nothing; a dissent beside it leaves nothing permitted."""
    for source in accepted(partial(jcs.load, data, max_bytes=1 << 16, max_depth=32)):
        given: JsonObject = source if isinstance(source, dict) else {}
        for resource in (_observation("o"), given):
            for facts in accepted(partial(resource_facts, resource, category="result")):
                _check_decision(given, consent.ConsentRequest(_NOW, "TREAT", ("Organization/a",), facts))


def _check_decision(given: JsonObject, request: consent.ConsentRequest) -> None:
    decision = consent.evaluate([given], request)
    assert isinstance(decision, Permit) or decision.reason in consent.REASONS
    assert isinstance(decision, Deny) or (given["status"], given["resourceType"]) == ("active", "Consent")
    if request.resource.patient == _PATIENT:
        assert isinstance(consent.evaluate([given, _DISSENT], request), Deny)


def _check_splices(resource: Resource) -> None:
    texts = {position: f"Patient/{position}" for position in range(len(resource.references))}
    made = splice(resource, record_id=_RECORD, version_id="7", last_updated="2026-01-01T00:00:00Z", references=texts)
    assert apply(made.stored, made.undo) == resource.encoded
    stored = parse_resource(made.stored)
    assert stored.id == _RECORD
    meta = stored.value["meta"]
    assert isinstance(meta, dict)
    assert (meta["versionId"], meta["lastUpdated"]) == ("7", "2026-01-01T00:00:00Z")
    assert [one.text for one in stored.references] == list(texts.values())
    assert len(reference_paths(resource.value)) == len(resource.references)


def _check_reading(resource: Resource) -> None:
    value = resource.value
    compartment(value)
    assert category(value) in CATEGORIES
    date = clinical_date(value)
    assert date is None or date.start or date.before
    assert SECRET not in repr([*identifiers(value), *findings(value, place="", now=_NOW), demographics(value)])
    assert SECRET not in repr(resource).replace(resource.resource_type, "")


def _observation(identity: str) -> JsonObject:
    return {
        "resourceType": "Observation", "id": identity, "status": "final", "code": {"text": SECRET},
        "subject": {"reference": _PATIENT}, "effectiveDateTime": "2025-02-03", "valueString": "\u00e9 \\ \" /",
        "meta": {"versionId": "1", "tag": [{"system": "x"}]}, "performer": [{"reference": "Practitioner/a"}],
    }  # fmt: skip


def _resources() -> list[bytes]:
    escaped = json.dumps({**_observation("a"), "valueString": "é"}).replace("reference", "\\u0072eference").encode()
    spaced = json.dumps(_observation("b"), indent=1, ensure_ascii=False).encode()
    splices = b'{"format":"yilian-splices-1","splices":[{"offset":1,"length":0,"replacement":"x"}]}'
    return [*map(as_json, RESOURCES), escaped, _BYTE_ORDER_MARK + spaced, splices]


def _bundles() -> list[bytes]:
    entries: list[JsonObject] = [
        {"fullUrl": f"urn:uuid:{SECRET}", "resource": _observation("a"), "request": {"method": "POST", "url": "x"}},
        {"request": {"method": "DELETE", "url": "Patient/1"}},
        {"resource": {"resourceType": "Basic", "code": {"text": "é"}}},
    ]
    bundle: JsonObject = {"resourceType": "Bundle", "type": "transaction", "entry": [*entries]}
    skeleton: JsonObject = {"format": "yilian-bundle-skeleton-1", "pieces": ["{", "}"]}
    return [as_json(bundle), json.dumps(bundle, indent=2).encode(), as_json(skeleton)]


def _consents() -> list[bytes]:
    system = "http://terminology.hl7.org/CodeSystem/consentaction"
    nested = {
        "type": "deny", "class": [{"system": "urn:yilian:category", "code": "imaging"}],
        "data": [{"meaning": "related", "reference": {"reference": "Encounter/e"}}],
        "dataPeriod": {"start": "2020", "end": "2021-02-28"},
    }  # fmt: skip
    provision = {
        "type": "permit", "period": {"start": "2020-01-01", "end": "9999-12-31"}, "purpose": [{"code": "TREAT"}],
        "actor": [{"reference": {"reference": "Organization/a"}}],
        "action": [{"coding": [{"system": system, "code": "access"}]}], "provision": [nested],
    }  # fmt: skip
    return [as_json({**_DISSENT, "provision": item, "id": SECRET}) for item in (provision, nested)]


TARGETS: Final = (
    Target("fhir-resource", fuzz_resource, _resources),
    Target("fhir-bundle", fuzz_bundle, _bundles),
    Target("fhir-ndjson", fuzz_ndjson, lambda: [b"\r\n".join(_resources()[:3]), b"\n\n{}\n" + b"x" * 3000 + b"\n{}"]),
    Target("consent", fuzz_consent, _consents),
)
