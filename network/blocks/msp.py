"""Membership service providers: which certificates belong to an organisation, in which role (Fabric msp/mspimpl*.go).

As in Fabric, certificates are judged at the second after their own start of validity: a block stays valid after the
certificates that signed it have expired. Revocation is by the lists in the channel configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from domain.errors import Denied, Invalid
from network.blocks.identity import Identity, parse_certificate
from network.blocks.protos import msp_config, parse_into

MAX_CHAIN_CERTIFICATES = 8
MAX_KNOWN_CERTIFICATES = 4096


class Role(IntEnum):
    """``MSPRole.MSPRoleType``."""

    MEMBER = 0
    ADMIN = 1
    CLIENT = 2
    PEER = 3
    ORDERER = 4


@dataclass(frozen=True, slots=True)
class NodeOu:
    """An organisational unit that gives a role; ``issuer`` limits it to certificates issued by that authority."""

    name: str
    issuer: bytes | None


@dataclass(frozen=True, slots=True)
class Membership:
    """A verified identity: its roles and the authorities above it, nearest first."""

    roles: frozenset[Role]
    chain: tuple[x509.Certificate, ...]


@dataclass(slots=True, eq=False)
class Msp:
    """One organisation's definition of its members; verified certificates are remembered by their bytes."""

    msp_id: str
    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]
    admins: frozenset[bytes]
    node_ous: dict[Role, NodeOu]
    revoked: frozenset[tuple[bytes, int]]
    internal: frozenset[bytes]
    _known: dict[bytes, Membership | Denied] = field(default_factory=dict, repr=False)

    def verify_identity(self, identity: Identity) -> Membership:
        """Checks the chain up to a root, revocation and the role units.

        Raises:
            Denied: not a valid member of this organisation, with the rule as the reason.
        """
        if identity.msp_id != self.msp_id:
            raise Denied("identity claims another MSP", reason="other-msp")
        known = self._known.get(identity.der)
        if known is None:
            try:
                known = self._verify(identity)
            except Denied as error:
                known = error
            if len(self._known) >= MAX_KNOWN_CERTIFICATES:  # strangers' certificates come in any number
                self._known.clear()
            self._known[identity.der] = known
        if isinstance(known, Denied):
            raise Denied(known.detail, reason=known.reason)
        return known

    def _verify(self, identity: Identity) -> Membership:
        if _is_authority(identity.certificate):
            raise Denied("a certificate authority is not an identity", reason="authority-as-identity")
        chain = self._chain(identity.certificate)
        if _der(chain[0]) in self.internal:
            raise Denied("issued by an authority that only issues authorities", reason="internal-authority")
        for certificate, issuer in zip((identity.certificate, *chain), chain, strict=False):
            if (_der(issuer), certificate.serial_number) in self.revoked:
                raise Denied("certificate is revoked", reason="revoked")
        return Membership(self._roles(identity, chain[0]), chain)

    def _chain(self, leaf: x509.Certificate) -> tuple[x509.Certificate, ...]:
        chain: list[x509.Certificate] = []
        current = leaf
        judged_at = leaf.not_valid_before_utc + timedelta(seconds=1)
        while len(chain) < MAX_CHAIN_CERTIFICATES:
            if not current.not_valid_before_utc <= judged_at <= current.not_valid_after_utc:
                raise Denied("certificate chain does not overlap in time", reason="bad-chain")
            issuer = self._issuer(current)
            chain.append(issuer)
            current = issuer
            if issuer in self.roots and issuer.not_valid_before_utc <= judged_at <= issuer.not_valid_after_utc:
                return tuple(chain)
        raise Denied("certificate chain is too long", reason="bad-chain")

    def _issuer(self, certificate: x509.Certificate) -> x509.Certificate:
        for authority in (*self.roots, *self.intermediates):
            if not _is_authority(authority) or authority.subject != certificate.issuer:
                continue
            try:
                certificate.verify_directly_issued_by(authority)
            except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
                continue
            return authority
        raise Denied("no authority of this MSP issued the certificate", reason="unknown-authority")

    def _roles(self, identity: Identity, issuer: x509.Certificate) -> frozenset[Role]:
        roles = {Role.MEMBER}
        if identity.der in self.admins:
            roles.add(Role.ADMIN)
        if not self.node_ous:
            return frozenset(roles)
        units = set(identity.organizational_units)
        by_unit = [role for role, unit in self.node_ous.items() if unit.name in units and _issued(unit, issuer)]
        if len(by_unit) != 1:
            raise Denied("identity must have exactly one role unit", reason="role-unit")
        return frozenset((*roles, by_unit[0]))


def parse_msp(raw: bytes) -> Msp:
    """Reads ``msp.MSPConfig`` of an X.509 MSP (type 0).

    Raises:
        Invalid: another type of MSP, no roots, or certificates that cannot be read.
    """
    config = parse_into(msp_config.MSPConfig(), raw, "MSPConfig")
    if config.type != 0:
        raise Invalid("only X.509 MSPs are known", reason="unsupported", place="MSPConfig.type")
    fabric = parse_into(msp_config.FabricMSPConfig(), config.config, "FabricMSPConfig")
    if not fabric.name or not fabric.root_certs:
        raise Invalid("an MSP has a name and a root certificate", reason="bad-msp", place="FabricMSPConfig")
    roots = tuple(parse_certificate(pem) for pem in fabric.root_certs)
    intermediates = tuple(parse_certificate(pem) for pem in fabric.intermediate_certs)
    return Msp(
        msp_id=fabric.name,
        roots=roots,
        intermediates=intermediates,
        admins=frozenset(_der(parse_certificate(pem)) for pem in fabric.admins),
        node_ous=_parse_node_ous(fabric.fabric_node_ous),
        revoked=_parse_revocations(fabric.revocation_list, (*roots, *intermediates)),
        internal=_internal(roots, intermediates),
    )


def _parse_node_ous(message: Any) -> dict[Role, NodeOu]:
    if not message.enable:
        return {}
    units = {}
    for role in (Role.CLIENT, Role.PEER, Role.ADMIN, Role.ORDERER):
        unit = getattr(message, f"{role.name.lower()}_ou_identifier")
        if unit.organizational_unit_identifier:
            issuer = _der(parse_certificate(unit.certificate)) if unit.certificate else None
            units[role] = NodeOu(unit.organizational_unit_identifier, issuer)
    return units


def _parse_revocations(lists: list[bytes], authorities: tuple[x509.Certificate, ...]) -> frozenset[tuple[bytes, int]]:
    revoked: set[tuple[bytes, int]] = set()
    for raw in lists:
        try:
            revocations = x509.load_pem_x509_crl(raw)
        except ValueError as error:
            raise Invalid("revocation list cannot be read", reason="bad-msp", place="revocation_list") from error
        for authority in authorities:
            key: Any = authority.public_key()
            if authority.subject == revocations.issuer and revocations.is_signature_valid(key):
                revoked.update((_der(authority), entry.serial_number) for entry in revocations)
    return frozenset(revoked)


def _internal(roots: tuple[x509.Certificate, ...], intermediates: tuple[x509.Certificate, ...]) -> frozenset[bytes]:
    """Authorities above another authority of the MSP: in Fabric they issue no identities."""
    issuers = {certificate.issuer for certificate in intermediates}
    return frozenset(_der(authority) for authority in (*roots, *intermediates) if authority.subject in issuers)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.value.ca


def _issued(unit: NodeOu, issuer: x509.Certificate) -> bool:
    return unit.issuer is None or unit.issuer == _der(issuer)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
