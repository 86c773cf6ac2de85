"""Hostile bodies at every door of a running node: refused in time, with a place, in bounded memory, without trace."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from node_service.api.body_limits import MAX_FHIR_BYTES
from tests.cpu import is_frugal
from tests.faults.counts import repetitions
from tests.fuzz import dicom
from tests.hostile.conftest import ANCHORED_S
from tests.hostile.victim import MAX_ANSWER_S, MAX_CPU_S, SECRET, Answer, Victim
from tests.unit.node_service.documents.bombs import BOMBS

MIB: Final = 1 << 20
FHIR, JSON = "application/fhir+json", "application/json"
RESOURCE: Final = b'{"resourceType":"Observation","status":"final","code":{"text":"' + SECRET + b'"},'
DOORS: Final = {
    "ingest": ("/api/ingest/fhir?source=s", "medical-records", FHIR),
    "create": ("/fhir/Observation", "clinician", FHIR),
    "bundle": ("/fhir", "clinician", FHIR),
    "anybody": ("/wallet/nonces", "", JSON),
    "hospital": ("/exchange/token", "", JSON),
}
GRIN, WANG = "😀".encode(), "王".encode()
SMALL: Final[dict[str, bytes]] = {
    "broken": RESOURCE[:-2],
    "empty": b"",
    "something-behind": RESOURCE[:-1] + b"}" + SECRET,
    "list": b"[" + RESOURCE[:-1] + b"}]",
    "number": b"1",
    "null": b"null",
    "text": b'"' + SECRET + b'"',
    "type-is-a-number": b'{"resourceType":5,"x":"' + SECRET + b'"}',
    "type-is-a-path": b'{"resourceType":"../../etc/passwd","x":"' + SECRET + b'"}',
    "arrays-100000-deep": b"[" * 100_000 + b"]" * 100_000,
    "objects-100000-deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep-within": RESOURCE + b'"extension":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "never-closed": b'{"' + SECRET + b'":' + b'{"meta":' * 100_000,
    "key-twice": RESOURCE + b'"status":"' + SECRET + b'"}',
    "nan": RESOURCE + b'"valueQuantity":{"value":NaN}}',
    "minus-infinity": RESOURCE + b'"valueQuantity":{"value":-Infinity}}',
    "1e400": RESOURCE + b'"valueQuantity":{"value":1e400}}',
    "integer-of-5000-digits": RESOURCE + b'"valueInteger":' + b"9" * 5000 + b"}",
    "integer-beyond-32-bits": RESOURCE + b'"valueInteger":9007199254740993}',
    "utf-16": (RESOURCE + b'"id":"a"}').decode().encode("utf-16"),
    "gb18030": RESOURCE + '"id":"王"}'.encode("gb18030"),
    "overlong-utf-8": RESOURCE + b'"id":"\xc0\xaf"}',
    "half-a-pair": RESOURCE + b'"valueString":"\\ud800"}',
    "null-character": RESOURCE + b'"valueString":"\\u0000"}',
    "packed": gzip.compress(RESOURCE + b'"id":"a"}'),
    "xml": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Patient>&a;' + SECRET + b"</Patient>",
}
LARGE: Final[dict[str, Callable[[], bytes]]] = {
    "a-text-of-200-mib": lambda: RESOURCE + b'"valueString":"' + b"a" * (200 * MIB) + b'"}',
    "a-text-of-39-mib": lambda: RESOURCE + b'"nowhere":"' + b"a" * (39 * MIB) + b'"}',
    "a-text-of-39-mib-and-one-wide-character": lambda: RESOURCE + b'"nowhere":"' + b"a" * (39 * MIB) + GRIN + b'"}',
    "a-text-of-39-mib-and-one-chinese-character": lambda: RESOURCE + b'"nowhere":"' + b"a" * (39 * MIB) + WANG + b'"}',
    "a-name-of-39-mib": lambda: RESOURCE + b'"' + b"a" * (39 * MIB) + b'":1}',
    "escapes-that-end": lambda: RESOURCE + b'"nowhere":"' + b'\\"' * 3_900_000 + b'"}',
    "more-escapes": lambda: RESOURCE + b'"nowhere":"' + b'\\"' * (19 * MIB) + b'"}',
    "characters-by-number": lambda: RESOURCE + b'"nowhere":"' + b"\\u0022" * 3_900_000 + b'"}',
    "half-a-pair-at-the-end": lambda: RESOURCE + b'"nowhere":"' + b"\\u0061" * 3_900_000 + b'\\ud800"}',
    "an-address-of-many-steps": lambda: RESOURCE + b'"url":"http://' + b"Binary/" * (5 * MIB) + b'?"}',
    "escapes": lambda: RESOURCE + b'"nowhere":"' + b'\\"' * (19 * MIB),
    "digits": lambda: RESOURCE + b'"nowhere":' + b"9" * (38 * MIB) + b"}",
    "fraction": lambda: RESOURCE + b'"nowhere":1.' + b"9" * (38 * MIB) + b"}",
    "spaces": lambda: RESOURCE + b" " * (38 * MIB) + b'"nowhere":1}',
    "empty-lists": lambda: RESOURCE + b'"nowhere":[' + b"[]," * (12 * MIB) + b"[]]}",
    "names": lambda: RESOURCE + b",".join(b'"k%d":1' % number for number in range(2_000_000)) + b"}",
    "entries": lambda: b'{"resourceType":"Bundle","type":"batch","entry":[' + b"{}," * (12 * MIB) + b"{}]}",
    "components": lambda: RESOURCE + b'"component":[' + b"{}," * 54_000 + b"{}]}",
    "numbers-for-components": lambda: RESOURCE + b'"component":[' + b"1," * 109_000 + b"1]}",
    "extensions": lambda: RESOURCE + b'"extension":[' + b'{"x":1},' * 54_000 + b"{}]}",
}


NO_PLACE: Final = (408, 413, 415)
"""Refused as a whole: too slow, too large, of another kind."""


def is_refused(answer: Answer) -> None:
    """A refusal of the product's own form that names the place and tells nothing else, in time."""
    stored = answer.status == 200 and b'"stored":[]' in answer.body and b'"refused":[{' in answer.body
    assert stored or (400 <= answer.status < 500 and answer.is_problem), f"{answer.status} {answer.body[:300]!r}"
    assert place_of(answer) or answer.status in NO_PLACE, f"no place: {answer.body[:300]!r}"
    assert SECRET not in answer.body
    assert is_frugal(answer.cpu_s, MAX_CPU_S), f"{answer.cpu_s} s"
    assert answer.seconds <= MAX_ANSWER_S


def place_of(answer: Answer) -> str:
    """Where the first thing that is wrong stands, as a problem, an OperationOutcome or a report says it."""
    said = json.loads(answer.body)
    if "issue" in said:
        return str(said["issue"][0].get("expression", [""])[0])
    return str((said["refused"][0] if "refused" in said else said).get("place", ""))


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
def test_broken_and_wrong_bodies_are_refused_and_leave_nothing(victim: Victim, door: tuple[str, str, str]) -> None:
    with victim.unharmed():
        for body in SMALL.values():
            is_refused(victim.post(*door, body))


def test_broken_lines_are_refused_one_by_one(victim: Victim) -> None:
    with victim.unharmed():
        answer = victim.post(
            DOORS["ingest"][0], "medical-records", "application/fhir+ndjson", b"\n".join(SMALL.values())
        )
    is_refused(answer)
    assert answer.body.count(b'"place":"line ') >= len(SMALL) - 4  # nothing on a line is no line


@pytest.mark.parametrize("name", LARGE)
def test_a_large_body_costs_neither_time_nor_memory(victim: Victim, name: str) -> None:
    body = LARGE[name]()
    with victim.unharmed():
        for door in ("ingest", "create", "bundle", "anybody")[: 4 if len(body) > MAX_FHIR_BYTES else repetitions(1, 4)]:
            answer = victim.post(*DOORS[door], body)
            if not is_frugal(answer.cpu_s, MAX_CPU_S):  # twice is no accident
                answer = victim.post(*DOORS[door], body)
            is_refused(answer)
            assert answer.status == 413 or len(body) <= MAX_FHIR_BYTES


@pytest.mark.parametrize(
    "media_type", ["text/html", "application/xml", "multipart/form-data; boundary=x", "", "x" * 9000]
)
def test_another_media_type_is_refused(victim: Victim, media_type: str) -> None:
    with victim.unharmed():
        for path, role, method in (
            ("/api/ingest/fhir?source=s", "medical-records", "POST"),
            ("/fhir/Observation", "clinician", "POST"),
            ("/fhir", "clinician", "POST"),
            ("/api/ingest/dicom?source=s&upload=u", "medical-records", "PUT"),
        ):
            assert victim.post(path, role, media_type, RESOURCE[:-1] + b"}", method).status == 415


WHOLE: Final = dicom.seeds()[0]
BEGIN: Final = WHOLE.index(b"\x08\x00\x05\x00")
SERIES: Final = WHOLE.index(b"\x20\x00\x0e\x00")
NAMED: Final = SERIES + 8 + int.from_bytes(WHOLE[SERIES + 6 : SERIES + 8], "little") - 1
"""The last byte of the series' UID: files that end before do not say which image they are, the rest is not read."""

NESTED: Final = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
IMAGES: Final[dict[str, Callable[[], bytes]]] = {
    "no-dicom": lambda: SECRET * 100,
    "nested-100000-deep": lambda: WHOLE[:BEGIN] + NESTED * 100_000,
    "deflate-bomb": lambda: dicom.bomb(256 * MIB),
    "a-value-of-4-gib": lambda: WHOLE[:BEGIN] + b"\x08\x00\x05\x00UT\x00\x00\xff\xff\xff\xfe" + SECRET,
    "elements-without-end": lambda: WHOLE[:BEGIN] + b"\x08\x00\x05\x00CS\x02\x00  " * (3 * MIB),
    "huge-group-length": lambda: WHOLE.replace(b"UL\x04\x00", b"UL\x04\x00\xff\xff\xff\xff", 1),
    "xml": lambda: SMALL["xml"],
}


def put_image(victim: Victim, body: bytes) -> Answer:
    path = "/api/ingest/dicom?source=s&upload=hostile"
    return victim.post(path, "medical-records", "application/dicom", body, "PUT")


def test_a_truncated_image_is_refused_and_leaves_nothing(victim: Victim) -> None:
    with victim.unharmed():
        for at in (*range(0, NAMED, NAMED // 40), *range(NAMED - 16, NAMED + 1)):
            is_refused(put_image(victim, WHOLE[:at]))


@pytest.mark.parametrize("name", IMAGES)
def test_a_hostile_image_is_refused_and_leaves_nothing(victim: Victim, name: str) -> None:
    body = IMAGES[name]()
    with victim.unharmed():
        is_refused(put_image(victim, body))


def test_documents_with_entities_or_without_end_are_refused(victim: Victim) -> None:
    opening = b'<ClinicalDocument xmlns="urn:hl7-org:v3"><title>' + SECRET
    entities = b"".join(b'<!ENTITY e%d "%s">' % (n + 1, b"&e%d;" % n * 10) for n in range(12))
    bodies = (
        SMALL["xml"],
        b"<!DOCTYPE x ["
        + b'<!ENTITY e0 "aaaaaaaaaa">'
        + entities
        + b"]>"
        + opening
        + b"&e12;</title></ClinicalDocument>",
        opening,
        opening + b"<a>" * 100_000,
        opening + b"<a " + b"".join(b'b%d="" ' % number for number in range(200_000)) + b"/></title>",
        opening + b"a" * (60 * MIB) + b"</title></ClinicalDocument>",
        b"<" + b"a" * (20 * MIB) + b"/>",
    )
    with victim.unharmed():
        for body in bodies:
            is_refused(victim.post("/api/ingest/cda?source=s", "medical-records", "application/xml", body))


def put_pdf(victim: Victim, name: str, document: str) -> Answer:
    """Send a costly PDF, with what must be found nowhere in clear, for a person of its own."""
    person = b'{"resourceType":"Patient","id":"%s"}' % document.encode()
    patient = json.loads(victim.post(*DOORS["ingest"], person).body)["stored"][0]["patient"]
    structure, word, end = BOMBS[name]().rpartition(b"\nstartxref")
    body, said = structure + b"%" + SECRET + word + end, {"Content-ID": document, "Slug": SECRET.decode()}
    path = f"/api/ingest/pdf?source=s&patient={patient}"
    return victim.post(path, "medical-records", "application/pdf", body, **said)


@pytest.fixture
def settled(victim: Victim) -> Iterator[Victim]:
    """What it keeps of a test is anchored before the next one."""
    yield victim
    victim.wait_idle(ANCHORED_S)


@pytest.mark.parametrize("name", BOMBS)
def test_a_pdf_that_costs_much_to_read_is_kept_at_no_cost(settled: Victim, name: str) -> None:
    with settled.bounded():
        answer = put_pdf(settled, name, name)
    assert answer.status == 200, f"{answer.status} {answer.body[:300]!r}"
    report = json.loads(answer.body)
    assert (len(report["stored"]), report["quality"]) == (2, {})
    assert SECRET not in answer.body
    assert is_frugal(answer.cpu_s, MAX_CPU_S), f"{answer.cpu_s} s"
    assert answer.seconds <= MAX_ANSWER_S


def test_six_large_pdfs_at_once_are_taken_one_after_the_other(settled: Victim) -> None:
    with settled.bounded(), ThreadPoolExecutor(6) as senders:
        answers = senders.map(lambda number: put_pdf(settled, "three-million-rows", f"crowd-{number}"), range(6))
        statuses = [answer.status for answer in answers]
    assert statuses == [200] * 6


def test_what_is_no_whole_pdf_is_refused(victim: Victim) -> None:
    path = "/api/ingest/pdf?source=s&patient=" + "a" * 26
    whole = BOMBS["three-million-rows"]()
    with victim.unharmed():
        for body in (b"", SECRET, whole[:-9], whole[5:], b"%PDF-1.7" + b" " * (65 * MIB)):
            is_refused(victim.post(path, "medical-records", "application/pdf", body, **{"Content-ID": "d"}))


def test_nothing_that_was_sent_is_in_a_file_of_the_node(victim: Victim) -> None:
    """Runs last of this module: all that came before is still on the disk, the log included."""
    victim.check_sound()
    assert victim.files_with_secret() == []
    log = victim.hospital.log.read_text()
    assert '\\"status\\": 400' in log
    assert '"level": "ERROR"' not in log, "something failed instead of being refused"
