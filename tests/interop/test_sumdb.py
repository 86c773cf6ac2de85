"""What a witness gives, verified by the code of Go's checksum database (``note.Open``, ``tlog.CheckRecord``,
``tlog.CheckTree`` of golang.org/x/mod)."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.checkpoints import key_name, merge, verifier_key
from domain.identifiers import encode_bytes
from network.embedded.founding import init
from tests.interop.conftest import need
from tests.unit.network.witness.conftest import CHANNEL, HOSPITALS, World, witness_key

SOURCE = Path(__file__).with_name("sumdb")
NAMES = [key_name(CHANNEL, msp_id) for msp_id in HOSPITALS]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("go") / "sumdb"
    go = need("go", "golang")
    done = subprocess.run([go, "build", "-o", str(built), "."], cwd=SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Three witnesses over a ledger of eleven blocks: the merged note, every entry, every earlier size."""
    world = World(tmp_path_factory.mktemp("ledger"))
    init(world.ledger, CHANNEL, list(HOSPITALS), clock=world.clock, random=os.urandom)
    for msp_id in HOSPITALS:
        world.submit(msp_id)
    for number in range(6):
        world.submit("AMSP", f"https://{number}.example")
    witnesses = [world.followed(msp_id) for msp_id in HOSPITALS]
    first, size = witnesses[0], witnesses[0].size
    assert size == 11
    proofs = [first.entry(number, size) for number in range(size)]
    yield {
        "note": merge(witness.note() for witness in witnesses).text(),
        "keys": [verifier_key(key_name(CHANNEL, msp_id), witness_key(msp_id).public) for msp_id in HOSPITALS],
        "entries": [
            {"number": number, "entry": proof.text.decode(), "path": [encode_bytes(item) for item in proof.path]}
            for number, proof in enumerate(proofs)
        ],
        "trees": [
            {
                "size": old,
                "root": encode_bytes(first.note(old).checkpoint.root),
                "proof": [encode_bytes(item) for item in first.consistency(old, size)],
            }
            for old in range(1, size + 1)
        ],
    }
    for opened in world.opened:
        opened.close()


def run(program: Path, given: dict[str, Any]) -> tuple[int, list[str], str]:
    done = subprocess.run([program], input=json.dumps(given), capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.split(), done.stderr


@pytest.mark.slow
def test_notes_entries_and_sizes_verify(program: Path, given: dict[str, Any]) -> None:
    assert run(program, given) == (0, NAMES, "")


@pytest.mark.slow
def test_each_signer_is_known_by_their_own_key(program: Path, given: dict[str, Any]) -> None:
    for number, name in enumerate(NAMES):
        assert run(program, given | {"keys": [given["keys"][number]]}) == (0, [name], "")


def flip(text: str, position: int) -> str:
    return text[:position] + ("B" if text[position] != "B" else "C") + text[position + 1 :]


ALTERATIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "root in the note": lambda g: g.update(note=flip(g["note"], g["note"].index("\n\n") - 20)),
    "size in the note": lambda g: g.update(note=g["note"].replace("\n11\n", "\n12\n")),
    "a signature": lambda g: g.update(note=flip(g["note"], len(g["note"]) - 20)),
    "an entry": lambda g: g["entries"][4].update(entry=g["entries"][4]["entry"].replace('"number":4', '"number":5')),
    "the number of an entry": lambda g: g["entries"][4].update(number=5),
    "the path of an entry": lambda g: g["entries"][4]["path"].reverse(),
    "a path cut": lambda g: g["entries"][4]["path"].pop(),
    "an earlier root": lambda g: g["trees"][3].update(root=flip(g["trees"][3]["root"], 5)),
    "an earlier size": lambda g: g["trees"][3].update(size=5),
    "a consistency proof": lambda g: g["trees"][4]["proof"].reverse(),
    "no known key": lambda g: g.update(keys=[verifier_key(NAMES[0], witness_key("XMSP").public)]),
}


@pytest.mark.slow
@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_what_is_altered_is_refused(program: Path, given: dict[str, Any], alteration: str) -> None:
    altered = copy.deepcopy(given)
    ALTERATIONS[alteration](altered)
    assert altered != given
    code, names, reason = run(program, altered)
    assert (code, names) == (1, [])
    assert reason
