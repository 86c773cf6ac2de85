"""Certificates judged by Fabric's own membership service (Go, at the pinned version) and by ours: the same verdict.

A verdict is the roles of a member whose signature counts. A difference would let one member's odd certificate make
honest witnesses contradict their peers, or an endorsement count that peers do not count.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from domain.errors import Denied, Invalid, Tampered, YilianError
from network.blocks.member import verify_member
from network.blocks.msp import Msp, parse_msp
from network.blocks.protos import identities, parse_into
from tests.faults.counts import repetitions
from tests.interop.certificates import MESSAGE, MSP, Case, drawn, listed
from tests.interop.conftest import need

SOURCE: Final = Path(__file__).with_name("fabricmsp")
BUILD_TIMEOUT_S: Final = 600.0
JUDGE_TIMEOUT_S: Final = 300.0
SEEDS: Final = int(os.environ.get("TESTS_CERTIFICATES", repetitions(2_000, 100_000)))
PORTION: Final = 10_000
OFFICIAL: Final = "x509negativeserial=0"
"""As programs behave that were built as the official ones are: an older go.mod keeps Go's older leniency."""
Verdict = frozenset[str] | None

STRICTER: Final = {
    "extensions: extension 2.5.29.33": "policy mappings: releases of Go differ about them; no authority of a hospital"
    " and none of Fabric's tools uses them",
    "extensions: extension 2.5.29.36": "policy constraints: idem",
    "extensions: extension 2.5.29.54": "inhibit any policy: idem",
    "authorities: authority of 2.5.29.19=30030101ff 2.5.29.15=03020186 2.5.29.36": "policy constraints: idem",
    "constraints: ": "name constraints over names that the holder has: not compared, the chain is refused. Neither"
    " cryptogen nor Fabric CA nor OpenSSL's defaults give an authority any",
}
"""Where ours refuses what Fabric takes: how the cases begin, and why nobody misses them (docs/threat-model.md)."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built aside: Go notes in go.mod what it found."""
    folder = tmp_path_factory.mktemp("go") / "fabricmsp"
    shutil.copytree(SOURCE, folder)
    done = subprocess.run(
        [need("go", "golang"), "build", "-o", "fabricmsp", "."], cwd=folder, capture_output=True, text=True,
        check=False, env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}, timeout=BUILD_TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "fabricmsp"


def theirs(program: Path, cases: Sequence[Case]) -> list[dict[str, Any]]:
    asked = [
        {"msp": item.config, "identity": item.identity, "message": MESSAGE, "signature": item.signed} for item in cases
    ]
    lines = (json.dumps({name: base64.b64encode(raw).decode() for name, raw in item.items()}) for item in asked)
    done = subprocess.run(
        [program],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=JUDGE_TIMEOUT_S,
        env={"GODEBUG": OFFICIAL},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(cases)
    return told


def is_no_channel(told: dict[str, Any]) -> bool:
    """Fabric refuses the authorities themselves: no channel has such a member."""
    return str(told["error"]).startswith(("setup: ", "panic: "))


def their_verdict(told: dict[str, Any]) -> Verdict:
    return frozenset(told["roles"]) if not told["error"] and told["signed"] else None


def our_verdict(judged: Case, known: dict[bytes, Msp]) -> Verdict:
    try:
        if judged.config not in known:
            known[judged.config] = parse_msp(judged.config)
        member = verify_member(judged.identity, {MSP: known[judged.config]})
        member.verify_signature(judged.signed, MESSAGE)
    except (Denied, Invalid, Tampered) as error:
        if error.reason == "bad-identity" and not isinstance(error.__cause__, YilianError):
            raise AssertionError(f"{judged.kind}: an exception of a library") from error
        return None
    return frozenset(role.name for role in member.membership.roles)


def differences(program: Path, cases: Iterable[Case]) -> tuple[list[str], Counter[bool]]:
    """Cases of different verdicts, and how many of the others were taken and refused."""
    found, counted, known = [], Counter[bool](), dict[bytes, Msp]()
    chosen = list(cases)
    for judged, told in zip(chosen, theirs(program, chosen), strict=True):
        if is_no_channel(told):
            continue
        fabric, ours = their_verdict(told), our_verdict(judged, known)
        counted[fabric is not None] += 1
        if fabric != ours:
            found.append(f"{judged.kind}: Fabric {sorted(fabric or ())} {told['error']}, ours {sorted(ours or ())}")
            if fabric is not None and ours is None:
                found[-1] = f"{judged.kind} (ours refuses)"
    return found, counted


def speaks_of_policies(judged: Case) -> bool:
    """Whether chance made one of the extensions over which releases of Go differ."""
    lines = parse_into(identities.SerializedIdentity(), judged.identity, "identity").id_bytes.splitlines()
    der = base64.b64decode(b"".join(lines[1:-1]))
    return any(bytes((6, 3, 0x55, 0x1D, number)) in der for number in (33, 36, 54))


@pytest.mark.slow
def test_listed_certificates_get_the_same_verdict(program: Path) -> None:
    found, counted = differences(program, listed())
    assert min(counted[True], counted[False]) > 100
    told = {
        kind: [item for item in found if item.startswith(kind) and item.endswith("(ours refuses)")] for kind in STRICTER
    }
    assert [item for item in found if item not in {text for texts in told.values() for text in texts}] == []
    assert [kind for kind, texts in told.items() if not texts] == [], "no difference any more"


@pytest.mark.slow
def test_certificates_changed_by_chance_get_the_same_verdict(program: Path) -> None:
    counted = Counter[bool]()
    for begin in range(0, SEEDS, PORTION):
        cases = map(drawn, range(begin, min(begin + PORTION, SEEDS)))
        found, portion = differences(program, (item for item in cases if not speaks_of_policies(item)))
        assert found == []
        counted += portion
    assert min(counted[True], counted[False]) > SEEDS // 20


@pytest.mark.slow
def test_the_same_certificates_are_one_identity(program: Path) -> None:
    """Whose signatures count once: what Fabric calls one identity is one here, and the other way round."""
    cases = [item for item in listed() if item.kind.startswith(("signatures: ", "serials: "))]
    pairs = set[tuple[str, str]]()
    for judged, told in zip(cases, theirs(program, cases), strict=True):
        if not told["error"] and our_verdict(judged, {}) is not None:
            member = verify_member(judged.identity, {MSP: parse_msp(judged.config)})
            pairs.add((told["identifier"], hashlib.sha256(member.membership.distinguished_by).hexdigest()))
    assert len(pairs) > 10
    assert all(fabric == ours for fabric, ours in pairs)
