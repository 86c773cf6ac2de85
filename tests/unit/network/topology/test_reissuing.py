"""A certificate once more: same name and use, another key, and nothing lost if it is interrupted."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from domain.errors import Invalid, Unavailable
from network.embedded.material import KeyPair, create_authority, issue
from network.topology.layout import NodeFiles
from network.topology.reissuing import prepare, put_in_place

ISSUED = datetime.now(UTC) - timedelta(days=300)


@pytest.fixture
def organization(tmp_path: Path) -> Path:
    """An organisation's folder with two authorities and one node, as cryptogen lays it out."""
    for name in ("ca", "tlsca"):
        authority = create_authority("renhe.example", ISSUED)
        write(tmp_path / name, f"{name}.renhe.example-cert.pem", "priv_sk", authority)
        node = issue(authority, "peer.renhe.example", "peer", ISSUED)
        folder = node_files(tmp_path).folder
        if name == "ca":
            write(folder / "msp/signcerts", "peer-cert.pem", "../keystore/priv_sk", node)
        else:
            write(folder / "tls", "server.crt", "server.key", node)
    return tmp_path


def node_files(organization: Path) -> NodeFiles:
    return NodeFiles(organization / "peers" / "peer.renhe.example", "server")


def write(folder: Path, certificate: str, key: str, pair: KeyPair) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    (folder / certificate).write_bytes(pair.certificate_pem())
    pem = pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / key).write_bytes(pem)


def certificates(files: NodeFiles) -> list[x509.Certificate]:
    return [x509.load_pem_x509_certificate(path.read_bytes()) for path in (files.certificate, files.tls_certificate)]


def keys(files: NodeFiles) -> list[ec.EllipticCurvePrivateKey]:
    found = [serialization.load_pem_private_key(path.read_bytes(), None) for path in (files.key, files.tls_key)]
    return [key for key in found if isinstance(key, ec.EllipticCurvePrivateKey)]


def authorities(organization: Path) -> list[x509.Certificate]:
    return [
        x509.load_pem_x509_certificate(next((organization / name).glob("*-cert.pem")).read_bytes())
        for name in ("ca", "tlsca")
    ]


def test_name_and_use_stay_key_and_dates_change(organization: Path) -> None:
    files = node_files(organization)
    before, old_keys = certificates(files), keys(files)
    prepare(files, organization)
    put_in_place(files)
    for old, new, key, old_key, issuer in zip(
        before, certificates(files), keys(files), old_keys, authorities(organization), strict=True
    ):
        new.verify_directly_issued_by(issuer)
        assert new.subject == old.subject
        assert new.public_key() == key.public_key()
        assert key.public_key() != old_key.public_key()
        assert new.serial_number != old.serial_number
        lasts = old.not_valid_after_utc - old.not_valid_before_utc
        assert new.not_valid_after_utc == min(new.not_valid_before_utc + lasts, issuer.not_valid_after_utc)
        assert old.not_valid_before_utc < new.not_valid_before_utc
        assert new.not_valid_before_utc < datetime.now(UTC)
        assert {item.oid for item in new.extensions} == {
            item.oid for item in old.extensions if item.oid != x509.SubjectKeyIdentifier.oid
        }


def test_until_it_is_put_in_place_the_old_material_is_the_present_one(organization: Path) -> None:
    files = node_files(organization)
    before = certificates(files)
    pending = prepare(files, organization)
    assert certificates(files) == before
    assert certificates(pending) != before


def test_what_an_interrupted_attempt_prepared_is_used(organization: Path) -> None:
    """The channel may know the prepared certificate already: another one would lock the node out."""
    files = node_files(organization)
    first = certificates(prepare(files, organization))
    assert certificates(prepare(files, organization)) == first
    put_in_place(files)
    assert certificates(files) == first


def test_an_exchange_that_was_interrupted_is_undone_or_ended(organization: Path) -> None:
    files = node_files(organization)
    pending = certificates(prepare(files, organization))
    before = certificates(files)
    old = files.folder.with_name(files.folder.name + ".old")
    files.folder.rename(old)
    assert certificates(prepare(files, organization)) == pending
    assert certificates(files) == before
    put_in_place(files)
    shutil.copytree(files.folder, old)  # the old one was not removed yet
    prepare(files, organization)
    assert not old.exists()


@pytest.mark.parametrize("missing", ["*-cert.pem", "priv_sk"])
def test_without_the_authority_nothing_is_issued(organization: Path, missing: str) -> None:
    next((organization / "tlsca").glob(missing)).unlink()
    with pytest.raises(Unavailable):
        prepare(node_files(organization), organization)
    assert certificates(node_files(organization))


def test_an_authority_s_key_that_is_another_s_is_refused(organization: Path) -> None:
    shutil.copy(organization / "ca" / "priv_sk", organization / "tlsca" / "priv_sk")
    with pytest.raises(Invalid, match="do not belong together"):
        prepare(node_files(organization), organization)
    (organization / "tlsca" / "priv_sk").write_text("no key")
    with pytest.raises(Invalid):
        prepare(node_files(organization), organization)
