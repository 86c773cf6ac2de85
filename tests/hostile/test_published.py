"""The largest Bundle that HL7 publishes, as an upload: no attack, but as large as one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import pytest

from tests.hostile.conftest import ANCHORED_S
from tests.hostile.test_bodies import FHIR, GRIN, is_refused
from tests.hostile.victim import MAX_RESIDENT_BYTES, Victim

PLACE: Final = Path(__file__).resolve().parents[2] / ".tools" / "fhir-examples" / "package" / "Bundle-resources.json"
DOOR: Final = ("/api/ingest/fhir?source=hl7", "medical-records", FHIR)


@pytest.fixture(scope="module")
def bundle() -> bytes:
    if not PLACE.exists():
        reason = "the npm package hl7.fhir.r4.examples is not here: make examples"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return PLACE.read_bytes()


def test_the_largest_published_bundle_is_stored_in_the_memory_that_any_upload_may_take(
    victim: Victim, bundle: bytes
) -> None:
    victim.wait_idle(ANCHORED_S)
    victim.forget_peak()
    answer = victim.post(*DOOR, bundle)
    assert answer.status == 200, answer.body[:300]
    report = json.loads(answer.body)
    sent = [entry["resource"]["resourceType"] for entry in json.loads(bundle)["entry"]]
    assert (report["refused"], report["skipped"]) == ([], [])
    assert sorted(one["resource_type"] for one in report["stored"]) == sorted(sent)
    assert victim.peak_resident_bytes() <= MAX_RESIDENT_BYTES
    victim.wait_idle(ANCHORED_S)


def test_with_one_character_beyond_u_ffff_it_is_refused_at_that_character(victim: Victim, bundle: bytes) -> None:
    before, name, behind = bundle.partition(b'"description" : "')
    with victim.unharmed():
        answer = victim.post(*DOOR, b"".join((before, name, GRIN, behind)))
    is_refused(answer)
    assert b'"place":"byte %d"' % len(before + name) in answer.body
