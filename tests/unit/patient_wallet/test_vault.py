"""The wallet's file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from domain.errors import Denied, Invalid
from patient_wallet.vault import Vault

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vault") / "wallet.json"
    vault = Vault.create(path, PASSPHRASE)
    vault.put("seed", {"words": "secret words"})
    vault.put("hospital:AMSP", {"patient": "p"})
    return path


def test_boxes_come_back_under_the_passphrase(file: Path) -> None:
    vault = Vault.open(file, PASSPHRASE)
    assert vault.get("seed") == {"words": "secret words"}
    assert vault.names() == ["hospital:AMSP", "index", "seed"]


def test_another_passphrase_is_denied(file: Path) -> None:
    with pytest.raises(Denied, match="passphrase does not fit"):
        Vault.open(file, PASSPHRASE + "!")


def test_the_file_shows_nothing_and_nobody_else_may_read_it(file: Path) -> None:
    assert b"secret words" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_box_put_in_the_place_of_another_does_not_open(file: Path, tmp_path: Path) -> None:
    fields = json.loads(file.read_text())
    fields["boxes"]["hospital:AMSP"] = fields["boxes"]["seed"]
    other = tmp_path / "swapped.json"
    other.write_text(json.dumps(fields))
    with pytest.raises(Denied, match="altered"):
        Vault.open(other, PASSPHRASE).get("hospital:AMSP")


def test_an_existing_wallet_is_never_overwritten(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(Invalid, match="there is a wallet already"):
        Vault.create(file, PASSPHRASE)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [b"", b"not json", b"{}", b'{"v": 2, "boxes": {}}', b'{"v": 1, "boxes": {}, "opslimit": 99999, "memlimit": 1}'],
)
def test_what_is_no_wallet_is_refused_before_any_work(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    path.write_bytes(content)
    with pytest.raises(Invalid):
        Vault.open(path, PASSPHRASE)


@pytest.mark.parametrize(
    "change",
    [
        {"kdf": "scrypt"}, {"kdf": None}, {"opslimit": 0}, {"opslimit": True}, {"opslimit": 17}, {"memlimit": 8191},
        {"memlimit": (2 << 30) + 1}, {"memlimit": "1"}, {"salt": "AA"}, {"salt": None}, {"boxes": {"index": 5}},
        {"boxes": {"index": "*"}}, {"boxes": {"index": "A" * (17 << 20)}},
    ],
    ids=str,
)  # fmt: skip
def test_parameters_that_no_wallet_has_are_refused_before_any_work(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    monkeypatch.setattr("nacl.pwhash.argon2id.kdf", None)
    path = tmp_path / "wallet.json"
    path.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(Invalid):
        Vault.open(path, PASSPHRASE)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"v":1,"v":1}', b'{"v":1,"boxes":' + b'{"a":' * 5_000])
def test_a_hostile_file_is_no_wallet(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    path.write_bytes(content)
    with pytest.raises(Invalid):
        Vault.open(path, PASSPHRASE)


def test_weaker_parameters_do_not_open_the_file_and_are_not_taken_over(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    path.write_text(json.dumps(json.loads(file.read_text()) | {"opslimit": 1, "memlimit": 8192}))
    with pytest.raises(Denied):
        Vault.open(path, PASSPHRASE)


def test_a_missing_wallet_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="yilian wallet create"):
        Vault.open(tmp_path / "none.json", PASSPHRASE)


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="at least 10"):
        Vault.create(tmp_path / "wallet.json", "short")
    assert not (tmp_path / "wallet.json").exists()
