"""The stand-alone verifiers judge every vector as the product does, in Python and in JavaScript."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from nacl import signing

from domain import jcs
from domain.ed25519 import verify_signature
from domain.errors import Tampered
from domain.identifiers import encode_bytes
from tests.conformance.verdicts import corpora
from tests.receipt_programs import EXIT_CODES, PROGRAMS, VERIFIER, node
from tests.unit.domain.receipt_vectors import FILE
from tests.unit.domain.test_ed25519 import MESSAGE, NOT_CANONICAL, ORDER, PUBLIC, SIGNATURE, SMALL_ORDER

VECTORS = json.loads(FILE.read_bytes())
SIGNATURES = json.loads((corpora.FOLDER / "ed25519-strict.json").read_bytes())
"""Cases of a key, a signature and a message, and why they are refused; empty where they are not."""

MAX_LINES = 200
SignatureCase = tuple[bytes, bytes, bytes]


@pytest.fixture(scope="module")
def python_verifier() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_receipt", VERIFIER / "verify_receipt.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=PROGRAMS)
def command(request: pytest.FixtureRequest) -> list[str]:
    """How a verifier is started."""
    return PROGRAMS[request.param]()


def written(folder: Path, case: dict[str, str]) -> list[str]:
    """A vector's receipt and members file as files."""
    (folder / "receipt.json").write_text(case["receipt"])
    (folder / "members.json").write_text(VECTORS["members"][case["members"]])
    return [str(folder / "receipt.json"), str(folder / "members.json")]


def test_python_judges_every_vector(python_verifier: ModuleType) -> None:
    outcomes = {code: name for name, code in EXIT_CODES.items()}
    for case in VECTORS["cases"]:
        members = VECTORS["members"][case["members"]]
        try:
            signers = python_verifier.verify_receipt(case["receipt"], members, case["parties"])["signers"]
            outcome = "verified"
        except python_verifier.Refused as error:
            outcome, signers = outcomes[error.args[0]], []
        assert (case["name"], outcome, signers) == (case["name"], case["outcome"], case["signers"])


@pytest.mark.slow
def test_javascript_judges_every_vector() -> None:
    program = Path(__file__).with_name("every_receipt.mjs")
    command = [node(), str(program), str(VERIFIER / "verify_receipt.mjs"), str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    expected = [[case["name"], [case["outcome"], case["signers"]]] for case in VECTORS["cases"]]
    judged = zip(VECTORS["cases"], json.loads(done.stdout), strict=True)
    assert [[case["name"], outcome] for case, outcome in judged] == expected


def signature_cases() -> list[SignatureCase]:
    """Good, altered, malleable and small-order signatures and keys."""
    s = int.from_bytes(SIGNATURE[32:], "little")
    weak = [*SMALL_ORDER, *NOT_CANONICAL]
    signatures = [
        SIGNATURE,
        SIGNATURE[:-1],
        SIGNATURE + b"\0",
        bytes(64),
        SIGNATURE[:32] + (s + ORDER).to_bytes(32, "little"),
    ]
    cases = [(PUBLIC, one, message) for one in signatures for message in (MESSAGE, b"other")]
    cases += [(key, one, MESSAGE) for key in weak for one in (SIGNATURE, key + bytes(32), weak[0] + bytes(32))]
    return cases + [(PUBLIC, point + SIGNATURE[32:], MESSAGE) for point in weak]


def holds(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        verify_signature(key, signature, message)
    except Tampered:
        return False
    return True


def corpus_cases() -> list[SignatureCase]:
    """The corpus that the product's own readers of signatures share."""
    parts = [[bytes.fromhex(case[name]) for name in ("public", "signature", "message")] for case in SIGNATURES]
    return [(key, signature, message) for key, signature, message in parts]


def check_corpus(judged: list[bool]) -> None:
    """Claim the corpus's verdict about each of its cases."""
    names = [case["name"] for case in SIGNATURES]
    expected = [case["reason"] == "" for case in SIGNATURES]
    assert dict(zip(names, judged, strict=True)) == dict(zip(names, expected, strict=True))
    assert (len(names), len(set(names)), sum(expected)) == (330, 330, 8)


def python_holds(
    python_verifier: ModuleType, monkeypatch: pytest.MonkeyPatch, key: bytes, signature: bytes, message: bytes
) -> bool:
    """What the verifier makes of a members file with this key and of a note with this signature by it.

    A note can be no such message as the corpus has: the one call that takes it is given the case's in its place.
    """

    class Told(signing.VerifyKey):
        def verify(self, _note: bytes, told: bytes) -> bytes:  # type: ignore[override]
            return super().verify(message, told)

    monkeypatch.setattr(python_verifier, "signing", SimpleNamespace(VerifyKey=Told))
    member = {"msp": "AMSP", "witness": [encode_bytes(key)]}
    members = jcs.canonical({"v": 1, "channel": "c", "ledger": "fabric", "members": [member]}).decode()
    line = b64encode(sha256(b"yilian/c/AMSP\n\x01" + key).digest()[:4] + signature).decode()
    note = f"yilian/c\n1\n{b64encode(bytes(32)).decode()}\n\n— yilian/c/AMSP {line}\n"
    try:
        file = python_verifier.parse(members, python_verifier.UNUSABLE, python_verifier.MEMBERS)
        signers = python_verifier.verify_note(note, file)[3]
    except python_verifier.Refused:
        return False
    assert signers == {"AMSP"}, "the signature was passed over"
    return True


def javascript_holds(cases: list[SignatureCase]) -> list[bool]:
    """What the verifier's check of signatures says about each."""
    program = Path(__file__).with_name("every_signature.mjs")
    done = subprocess.run(
        [node(), str(program), str(VERIFIER / "verify_receipt.mjs")],
        input=json.dumps([[part.hex() for part in case] for case in cases]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    judged: list[bool] = json.loads(done.stdout)
    return judged


def test_python_judges_the_corpus_of_signatures(python_verifier: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    check_corpus([python_holds(python_verifier, monkeypatch, *case) for case in corpus_cases()])


@pytest.mark.slow
def test_javascript_judges_the_corpus_of_signatures() -> None:
    check_corpus(javascript_holds(corpus_cases()))


@pytest.mark.slow
def test_javascript_judges_signatures_as_strictly() -> None:
    cases = signature_cases()
    judged = javascript_holds(cases)
    assert judged == [holds(*case) for case in cases]
    assert judged.count(True) == 1


def test_python_judges_signatures_as_strictly(python_verifier: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = signature_cases()
    judged = [python_holds(python_verifier, monkeypatch, *case) for case in cases]
    assert judged == [holds(*case) for case in cases]


@pytest.mark.parametrize("outcome", EXIT_CODES)
def test_the_command_line_tells_the_outcome_by_its_exit_code(command: list[str], tmp_path: Path, outcome: str) -> None:
    case = next(case for case in VECTORS["cases"] if case["outcome"] == outcome)
    done = subprocess.run([*command, *written(tmp_path, case)], capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_CODES[outcome], done.stderr
    if outcome == "verified":
        assert json.loads(done.stdout)["signers"] == case["signers"]
    else:
        assert done.stderr


def test_a_party_on_the_command_line_does_not_count(command: list[str], tmp_path: Path) -> None:
    case = next(case for case in VECTORS["cases"] if case["name"] == "one of five and a told party")
    files = written(tmp_path, case)
    for options, code in (([], 0), (["--party", "DMSP"], 3)):
        done = subprocess.run([*command, *files, *options], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr


@pytest.mark.parametrize("name", ["none.json", "latin1.json"])
def test_files_that_cannot_be_read_are_unusable(command: list[str], tmp_path: Path, name: str) -> None:
    (tmp_path / "latin1.json").write_bytes(b"\xff")
    done = subprocess.run([*command, *[str(tmp_path / name)] * 2], capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_CODES["unusable"]


@pytest.mark.parametrize("name", ["verify_receipt.py", "verify_receipt.mjs"])
def test_a_verifier_is_short_enough_to_be_read_and_imports_nothing_of_the_product(name: str) -> None:
    text = (VERIFIER / name).read_text()
    assert text.count("\n") <= MAX_LINES
    imported = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert not imported & {"domain", "yilian", "network", "node_service", "patient_wallet", "offchain", "chaincode"}
