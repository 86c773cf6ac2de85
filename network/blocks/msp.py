"""Membership service providers: which certificates belong to an organisation, in which role (Fabric msp/mspimpl*.go).

As in Fabric, certificates are judged at the second after their own start of validity: a block stays valid after the
certificates that signed it have expired. Revocation is by the lists in the channel configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from domain.errors import Denied, Invalid
from network.blocks.certificate import Certificate
from network.blocks.certification import Authorities, Chain, distinguished
from network.blocks.identity import MAX_REMEMBERED_BYTES, Identity, read_pem
from network.blocks.protos import msp_config, parse_into
from network.blocks.revocation import Revocations, read_revocations
from network.blocks.signature import SCHEMES

MAX_KNOWN_CERTIFICATES = 1024


class Role(IntEnum):
    """``MSPRole.MSPRoleType``."""

    MEMBER = 0
    ADMIN = 1
    CLIENT = 2
    PEER = 3
    ORDERER = 4


Raws = tuple[bytes, ...]
"""A chain by the bytes of its certificates."""
_ORDER: Final = (Role.CLIENT, Role.PEER, Role.ADMIN, Role.ORDERER)
"""Of roles with one unit name Fabric looks at the last one's authorities."""
_DIGESTS: Final[dict[str, hashes.HashAlgorithm]] = {
    "SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA3_256": hashes.SHA3_256(), "SHA3_384": hashes.SHA3_384(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NodeOu:
    """An organisational unit that gives a role; ``issuers`` limits it to what is below that chain of authorities."""

    name: str
    issuers: Raws | None


@dataclass(frozen=True, slots=True)
class Membership:
    """A verified identity.

    Attributes:
        chain: the authorities above it, nearest first; ``certifiers`` is their hash, by which policies name them.
        distinguished_by: what tells it from others.
        scheme: how it signs; None where its MSP names a family of hashes that is none.
    """

    roles: frozenset[Role]
    chain: Chain
    certifiers: bytes = field(repr=False)
    distinguished_by: bytes = field(repr=False)
    scheme: ec.ECDSA | None = field(repr=False)

    def is_also(self, certificate: Certificate) -> bool:
        """Whether a certificate is the same identity's."""
        same_issuer = certificate.issuer.raw == self.chain[0].subject.raw
        return same_issuer and distinguished(certificate, self.chain[0]) == self.distinguished_by


@dataclass(slots=True, eq=False)
class Msp:
    """One organisation's definition of its members; verified certificates are remembered by their bytes."""

    msp_id: str
    authorities: Authorities
    admins: frozenset[bytes]
    node_ous: dict[Role, NodeOu]
    units: frozenset[tuple[str, Raws]]
    revocations: tuple[Revocations, ...]
    internal: frozenset[bytes]
    takes_ed25519: bool
    scheme: ec.ECDSA | None
    digest: hashes.HashAlgorithm
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
                known = Denied(error.detail, reason=error.reason)  # without what it was raised over
            self._remember(identity.der, known)
        if isinstance(known, Denied):
            raise Denied(known.detail, reason=known.reason)
        return known

    def _remember(self, der: bytes, known: Membership | Denied) -> None:
        """Strangers' certificates come in any number and size."""
        if len(der) > MAX_REMEMBERED_BYTES:
            return
        if len(self._known) >= MAX_KNOWN_CERTIFICATES:
            self._known.clear()
        self._known[der] = known

    def _verify(self, identity: Identity) -> Membership:
        if identity.certificate.extensions.is_authority:
            raise Denied("a certificate authority is not an identity", reason="authority-as-identity")
        if isinstance(identity.public_key, Ed25519PublicKey) and not self.takes_ed25519:
            raise Denied("Ed25519 needs the channel's capability V3_0", reason="key-kind")
        chain = self.authorities.chain(identity.certificate)[1:]
        if not chain or chain[0].raw in self.internal:
            raise Denied("issued by an authority that only issues authorities", reason="internal-authority")
        for listed in self.revocations:
            listed.check(identity.certificate, chain[0])
        distinguished_by = distinguished(identity.certificate, chain[0])
        roles = self._roles(identity, chain, distinguished_by)
        return Membership(roles, chain, self._certifiers(chain), distinguished_by, self.scheme)

    def _certifiers(self, chain: Chain) -> bytes:
        digest = hashes.Hash(self.digest)
        for authority, issuer in zip(chain, (*chain[1:], chain[-1]), strict=True):
            digest.update(distinguished(authority, issuer))
        return digest.finalize()

    def _roles(self, identity: Identity, chain: Chain, distinguished_by: bytes) -> frozenset[Role]:
        raws, names = _raw(chain), identity.organizational_units
        if self.units and not any((name, raws) in self.units for name in names):
            raise Denied("identity has none of the units that the MSP asks for", reason="unit")
        roles = {Role.MEMBER}
        if distinguished_by in self.admins:
            roles.add(Role.ADMIN)
        if not self.node_ous:
            return frozenset(roles)
        named = [name for name in names if any(unit.name == name for unit in self.node_ous.values())]
        if len(named) != 1:  # the same unit twice is two
            raise Denied("identity must have exactly one role unit", reason="role-unit")
        given = {role: unit for role, unit in self.node_ous.items() if unit.name == named[0]}
        issuers = given[max(given, key=_ORDER.index)].issuers
        if issuers is not None and issuers != raws:
            raise Denied("the role unit is for another authority's certificates", reason="role-unit")
        return frozenset((*roles, *given))


def parse_msp(raw: bytes, *, takes_ed25519: bool = False) -> Msp:
    """Reads ``msp.MSPConfig`` of an X.509 MSP (type 0).

    Args:
        takes_ed25519: the channel has the capability V3_0, without which peers know ECDSA only.

    Raises:
        Invalid: another type of MSP, no roots, or certificates that cannot be read.
    """
    config = parse_into(msp_config.MSPConfig(), raw, "MSPConfig")
    if config.type != 0:
        raise Invalid("only X.509 MSPs are known", reason="unsupported", place="MSPConfig.type")
    fabric = parse_into(msp_config.FabricMSPConfig(), config.config, "FabricMSPConfig")
    if not fabric.name or not fabric.root_certs:
        raise Invalid("an MSP has a name and a root certificate", reason="bad-msp", place="FabricMSPConfig")
    authorities = Authorities(_distinct(fabric.root_certs), _distinct(fabric.intermediate_certs))
    return Msp(
        msp_id=fabric.name,
        authorities=authorities,
        admins=frozenset(_distinguished(authorities, read_pem(pem)) for pem in fabric.admins),
        node_ous=_parse_node_ous(fabric.fabric_node_ous, authorities),
        units=frozenset(
            (unit.organizational_unit_identifier, _issuers(authorities, unit.certificate))
            for unit in fabric.organizational_unit_identifiers
        ),
        revocations=tuple(map(read_revocations, fabric.revocation_list)),
        internal=_internal(authorities),
        takes_ed25519=takes_ed25519,
        scheme=SCHEMES.get(fabric.crypto_config.signature_hash_family or "SHA2"),
        digest=_digest(fabric.crypto_config.identity_identifier_hash_function or "SHA256"),
    )


def _distinct(listed: Iterable[bytes]) -> Chain:
    """Each certificate once: a second copy is no second chain."""
    return tuple({distinguished(found, found): found for found in map(read_pem, listed)}.values())


def _distinguished(authorities: Authorities, administrator: Certificate) -> bytes:
    chain = _chain(authorities, administrator)
    return distinguished(administrator, chain[min(1, len(chain) - 1)])


def _parse_node_ous(message: Any, authorities: Authorities) -> dict[Role, NodeOu]:
    if not message.enable:
        return {}
    units = {}
    for role in _ORDER:
        field_name = f"{role.name.lower()}_ou_identifier"
        if message.HasField(field_name):
            unit = getattr(message, field_name)
            issuers = _issuers(authorities, unit.certificate) if unit.certificate else None
            units[role] = NodeOu(unit.organizational_unit_identifier, issuers)
    return units


def _issuers(authorities: Authorities, pem: bytes) -> Raws:
    """The chain of one of the MSP's authorities, which may be given with the other S of its signature."""
    signed = read_pem(pem).signed
    for authority in (*authorities.roots, *authorities.intermediates):
        if authority.signed == signed:
            return _raw(_chain(authorities, authority))
    raise Invalid("a unit is for an authority that is not the MSP's", reason="bad-msp", place="FabricMSPConfig")


def _digest(name: str) -> hashes.HashAlgorithm:
    if name not in _DIGESTS:
        raise Invalid("identities are told apart by an unknown hash", reason="bad-msp", place="FabricMSPConfig")
    return _DIGESTS[name]


def _internal(authorities: Authorities) -> frozenset[bytes]:
    """Authorities above another authority of the MSP: in Fabric they issue no identities."""
    above = (_chain(authorities, authority)[1:] for authority in authorities.intermediates)
    return frozenset(raw for chain in above for raw in _raw(chain))


def _chain(authorities: Authorities, authority: Certificate) -> Chain:
    try:
        return authorities.chain(authority)
    except Denied as error:
        raise Invalid("an authority of the MSP is not valid", reason="bad-msp", place="FabricMSPConfig") from error


def _raw(chain: Chain) -> Raws:
    return tuple(certificate.raw for certificate in chain)
