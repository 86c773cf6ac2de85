"""The file of authorities: read at the start, whole or not at all, and only what it holds counts."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from domain.errors import Invalid
from domain.receipt_form import Member, Members
from node_service.client.authorities import CA_FILE, MAX_FILE_BYTES, chosen_authorities, read_authorities
from node_service.composition import build as build_node
from node_service.settings import Settings
from tests.unit.chaincode.service.test_tls import Side
from yilian.language import text
from yilian.main import build

CONTENTS = {"empty": b"", "words": b"no certificate", "cut": b"-----BEGIN CERTIFICATE-----\nMIIB\n"}


@pytest.fixture(params=["missing", "folder", *CONTENTS])
def unusable(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / "folder").mkdir()
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    return str(tmp_path / request.param)


def test_without_a_file_the_public_authorities_count() -> None:
    assert read_authorities("") is None
    assert chosen_authorities({}) is None


def test_words_between_the_certificates_may_be_in_any_language(tmp_path: Path) -> None:
    pem = Side.make("Renji").authority.certificate_pem()
    (tmp_path / "authorities.pem").write_bytes("# 联盟根证书\n".encode() + pem)
    trusted = read_authorities(str(tmp_path / "authorities.pem"))
    assert trusted is not None
    assert trusted.get_ca_certs(binary_form=True) == [ssl.PEM_cert_to_DER_cert(pem.decode())]


def test_what_would_be_waited_for_or_has_no_end_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"\n" * (MAX_FILE_BYTES + 1))
    for file in (tmp_path / "pipe", Path("/dev/zero"), tmp_path / "large"):
        with pytest.raises(Invalid, match="cannot be read"):
            read_authorities(str(file))


def test_a_list_of_revoked_certificates_is_no_authority(tmp_path: Path) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Renji")])
    builder = x509.CertificateRevocationListBuilder(
        name, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    )
    (tmp_path / "crl.pem").write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    with pytest.raises(Invalid, match="holds no certificates"):
        read_authorities(str(tmp_path / "crl.pem"))


def test_with_a_file_its_authorities_count_and_no_others(tmp_path: Path) -> None:
    pems = [Side.make(name).authority.certificate_pem() for name in ("Renji", "Huashan")]
    (tmp_path / "authorities.pem").write_bytes(b"".join(pems))
    trusted = chosen_authorities({CA_FILE: str(tmp_path / "authorities.pem")})
    assert trusted is not None
    assert set(trusted.get_ca_certs(binary_form=True)) == {ssl.PEM_cert_to_DER_cert(pem.decode()) for pem in pems}
    assert trusted.verify_mode is ssl.CERT_REQUIRED
    assert trusted.check_hostname


def test_a_file_that_cannot_be_used_is_refused_by_the_name_of_the_setting(unusable: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_authorities(unusable, "YILIAN_OTHER_FILE")
    assert (caught.value.place, caught.value.reason) == ("YILIAN_OTHER_FILE", "authorities")
    assert unusable not in str(caught.value)


def test_a_node_does_not_start_with_it(unusable: str, tmp_path: Path) -> None:
    chosen = {"MSP_ID": "RenjiMSP", "NAME": "Renji", "DATA_DIR": tmp_path / "node", "LEDGER_DIR": tmp_path / "ledger"}
    environment = {f"YILIAN_{name}": str(value) for name, value in chosen.items()} | {CA_FILE: unusable}
    with pytest.raises(Invalid) as caught:
        build_node(Settings.from_environment(environment))
    assert caught.value.place == CA_FILE
    assert not (tmp_path / "node").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["wallet", "hospitals"],
        ["ingest", "FOLDER", "--username", "engine"],
        ["node", "add-account", "dr", "--role", "clinician", "--display-name", "Dr"],
        ["audit", "log", "--username", "auditor"],
        ["audit", "members", "--node", "https://renji.example", "--out", "FOLDER/out.json"],
        ["witness", "compare", "https://renji.example", "--members", "FOLDER/members.json"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_command_does_not_call_anybody_with_it(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = str(tmp_path / "missing")
    (tmp_path / "members.json").write_bytes(Members("yilian", "embedded", (Member("RenjiMSP", ()),)).encode())
    for name, value in {CA_FILE: missing, "YILIAN_STAFF_PASSWORD": "x", "YILIAN_WALLET_PASSPHRASE": "x"}.items():
        monkeypatch.setenv(name, value)
    shown = CliRunner().invoke(build(text("en")), [item.replace("FOLDER", str(tmp_path)) for item in command])
    assert isinstance(shown.exception, Invalid)
    assert shown.exception.place == CA_FILE
