"""Chains from a certificate up to a root, as Go builds them for Fabric (``crypto/x509`` verify.go, msp/mspimpl.go)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from domain.errors import Denied, Invalid
from network.blocks.certificate import AuthorityKey, Certificate, RsaKey
from network.blocks.der import BIT_STRING, OBJECT_IDENTIFIER, SEQUENCE, Reader, element
from network.blocks.extensions import KEY_CERT_SIGN
from network.blocks.signature import encode_low_s

MAX_SIGNATURE_CHECKS: Final = 100
Chain = tuple[Certificate, ...]
"""The certificate itself first, the root last."""
_ECDSA: Final[dict[bytes, hashes.HashAlgorithm]] = {
    bytes.fromhex("2a8648ce3d040302"): hashes.SHA256(),
    bytes.fromhex("2a8648ce3d040303"): hashes.SHA384(),
    bytes.fromhex("2a8648ce3d040304"): hashes.SHA512(),
}
_RSA: Final[dict[bytes, hashes.HashAlgorithm]] = {
    bytes.fromhex("2a864886f70d01010b"): hashes.SHA256(),
    bytes.fromhex("2a864886f70d01010c"): hashes.SHA384(),
    bytes.fromhex("2a864886f70d01010d"): hashes.SHA512(),
}
_SHA1: Final[dict[bytes, hashes.HashAlgorithm]] = {
    bytes.fromhex("2a8648ce3d0401"): hashes.SHA1(),  # noqa: S303 - as peers; it can only take from a member
    bytes.fromhex("2a864886f70d010105"): hashes.SHA1(),  # noqa: S303 - idem
    bytes.fromhex("2b0e03021d"): hashes.SHA1(),  # noqa: S303 - idem
}
_PSS: Final = bytes.fromhex("2a864886f70d01010a")
_MGF1: Final = bytes.fromhex("2a864886f70d010108")
_PSS_DIGESTS: Final[dict[bytes, hashes.HashAlgorithm]] = {
    bytes.fromhex("608648016503040201"): hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}
_NULL: Final = b"\x05\x00"
_MAX_EXPONENT_BITS: Final = 31
_ED25519: Final = bytes.fromhex("2b6570")
_Scheme = tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]
_HOST: Final = re.compile(r"(\*|[A-Za-z0-9_:][A-Za-z0-9_:-]*)(\.[A-Za-z0-9_:][A-Za-z0-9_:-]*)*\.?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Authorities:
    """The authorities of an MSP."""

    roots: Chain
    intermediates: Chain

    def chain(self, certificate: Certificate) -> Chain:
        """The one chain of a certificate, judged a second after its own start.

        Raises:
            Denied: there is none, or more than one, so that nobody could tell who vouches for it.
        """
        at = certificate.begins + 1
        _check(certificate, (), at)
        if certificate.raw in {root.raw for root in self.roots}:
            found: list[Chain] = [(certificate,)]
        else:
            found = list(self._chains((certificate,), at, [0]))
        found = [chain for chain in found if _is_fit(chain)]
        if not found:
            raise Denied("no authority of this MSP issued the certificate", reason="unknown-authority")
        if len(found) > 1:
            raise Denied("more than one chain of authorities", reason="bad-chain")
        _check_host(found[0])
        return found[0]

    def _chains(self, chain: Chain, at: int, checks: list[int]) -> Iterator[Chain]:
        for authority, is_root in (
            *((item, True) for item in self.roots),
            *((item, False) for item in self.intermediates),
        ):
            if authority.subject.raw != chain[-1].issuer.raw:
                continue
            checks[0] += 1
            if checks[0] > MAX_SIGNATURE_CHECKS:
                return
            if _is_in(authority, chain) or not _has_issued(authority, chain[-1]):
                continue
            try:
                _check(authority, chain, at)
            except Denied:
                continue
            longer = (*chain, authority)
            if is_root:
                yield longer
            else:
                yield from self._chains(longer, at, checks)


def distinguished(certificate: Certificate, issuer: Certificate) -> bytes:
    """The bytes by which an identity is told from others: Fabric turns a high S of its certificate's signature over.

    Anybody can make the one form of the other; as two identities they would count twice.
    """
    key = issuer.public_key
    if certificate.algorithm not in _ECDSA or not isinstance(key, ec.EllipticCurvePublicKey):
        return certificate.raw
    try:
        r, s = decode_dss_signature(certificate.signature)
        low = encode_low_s(r, s, key.curve.name)
        if low == encode_dss_signature(r, s):
            return certificate.raw
    except ValueError:  # it was not verified, and is not of this issuer
        return certificate.raw
    algorithm = element(SEQUENCE, element(OBJECT_IDENTIFIER, certificate.algorithm) + certificate.parameters)
    return element(SEQUENCE, certificate.signed + algorithm + element(BIT_STRING, b"\0" + low))


def _check(certificate: Certificate, below: Chain, at: int) -> None:
    """What is asked of each certificate of a chain."""
    extensions = certificate.extensions
    if extensions.has_unhandled:
        raise Denied("certificate has a critical extension that nobody knows", reason="critical-extension")
    if not certificate.begins <= at <= certificate.ends:
        raise Denied("certificate chain does not overlap in time", reason="bad-chain")
    if extensions.constrains and extensions.max_path is not None and len(below) - 1 > extensions.max_path:
        raise Denied("certificate chain is too long", reason="bad-chain")


def _is_in(authority: Certificate, chain: Chain) -> bool:
    """Whether the same authority is in the chain, maybe by another certificate."""
    for item in chain:
        if (item.subject.raw, item.key_info) != (authority.subject.raw, authority.key_info):
            continue
        names = item.extensions.alternative_names, authority.extensions.alternative_names
        if names[0] == names[1]:
            return True
        if None in names:
            return False
    return False


def _has_issued(authority: Certificate, certificate: Certificate) -> bool:
    extensions = authority.extensions
    if not extensions.is_authority and (extensions.constrains or authority.version == 3):
        return False
    if extensions.uses is not None and KEY_CERT_SIGN not in extensions.uses:
        return False
    return is_signed(
        authority.public_key, certificate.algorithm, certificate.parameters, certificate.signature, certificate.signed
    )


def is_signed(
    key: AuthorityKey | None, algorithm: bytes, parameters: bytes, signature: bytes, signed: bytes,
    *, takes_sha1: bool = False,
) -> bool:  # fmt: skip
    """Whether a key made this signature, by an algorithm that Go takes; SHA-1 for lists of revocations alone."""
    sha1 = _SHA1 if takes_sha1 else {}
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA({**sha1, **_ECDSA}[algorithm]))
        elif isinstance(key, RsaKey):
            filling, digest = _rsa_scheme({**sha1, **_RSA}, algorithm, parameters)
            _rsa(key).verify(signature, signed, filling, digest)
        elif isinstance(key, ed25519.Ed25519PublicKey) and algorithm == _ED25519 and not parameters:
            key.verify(signature, signed)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, Invalid, KeyError, ValueError, OverflowError):
        return False
    return True


def _rsa_scheme(known: Mapping[bytes, hashes.HashAlgorithm], algorithm: bytes, parameters: bytes) -> _Scheme:
    if algorithm != _PSS:
        return padding.PKCS1v15(), known[algorithm]
    digest = _pss_digest(Reader(parameters).inner(SEQUENCE))
    return padding.PSS(padding.MGF1(digest), digest.digest_size), digest


def _pss_digest(given: Reader) -> hashes.HashAlgorithm:
    """The one digest of RSASSA-PSS-params: Go wants the same in the mask, as much salt, and the usual trailer."""
    kind = _digest(Reader(given.read(0xA0)).inner(SEQUENCE))
    mask = Reader(given.read(0xA1)).inner(SEQUENCE)
    is_mgf1 = mask.oid() == _MGF1
    same = _digest(mask.inner(SEQUENCE)) == kind
    salt = Reader(given.read(0xA2)).integer()
    trailer = given.optional(0xA3)
    digest = _PSS_DIGESTS[kind]
    if not (is_mgf1 and same and salt == digest.digest_size and (trailer is None or Reader(trailer).integer() == 1)):
        raise ValueError("parameters that Go does not take")
    return digest


def _digest(given: Reader) -> bytes:
    kind = given.oid()
    if not given.is_empty and given.element()[2] != _NULL:
        raise ValueError("parameters that Go does not take")
    return kind


def _rsa(key: RsaKey) -> rsa.RSAPublicKey:
    """For the library; ValueError where Go verifies nothing with the key."""
    if key.exponent.bit_length() > _MAX_EXPONENT_BITS:
        raise ValueError("exponent is too large")
    return rsa.RSAPublicNumbers(key.exponent, key.modulus).public_key()


def _is_fit(chain: Sequence[Certificate]) -> bool:
    """Extended uses and name constraints of all certificates of a chain.

    A name of a kind that an authority limits is refused without a look at the limit.
    """
    if not all(item.extensions.serves for item in chain):
        return False
    for at, authority in enumerate(chain):
        limited = authority.extensions.limited
        if limited and any(not limited.isdisjoint(item.extensions.names) for item in chain[:at]):
            return False
    return True


def _check_host(chain: Chain) -> None:
    """A common name like a host's, no alternative names, an authority that limits names (Go 1.14, kept by Fabric)."""
    holder = chain[0]
    if holder.extensions.alternative_names is not None or not _HOST.fullmatch(holder.subject.common_name):
        return
    if any(item.extensions.limited is not None for item in chain[1:]):
        raise Denied("an authority limits names, and the certificate has none to compare", reason="bad-chain")
