"""A witness is a member of the channel with keys of its own, and no node."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID, NameOID

from domain.errors import Unavailable
from network.blocks.identity import parse_certificate, read_attributes
from network.embedded.material import BACKDATED, KeyPair, create_authority, issue
from network.topology.description import Organization
from network.topology.layout import Layout, NodeFiles
from network.topology.witness_identity import make_witness

RENHE = Organization("renhe", "RenheMSP", 17000)
NOW = datetime.now(UTC)
FOUNDED = (NOW - BACKDATED / 2).replace(microsecond=0)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A hospital's authorities and its node's material, as cryptogen lays them out."""
    made = Layout(tmp_path)
    folder, client = made.peer_organization(RENHE), made.client(RENHE)
    enrolment, wire = (create_authority(RENHE.domain, FOUNDED + BACKDATED) for _ in range(2))
    write(enrolment, folder / "ca" / "ca-cert.pem", folder / "ca" / "priv_sk")
    write(wire, folder / "tlsca" / "tlsca-cert.pem", folder / "tlsca" / "priv_sk")
    node = issue(enrolment, client.folder.name, "client", NOW, {"yilian.role": "node"})
    write(node, client.msp / "signcerts" / "cert.pem", client.msp / "keystore" / "priv_sk")
    write(issue(wire, client.folder.name, "client", NOW), client.tls_certificate, client.tls_key)
    client.tls_root.write_bytes(wire.certificate_pem())
    return made


def write(pair: KeyPair, certificate: Path, key: Path) -> None:
    for path in (certificate, key):
        path.parent.mkdir(parents=True, exist_ok=True)
    certificate.write_bytes(pair.certificate_pem())
    key.write_bytes(
        pair.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def content(files: NodeFiles) -> dict[str, bytes]:
    return {
        str(path.relative_to(files.folder)): path.read_bytes() for path in files.folder.rglob("*") if path.is_file()
    }


def units(certificate: x509.Certificate) -> list[str | bytes]:
    return [item.value for item in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]


def test_its_certificates_are_of_the_hospital_s_authorities_and_say_what_it_is(layout: Layout) -> None:
    make_witness(layout, RENHE)
    files, folder = layout.witness(RENHE), layout.peer_organization(RENHE)
    enrolled = parse_certificate(files.certificate.read_bytes())
    wire = parse_certificate(files.tls_certificate.read_bytes())
    enrolled.verify_directly_issued_by(parse_certificate((folder / "ca" / "ca-cert.pem").read_bytes()))
    wire.verify_directly_issued_by(parse_certificate((folder / "tlsca" / "tlsca-cert.pem").read_bytes()))
    assert (units(enrolled), read_attributes(enrolled)) == (["client"], {"yilian.role": "witness"})
    assert read_attributes(wire) == {}
    for certificate in (enrolled, wire):
        assert certificate.not_valid_before_utc >= FOUNDED  # earlier than its authority, Fabric takes it for none
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert [item.value for item in names] == [f"Witness@{RENHE.domain}"]
        constraints = certificate.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value
        assert constraints == x509.BasicConstraints(ca=False, path_length=None)


def test_it_shares_no_key_with_the_node(layout: Layout) -> None:
    before = content(layout.client(RENHE))
    make_witness(layout, RENHE)
    assert content(layout.client(RENHE)) == before
    common = set(before.values()) & set(content(layout.witness(RENHE)).values())
    assert common == {before["tls/ca.crt"]}
    for files in (layout.witness(RENHE), layout.client(RENHE)):
        for certificate, key in ((files.certificate, files.key), (files.tls_certificate, files.tls_key)):
            private = serialization.load_pem_private_key(key.read_bytes(), None)
            assert private.public_key() == parse_certificate(certificate.read_bytes()).public_key()


def test_what_is_there_stays_and_what_an_interruption_left_does_not_count(layout: Layout) -> None:
    files = layout.witness(RENHE)
    unfinished = files.folder.with_name(f"{files.folder.name}.making")
    (unfinished / "msp").mkdir(parents=True)
    make_witness(layout, RENHE)
    first = content(files)
    make_witness(layout, RENHE)
    assert content(files) == first
    assert not unfinished.exists()


def test_without_the_authority_s_key_the_hospital_brings_the_witness_s_certificate_itself(layout: Layout) -> None:
    folder = layout.peer_organization(RENHE) / "ca"
    for path in folder.iterdir():
        path.rename(path.with_suffix(".away"))
    with pytest.raises(Unavailable) as missing:
        make_witness(layout, RENHE)
    assert missing.value.reason == "no-authority"
    assert not layout.witness(RENHE).folder.exists()
