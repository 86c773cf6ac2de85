"""Membership: chains up to the organisation's roots, role units, revocation."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from domain.errors import Denied, Invalid
from network.blocks.identity import ATTRIBUTES_OID, MAX_REMEMBERED_BYTES, parse_identity, serialize_identity
from network.blocks.msp import Msp, Role, parse_msp
from network.blocks.policy import SignedData, signers
from network.blocks.protos import identities, msp_config, serialize
from network.blocks.signature import encode_low_s
from tests.unit.network.blocks.hospital_channel import NOT_BEFORE, Authority, new_root

ROOT = new_root("root")
INTERMEDIATE = ROOT.issue("intermediate", [], is_authority=True)
MSP_ID = "HospMSP"


def _msp(
    *,
    intermediates: list[Authority] | None = None,
    admins: list[Authority] | None = None,
    units: bool = True,
    unit_issuer: bytes = b"",
    revoked: bytes = b"",
) -> Msp:
    fabric = msp_config.FabricMSPConfig(name=MSP_ID, root_certs=[ROOT.pem])
    fabric.intermediate_certs.extend(item.pem for item in intermediates or [])
    fabric.admins.extend(item.pem for item in admins or [])
    fabric.fabric_node_ous.enable = units
    for role in ("client", "peer", "admin", "orderer"):
        unit = getattr(fabric.fabric_node_ous, f"{role}_ou_identifier")
        unit.organizational_unit_identifier = role
        unit.certificate = unit_issuer
    if revoked:
        fabric.revocation_list.append(revoked)
    return parse_msp(serialize(msp_config.MSPConfig(type=0, config=serialize(fabric))))


def _verify(msp: Msp, holder: Authority, msp_id: str = MSP_ID) -> frozenset[Role]:
    return msp.verify_identity(parse_identity(serialize_identity(msp_id, holder.certificate))).roles


@pytest.mark.parametrize("role", [Role.CLIENT, Role.PEER, Role.ADMIN, Role.ORDERER])
def test_the_unit_gives_the_role(role: Role) -> None:
    assert _verify(_msp(), ROOT.issue("somebody", role.name.lower())) == {Role.MEMBER, role}


def test_other_units_beside_the_role_do_not_matter() -> None:
    assert _verify(_msp(), ROOT.issue("somebody", ["radiology", "peer"])) == {Role.MEMBER, Role.PEER}


def test_a_listed_administrator_is_one_beside_its_role() -> None:
    holder = ROOT.issue("somebody", "client")
    assert _verify(_msp(admins=[holder]), holder) == {Role.MEMBER, Role.CLIENT, Role.ADMIN}


def test_without_role_units_a_member_is_a_member() -> None:
    assert _verify(_msp(units=False), ROOT.issue("somebody", "peer")) == {Role.MEMBER}


def test_an_intermediate_authority_issues_members() -> None:
    msp = _msp(intermediates=[INTERMEDIATE])
    membership = msp.verify_identity(
        parse_identity(serialize_identity(MSP_ID, INTERMEDIATE.issue("somebody", "peer").certificate))
    )
    above = [INTERMEDIATE.certificate, ROOT.certificate]
    assert [item.raw for item in membership.chain] == [item.public_bytes(serialization.Encoding.DER) for item in above]


def test_units_of_one_authority_count_for_its_certificates_only() -> None:
    msp = _msp(intermediates=[INTERMEDIATE], unit_issuer=INTERMEDIATE.pem)
    assert Role.PEER in _verify(msp, INTERMEDIATE.issue("somebody", "peer"))
    other = ROOT.issue("other intermediate", [], is_authority=True)
    with pytest.raises(Denied) as caught:
        _verify(_msp(intermediates=[INTERMEDIATE, other], unit_issuer=INTERMEDIATE.pem), other.issue("x", "peer"))
    assert caught.value.reason == "role-unit"


def _revocation(holder: Authority, issuer: Authority = ROOT, *, named: Authority | None = ROOT) -> bytes:
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(holder.certificate.serial_number)
        .revocation_date(NOT_BEFORE)
        .build()
    )
    revocations = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ROOT.certificate.subject)
        .last_update(NOT_BEFORE)
        .next_update(NOT_BEFORE + timedelta(days=1))
        .add_revoked_certificate(entry)
    )
    if named is not None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(named.key.public_key())
        revocations = revocations.add_extension(identifier, critical=False)
    return revocations.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_revoked_certificate_is_no_member() -> None:
    holder = ROOT.issue("somebody", "peer")
    with pytest.raises(Denied) as caught:
        _verify(_msp(revoked=_revocation(holder)), holder)
    assert caught.value.reason == "revoked"


def test_a_revocation_signed_by_somebody_else_revokes_nobody() -> None:
    holder = ROOT.issue("somebody", "peer")
    assert Role.PEER in _verify(_msp(revoked=_revocation(holder, issuer=new_root("root"))), holder)


def test_a_revocation_list_of_another_authority_revokes_nobody() -> None:
    holder = ROOT.issue("somebody", "peer")
    assert Role.PEER in _verify(_msp(revoked=_revocation(holder, named=INTERMEDIATE)), holder)


def test_where_a_revocation_list_names_no_authority_nobody_is_a_member() -> None:
    with pytest.raises(Denied) as caught:
        _verify(_msp(revoked=_revocation(ROOT.issue("other", "peer"), named=None)), ROOT.issue("somebody", "peer"))
    assert caught.value.reason == "revocation-list"


def test_an_expired_certificate_stays_valid_for_what_it_signed() -> None:
    holder = ROOT.issue("somebody", "peer", not_before=NOT_BEFORE - timedelta(days=10))
    assert Role.PEER in _verify(_msp(), holder)


DENIED: dict[str, tuple[Any, str]] = {
    "another root of the same name": (
        lambda: (_msp(), new_root("root").issue("somebody", "peer")),
        "unknown-authority",
    ),
    "unknown authority": (lambda: (_msp(), new_root("elsewhere").issue("somebody", "peer")), "unknown-authority"),
    "intermediate not in the MSP": (lambda: (_msp(), INTERMEDIATE.issue("somebody", "peer")), "unknown-authority"),
    "issued by a member": (
        lambda: (_msp(), ROOT.issue("member", "peer").issue("somebody", "peer")),
        "unknown-authority",
    ),
    "issued above an intermediate": (
        lambda: (_msp(intermediates=[INTERMEDIATE]), ROOT.issue("somebody", "peer")),
        "internal-authority",
    ),
    "authority itself": (lambda: (_msp(), ROOT), "authority-as-identity"),
    "no role unit": (lambda: (_msp(), ROOT.issue("somebody", "radiology")), "role-unit"),
    "two role units": (lambda: (_msp(), ROOT.issue("somebody", ["peer", "client"])), "role-unit"),
    "starts before its authority": (
        lambda: (_msp(), ROOT.issue("somebody", "peer", not_before=NOT_BEFORE - timedelta(days=60))),
        "unknown-authority",
    ),
}


@pytest.mark.parametrize("what", DENIED)
def test_who_is_no_member(what: str) -> None:
    make, reason = DENIED[what]
    msp, holder = make()
    for _ in range(2):  # the second answer comes from what was remembered
        with pytest.raises(Denied) as caught:
            _verify(msp, holder)
        assert caught.value.reason == reason


def test_a_member_of_one_organisation_is_none_of_another_with_the_same_certificate() -> None:
    msp, holder = _msp(), ROOT.issue("somebody", "peer")
    _verify(msp, holder)
    with pytest.raises(Denied) as caught:
        _verify(msp, holder, msp_id="OtherMSP")
    assert caught.value.reason == "other-msp"


def _config(**fields: Any) -> bytes:
    return serialize(msp_config.MSPConfig(type=0, config=serialize(msp_config.FabricMSPConfig(**fields))))


MALFORMED = {
    "no protobuf": b"\xff",
    "another type": serialize(msp_config.MSPConfig(type=1, config=b"")),
    "no name": _config(root_certs=[ROOT.pem]),
    "no root": _config(name=MSP_ID),
    "no certificate": _config(name=MSP_ID, root_certs=[b"-----BEGIN CERTIFICATE-----"]),
    "no revocation list": _config(name=MSP_ID, root_certs=[ROOT.pem], revocation_list=[b"nothing"]),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_definitions_are_refused(what: str) -> None:
    with pytest.raises(Invalid):
        parse_msp(MALFORMED[what])


def test_attributes_of_a_fabric_authority_are_read() -> None:
    holder = ROOT.issue("somebody", "client", attributes={"yilian.role": "node"})
    identity = parse_identity(serialize_identity(MSP_ID, holder.certificate))
    assert identity.attributes() == {"yilian.role": "node"}
    assert (identity.msp_id, identity.common_name, identity.organizational_units) == (MSP_ID, "somebody", ("client",))
    without = parse_identity(serialize_identity(MSP_ID, ROOT.issue("somebody", "client").certificate))
    assert without.attributes() == {}


def test_unreadable_identities_are_refused() -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_BEFORE + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    huge = serialize(identities.SerializedIdentity(mspid=MSP_ID, id_bytes=ROOT.pem + b"\n" * 70_000))
    for raw in (serialize_identity(MSP_ID, certificate), b"\xff", b"", huge):
        with pytest.raises(Invalid):
            parse_identity(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 30_000,
        b'{"attrs":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
        b'{"attrs":{"yilian.role":"auditor","yilian.role":"node"}}',
        b'{"attrs":{"a":NaN}}',
        b"\xff",
    ],
    ids=["brackets", "deep", "twice", "not a number", "not UTF-8"],
)
def test_hostile_attributes_are_refused(raw: bytes) -> None:
    holder = ROOT.issue("somebody", "client", extensions=[x509.UnrecognizedExtension(ATTRIBUTES_OID, raw)])
    identity = parse_identity(serialize_identity(MSP_ID, holder.certificate))
    with pytest.raises(Invalid):
        identity.attributes()


def test_the_certificates_of_strangers_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("network.blocks.msp.MAX_KNOWN_CERTIFICATES", 5)
    msp, member, elsewhere = _msp(), ROOT.issue("somebody", "client"), new_root("elsewhere")
    for number in range(12):
        with pytest.raises(Denied):
            _verify(msp, elsewhere.issue(f"stranger {number}", "client"))
        assert _verify(msp, member) == {Role.MEMBER, Role.CLIENT}
        assert len(msp._known) <= 5


def _edited(edit: Callable[[Any], None]) -> Msp:
    fabric = msp_config.FabricMSPConfig(name=MSP_ID, root_certs=[ROOT.pem], intermediate_certs=[INTERMEDIATE.pem])
    edit(fabric)
    return parse_msp(serialize(msp_config.MSPConfig(type=0, config=serialize(fabric))))


@pytest.mark.parametrize(
    ("family", "digest", "fits"),
    [
        ("", hashes.SHA256(), True),
        ("SHA2", hashes.SHA256(), True),
        ("SHA3", hashes.SHA3_256(), True),
        ("SHA2", hashes.SHA3_256(), False),
        ("SHA3", hashes.SHA256(), False),
        ("SHA9", hashes.SHA256(), False),
    ],
)
def test_members_sign_over_the_hash_that_their_msp_names(
    family: str, digest: hashes.HashAlgorithm, *, fits: bool
) -> None:
    def edit(fabric: Any) -> None:
        fabric.crypto_config.signature_hash_family = family

    holder = INTERMEDIATE.issue("somebody", "peer")
    r, s = decode_dss_signature(holder.key.sign(b"message", ec.ECDSA(digest)))
    signed = SignedData(
        b"message", serialize_identity(MSP_ID, holder.certificate), encode_low_s(r, s, holder.key.curve.name)
    )
    assert bool(signers([signed], {MSP_ID: _edited(edit)})) is fits


def test_an_msp_may_ask_for_units_of_one_authority() -> None:
    def edit(fabric: Any) -> None:
        unit = fabric.organizational_unit_identifiers.add()
        unit.organizational_unit_identifier, unit.certificate = "radiology", INTERMEDIATE.pem

    msp = _edited(edit)
    assert _verify(msp, INTERMEDIATE.issue("somebody", ["ward", "radiology"])) == {Role.MEMBER}
    for holder in (INTERMEDIATE.issue("somebody", "ward"), INTERMEDIATE.issue("somebody", [])):
        with pytest.raises(Denied) as caught:
            _verify(msp, holder)
        assert caught.value.reason == "unit"


def test_one_unit_name_may_give_several_roles() -> None:
    def edit(fabric: Any) -> None:
        fabric.fabric_node_ous.enable = True
        for role in ("client", "peer", "orderer"):
            unit = getattr(fabric.fabric_node_ous, f"{role}_ou_identifier")
            unit.organizational_unit_identifier = "node" if role != "orderer" else role

    assert _verify(_edited(edit), INTERMEDIATE.issue("somebody", "node")) == {Role.MEMBER, Role.CLIENT, Role.PEER}


def test_large_identities_do_not_fill_the_memory() -> None:
    msp, size, number = _msp(), 40_000, 60
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(number):
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), os.urandom(size))
            assert Role.PEER in _verify(msp, ROOT.issue("somebody", "peer", extensions=[extension]))
            with pytest.raises(Denied):
                _verify(msp, new_root("elsewhere").issue("somebody", "peer", extensions=[extension]))
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 10 * size
    finally:
        tracemalloc.stop()
    assert all(len(der) <= MAX_REMEMBERED_BYTES for der in msp._known)
