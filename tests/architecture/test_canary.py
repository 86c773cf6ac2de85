"""No name, number or free text that goes into the hospitals is found in clear on any disk: nodes, ledger, logs.

A thousand writes, an enrolment, a request, a grant, shared reading, a contribution and a broken glass on real node
processes; then every file is searched for every seeded text in every usual spelling. The same search must find a text
that is written plainly.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domain.errors import YilianError
from network.embedded.export import export
from node_service.client import wire
from node_service.client.node_client import NDJSON
from node_service.client.shared_client import SharedClient
from node_service.fhir.identifiers import check_character
from patient_wallet.drafts import GrantChoice
from tests.canaries import found_in, numbers_in, spellings, windows
from tests.files_at_work import files_below
from tests.scenario.actors import AWAY, HOME, PASSPHRASE, Actors, acting, new_wallet
from yilian.demo.network import Hospital
from yilian.ingestion import Feed
from yilian.synthetic.people import people
from yilian.synthetic.phantom import write_ct_phantom

PATIENTS, OBSERVATIONS, CREATED, MIN_WRITES = 85, 10, 24, 1_000
CONTROL = "control-Zyzzogeton-control"
SOURCE = "/share/Zyzzogeton Vrxname 龘靐齉/"
MIN_FILES = 1_000
MIXED = "“Zyzzo” 龘靐/+?geton"


@dataclass
class Seeds:
    """Makes texts that nobody else writes, and remembers them."""

    random: Random = field(default_factory=lambda: Random(20260101))  # noqa: S311 - repeatable on purpose
    made: list[str] = field(default_factory=list)

    def word(self, kind: str) -> str:
        return self._made(f"{kind}Vrx{self._letters(10)}")

    def chinese(self) -> str:
        return self._made("龘" + "".join(chr(self.random.randrange(0x4E00, 0x9FA5)) for _ in range(4)))

    def text(self) -> str:
        return self._made(f"“{self._letters(8)}”\t患者自述 {self.chinese()} / {self._letters(12)}")

    def identity_number(self) -> str:
        first = f"1101011990{self.random.randrange(1, 13):02}{self.random.randrange(1, 29):02}"
        first += f"{self.random.randrange(1000):03}"
        return self._made(first + check_character(first))

    def phone(self) -> str:
        return self._made(f"199{self.random.randrange(10**8):08}")

    def _made(self, text: str) -> str:
        self.made.append(text)
        return text

    def _letters(self, count: int) -> str:
        return "".join(self.random.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(count))


@dataclass
class Lived:
    """Where all files are, and what must not be in them; ``running`` are the files as they were under way."""

    folder: Path
    texts: list[str]
    writes: int
    found_running: list[str]
    files_running: set[str]
    found_in_environments: list[int]
    error_answers: list[str]


# --- The life -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder, elsewhere = tmp_path_factory.mktemp("hospitals"), tmp_path_factory.mktemp("elsewhere")
    seeds = Seeds()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        network_folder = folder / "network"
        network_folder.mkdir()
        with acting(network_folder) as actors:
            patient, writes = write(actors, seeds, elsewhere)
            share(actors, seeds, patient, elsewhere)
            answers = refuse(actors, seeds)
            actors.wait_anchored()
            running = {path.name for path in files_below(folder)}
            environments = b"".join(environment_of(hospital) for hospital in (actors.home, actors.away))
            found = found_in(folder, seeds.made)
            export(actors.network.ledger, folder / "export")
        in_environments = sorted(numbers_in(environments, windows(seeds.made)))
        yield Lived(folder, seeds.made, writes, found, running, in_environments, answers)


def write(actors: Actors, seeds: Seeds, elsewhere: Path) -> tuple[str, int]:
    """Bundles, NDJSON, single resources, updates, images; returns a patient and the number of writes."""
    seeds.made.append(SOURCE)
    stored = []
    for _ in range(PATIENTS):
        body = json.dumps(history(seeds), ensure_ascii=False).encode()
        stored.append(actors.archive.ingest_fhir(body, source=SOURCE))
    patient = next(ref for ref in stored[0].stored if ref.resource_type == "Patient")
    lines = [json.dumps(observation(seeds, f"Patient/{patient.record}")).encode() for _ in range(8)]
    stored.append(actors.archive.ingest_fhir(b"\n".join(lines), source=SOURCE, media_type=NDJSON))
    assert not [issue for report in stored for issue in report.refused + report.skipped]
    written = sum(len(report.stored) for report in stored)
    for _ in range(CREATED):
        create_and_update(actors, seeds, patient.record)
    return str(patient.patient), written + 2 * CREATED + write_images(actors, seeds, elsewhere)


def history(seeds: Seeds) -> dict[str, Any]:
    """A Bundle of one person, each text of it seeded."""
    address = f"urn:uuid:{seeds.random.randrange(16**8):08x}-0000-4000-8000-{seeds.random.randrange(16**12):012x}"
    seeds.made.append(address.removeprefix("urn:uuid:"))
    person = {
        "resourceType": "Patient", "id": seeds.word("id"),
        "identifier": [
            {"system": "urn:oid:2.16.156.10011.1.3", "value": seeds.identity_number()},
            {"type": {"text": "病案号"}, "system": "https://his.example/mrn", "value": seeds.word("mrn")},
        ],
        "name": [{"text": seeds.chinese()}, {"family": seeds.word("Family"), "given": [seeds.word("Given")]}],
        "telecom": [{"system": "phone", "value": seeds.phone()}],
        "address": [{"line": [seeds.text()], "city": seeds.word("City")}], "birthDate": "1990-02-03",
    }  # fmt: skip
    resources = [person, *(observation(seeds, address) for _ in range(OBSERVATIONS))]
    entries = [
        {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}} for resource in resources
    ]
    entries[0]["fullUrl"] = address  # type: ignore[assignment] # the only entry that others refer to
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def observation(seeds: Seeds, subject: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "status": "final", "code": {"text": seeds.word("Finding")},
        "subject": {"reference": subject, "display": seeds.chinese()}, "valueString": seeds.text(),
        "performer": [{"display": seeds.word("Performer")}],
    }  # fmt: skip


def create_and_update(actors: Actors, seeds: Seeds, patient: str) -> None:
    """Two versions over the FHIR interface, with a name as idempotency key."""
    resource = observation(seeds, f"Patient/{patient}")
    made = actors.house_doctor.fhir(
        "POST", "/Observation", content=json.dumps(resource).encode(), idempotency_key=seeds.word("key")
    )
    assert made.status == 201
    record = made.headers["location"].partition("/Observation/")[2].partition("/")[0]
    changed = json.dumps({**resource, "id": record, "note": [{"text": seeds.text()}]}).encode()
    assert actors.house_doctor.fhir("PUT", f"/Observation/{record}", content=changed, if_match='W/"1"').status == 200


def write_images(actors: Actors, seeds: Seeds, elsewhere: Path) -> int:
    who = replace(
        people(1, 1, "en")[0], family=(seeds.chinese(), seeds.word("Family")), given=("", seeds.word("Given")),
        record_number=seeds.word("PatientId"),
    )  # fmt: skip
    write_ct_phantom(elsewhere / "ct", 1, who)
    summary = Feed(actors.archive, os.urandom, system=SOURCE).files([elsewhere / "ct"], lambda _source: None)
    assert summary.refused == []
    return summary.dicom_instances


def share(actors: Actors, seeds: Seeds, patient: str, elsewhere: Path) -> None:
    """Enrolment to broken glass, with a seeded doctor, department, message, passphrase and note."""
    name, department = seeds.word("DrName"), seeds.chinese()
    staff = actors.away.employ("reader", name, "clinician", department=department).client
    privacy = actors.away.employ("privacy", seeds.word("Officer"), "privacy-officer").client
    shared = SharedClient(staff)
    code = actors.registrar.issue_enrolment_code(patient).code
    seeds.made += [code, PASSPHRASE]
    wallet = new_wallet(elsewhere / "wallet.json")
    wallet.enrol(actors.home.url, code)
    card = wallet.registration(HOME).card
    asked = shared.request_access(
        wire.AccessRequest(card=card, purpose="TREAT", categories=["result"], message=seeds.text())
    )
    assert [one.content.reader.name for one in wallet.requests(HOME) if one.content is not None] == [name]
    choice = GrantChoice(grantee=AWAY, contribute=True, request=asked.id)
    granted = wallet.grant(HOME, choice, actors.away.url)
    shared.confirm_match(granted.patient, granted.id, None)
    access = shared.open_access(granted.patient, granted.id, "TREAT").id
    assert shared.chart(access).items
    given = {key: value for key, value in observation(seeds, "").items() if key != "subject"}
    shared.contribute(access, wire.ContributionBody(resource=json.dumps(given, ensure_ascii=False)))
    body = wire.EmergencyBody(card=card, reason="unconscious", categories=["allergy", "result"])
    emergency = shared.break_glass(body)
    assert shared.chart(emergency.id).items
    SharedClient(privacy).review(emergency.id, wire.ReviewBody(outcome="justified", note=seeds.text()))
    assert {access.reader.name for access in wallet.accesses(HOME) if access.reader} == {name}


def environment_of(hospital: Hospital) -> bytes:
    """The environment and command line of a node's process: as they were given, and as the kernel shows them."""
    assert hospital.process is not None
    process = Path("/proc") / str(hospital.process.pid)
    given = "\0".join(f"{name}={value}" for name, value in hospital.environment.items()).encode()
    try:
        return given + (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
    except PermissionError:  # closed to its own user
        return given


def refuse(actors: Actors, seeds: Seeds) -> list[str]:
    """What is refused is not kept, logged or repeated: bodies, addresses, passwords; returns what was answered."""
    invalid = {**observation(seeds, "Patient/none"), "status": [seeds.word("Status")], seeds.word("element"): True}
    report = actors.archive.ingest_fhir(json.dumps(invalid).encode(), source=SOURCE)
    assert len(report.refused) == 1
    answers = [report.model_dump_json()]
    calls: list[Callable[[], object]] = [
        lambda: actors.house_doctor.fhir("GET", f"/Patient/{seeds.word('Path')}"),
        lambda: actors.house_doctor.fhir("GET", f"/{seeds.word('Type')}/{seeds.word('Path')}"),
        lambda: actors.house_doctor.fhir("POST", "/Observation", content=json.dumps(invalid).encode()),
        lambda: actors.house_doctor.call(
            "GET", f"/api/nowhere/{seeds.word('Path')}", params={"name": seeds.word("Query")}
        ),
        lambda: actors.house_doctor.sign_in(seeds.word("nobody"), seeds.word("password")),
        lambda: actors.house_doctor.sign_in("house-doctor", seeds.word("password")),
    ]
    for call in calls:
        with pytest.raises(YilianError) as refused:
            call()
        error = refused.value
        answers.append(f"{error} {error.detail} {error.reason} {error.place}")
    return answers


# --- The claims -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_seeded_text_is_in_any_file_while_the_hospitals_run(lived: Lived) -> None:
    assert lived.writes >= MIN_WRITES
    assert len(lived.texts) > 5 * PATIENTS * OBSERVATIONS
    assert {"node.db", "node.db-wal", "ledger.db", "ledger.db-wal", f"{HOME}.log", f"{AWAY}.log"} <= lived.files_running
    assert lived.found_running == []


@pytest.mark.slow
def test_no_seeded_text_is_in_any_file_or_exported_block_once_they_have_ended(lived: Lived) -> None:
    searched = files_below(lived.folder)
    assert {"node.db", "ledger.db", "0000.block", f"{HOME}.log", f"{AWAY}.log"} <= {path.name for path in searched}
    assert len(searched) > MIN_FILES
    assert len(list((lived.folder / "network" / HOME).rglob("*"))) > MIN_WRITES
    assert all(path.stat().st_size for path in (lived.folder / "network").glob("*.log"))
    assert found_in(lived.folder, lived.texts) == []


@pytest.mark.slow
def test_no_seeded_text_is_in_the_environment_of_a_node(lived: Lived) -> None:
    assert lived.found_in_environments == []


@pytest.mark.slow
def test_no_refusal_repeats_what_was_sent(lived: Lived) -> None:
    assert len(lived.error_answers) == 7
    wanted = windows([text for text in lived.texts if text != SOURCE])
    repeated = {number for answer in lived.error_answers for number in numbers_in(answer.encode(), wanted)}
    assert repeated == set()


@pytest.mark.parametrize("number", range(len(set(spellings(MIXED)))))
def test_the_search_finds_a_text_in_every_spelling(tmp_path: Path, number: int) -> None:
    spelling = sorted(set(spellings(MIXED)))[number]
    (tmp_path / "leak.bin").write_bytes(b"\x00\xff before" + spelling + b"after \xff")
    assert found_in(tmp_path, [CONTROL, MIXED]) == ["leak.bin: text 1"]
    assert found_in(tmp_path, [CONTROL]) == []


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc"])
@pytest.mark.parametrize("after", [b"", b"a", b"ab"])
def test_the_search_finds_base64_of_a_longer_text(tmp_path: Path, before: bytes, after: bytes) -> None:
    (tmp_path / "leak.bin").write_bytes(b64encode(before + CONTROL.encode() + after))
    assert found_in(tmp_path, [CONTROL])


@pytest.mark.slow
def test_the_search_finds_a_seeded_text_among_the_hospitals_files(lived: Lived, tmp_path: Path) -> None:
    """The control: the same search over each database of a node, with one seeded text in clear behind it."""
    for path in (lived.folder / "network").rglob("node.db"):
        leak = tmp_path / "node.db"
        leak.write_bytes(path.read_bytes() + lived.texts[-1].encode())
        assert found_in(tmp_path, lived.texts) == [f"node.db: text {len(lived.texts) - 1}"]
