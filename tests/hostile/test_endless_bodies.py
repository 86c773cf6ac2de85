"""Bodies without end and without haste at the doors of a running node: given up in time, and nothing is kept."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pytest

from node_service.api.body_limits import BodyLimits
from tests.cpu import is_frugal
from tests.fuzz import dicom
from tests.hostile.conftest import MAX_UPLOAD_BYTES
from tests.hostile.victim import MAX_CPU_S, SECRET, Answer, Victim, chunked

MIB: Final = 1 << 20
GRACE_S: Final = BodyLimits(MAX_UPLOAD_BYTES).grace_s
LATE_S: Final = 5.0
DRIP_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Door:
    """Where a body goes, and how a sound one begins."""

    method: str
    path: str
    role: str
    media_type: str
    begin: bytes


TEXT: Final = b'{"resourceType":"Observation","status":"final","code":{"text":"' + SECRET
DOORS: Final = {
    "ingest": Door("POST", "/api/ingest/fhir?source=s", "medical-records", "application/fhir+json", TEXT),
    "create": Door("POST", "/fhir/Observation", "clinician", "application/fhir+json", TEXT),
    "bundle": Door("POST", "/fhir", "clinician", "application/fhir+json", TEXT),
    "image": Door(
        "PUT", "/api/ingest/dicom?source=s&upload=endless", "medical-records", "application/dicom",
        dicom.seeds()[0] + SECRET,
    ),
    "document": Door("POST", "/api/ingest/cda?source=s", "medical-records", "application/xml", b"<a>" + SECRET),
    "anybody": Door("POST", "/wallet/nonces", "", "application/json", b'{"patient":"' + SECRET),
}  # fmt: skip


def send(victim: Victim, door: Door, body: Iterator[bytes], **length: str) -> Answer:
    """A body that says how long it is, or comes in chunks."""
    headers = victim.headers(door.role, **{"Content-Type": door.media_type}, **length)
    return victim.send(door.method, door.path, headers, body)


def is_given_up(answer: Answer, status: int) -> None:
    """A refusal of the product's own form, after which the connection is closed."""
    assert answer.status == status, f"{answer.status} {answer.body[:300]!r}"
    assert answer.is_problem
    assert b"connection: close" in answer.head.lower()
    assert SECRET not in answer.head + answer.body


@pytest.mark.parametrize("name", DOORS)
def test_a_body_without_end_is_cut_at_its_bound_and_leaves_nothing(victim: Victim, name: str) -> None:
    sent = itertools.count()
    pieces = (DOORS[name].begin.ljust(MIB, b"a") if number == 0 else b"a" * MIB for number in sent)
    with victim.unharmed():
        answer = send(victim, DOORS[name], chunked(pieces), **{"Transfer-Encoding": "chunked"})
    is_given_up(answer, 413)
    assert is_frugal(answer.cpu_s, MAX_CPU_S), f"{answer.cpu_s} s"
    assert next(sent) * MIB <= MAX_UPLOAD_BYTES + 16 * MIB  # what the sockets hold on the way


def stalling(begin: bytes) -> Iterator[bytes]:
    """Some bytes, and then none."""
    yield begin


def dripping(begin: bytes) -> Iterator[bytes]:
    """Some bytes, and then one now and then, for ever."""
    yield begin
    while True:
        time.sleep(DRIP_EVERY_S)
        yield b"a"


def test_bodies_that_stall_or_drip_are_given_up_after_the_grace_and_leave_nothing(victim: Victim) -> None:
    """All at once, so that none waits for another one's end."""

    def attack(case: tuple[str, Callable[[bytes], Iterator[bytes]]]) -> tuple[Answer, float]:
        door, begun = DOORS[case[0]], time.monotonic()
        answer = send(victim, door, case[1](door.begin), **{"Content-Length": str(len(door.begin) + 1000)})
        return answer, time.monotonic() - begun

    cases = list(itertools.product(DOORS, (stalling, dripping)))
    with victim.unharmed(), ThreadPoolExecutor(len(cases)) as senders:
        answers = list(senders.map(attack, cases))
    for (name, manner), (answer, took_s) in zip(cases, answers, strict=True):
        is_given_up(answer, 408)
        assert took_s >= GRACE_S / 2
        assert is_frugal(took_s - GRACE_S, LATE_S), f"{name} {manner.__name__}: {took_s} s"


def test_nothing_of_them_is_in_a_file_of_the_node(victim: Victim) -> None:
    """Runs last of this module: what was cut is still on the disk, if anything is."""
    victim.check_sound()
    assert victim.files_with_secret() == []
    assert '"level": "ERROR"' not in victim.hospital.log.read_text(), "something failed instead of being given up"
