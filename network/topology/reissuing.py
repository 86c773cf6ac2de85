"""A certificate once more: the same subject and extensions, another key, other dates, by the same authority; or like it
for another holder.

For networks that keep their authorities' keys beside the material, as cryptogen makes them. A hospital with an
authority of its own enrols there and puts certificate and key in the same places.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID

from domain.errors import Invalid, Unavailable
from network.blocks.identity import ATTRIBUTES_OID, attributes_extension, parse_certificate
from network.topology.layout import NodeFiles, disk_errors, write_file

BACKDATED: Final = timedelta(minutes=5)
PENDING_SUFFIX: Final = ".new"
_MAKING_SUFFIX: Final = ".making"
_REPLACED_SUFFIX: Final = ".old"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a certificate names, and what a Fabric CA would put into its extension of attributes."""

    common_name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def prepare(files: NodeFiles, organization: Path) -> NodeFiles:
    """Make a node's or user's next material beside the present one; what an earlier attempt left is used.

    Args:
        organization: folder of its organisation, with the authorities in ``ca`` and ``tlsca``.

    Raises:
        Invalid: a certificate or key is none.
        Unavailable: the disk refuses, or there is no authority's key.
    """
    _restore(files)
    pending = NodeFiles(_beside(files.folder, PENDING_SUFFIX), files.tls_name)
    if not pending.folder.exists():
        making = _beside(files.folder, PENDING_SUFFIX + _MAKING_SUFFIX)
        with disk_errors(files.folder):
            shutil.rmtree(making, ignore_errors=True)
            shutil.copytree(files.folder, making)
        draft = NodeFiles(making, files.tls_name)
        _reissue(organization / "tlsca", draft.tls_certificate, draft.tls_key)
        if files.msp.exists():
            _reissue(organization / "ca", draft.certificate, draft.key)
        with disk_errors(files.folder):
            making.rename(pending.folder)
    return pending


def put_in_place(files: NodeFiles) -> None:
    """Let the prepared material be the present one.

    Raises:
        Unavailable: the disk refuses.
    """
    old = _beside(files.folder, _REPLACED_SUFFIX)
    with disk_errors(files.folder):
        files.folder.rename(old)
        _beside(files.folder, PENDING_SUFFIX).rename(files.folder)
        shutil.rmtree(old)


def derive(model: NodeFiles, files: NodeFiles, organization: Path, holder: Holder) -> None:
    """Make material of somebody else after the model of a user's, unless there is some.

    Args:
        organization: as for :func:`prepare`.

    Raises:
        Invalid, Unavailable: as :func:`prepare`.
    """
    if files.folder.exists():
        return
    making = NodeFiles(_beside(files.folder, _MAKING_SUFFIX), files.tls_name)
    with disk_errors(files.folder):
        shutil.rmtree(making.folder, ignore_errors=True)
        shutil.copytree(model.folder, making.folder)
        making.certificate.rename(making.certificate.with_name(f"{holder.common_name}-cert.pem"))
    _reissue(organization / "tlsca", making.tls_certificate, making.tls_key, Holder(holder.common_name))
    _reissue(organization / "ca", making.certificate, making.key, holder)
    with disk_errors(files.folder):
        making.folder.rename(files.folder)


def _restore(files: NodeFiles) -> None:
    """Undo half of :func:`put_in_place`, or end it."""
    old = _beside(files.folder, _REPLACED_SUFFIX)
    with disk_errors(files.folder):
        if old.exists() and not files.folder.exists():
            old.rename(files.folder)
        elif old.exists():
            shutil.rmtree(old)


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


def _reissue(authority: Path, certificate: Path, key: Path, holder: Holder | None = None) -> None:
    with disk_errors(certificate):
        present = parse_certificate(certificate.read_bytes())
    issuer, signing = _authority(authority)
    fresh = ec.generate_private_key(ec.SECP256R1())
    builder = _dated(present, issuer, fresh.public_key(), datetime.now(UTC))
    builder = _again(builder, present) if holder is None else _for(builder, present, holder)
    issued = builder.sign(signing, hashes.SHA256())
    write_file(certificate, issued.public_bytes(serialization.Encoding.PEM))
    write_file(
        key,
        fresh.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _dated(
    present: x509.Certificate, issuer: x509.Certificate, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    begins = max(now - BACKDATED, issuer.not_valid_before_utc)  # Fabric judges a chain at the start of its end
    lasts = present.not_valid_after_utc - present.not_valid_before_utc
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(min(begins + lasts, issuer.not_valid_after_utc))
    )


def _again(builder: x509.CertificateBuilder, present: x509.Certificate) -> x509.CertificateBuilder:
    return _with_extensions(builder.subject_name(present.subject), present, {ExtensionOID.SUBJECT_KEY_IDENTIFIER})


def _for(builder: x509.CertificateBuilder, model: x509.Certificate, holder: Holder) -> x509.CertificateBuilder:
    """Another name in place of the model's, and nothing else that was said of its holder."""
    named = [item for item in model.subject if item.oid != NameOID.COMMON_NAME]
    subject = x509.Name([*named, x509.NameAttribute(NameOID.COMMON_NAME, holder.common_name)])
    its_own = {ExtensionOID.SUBJECT_KEY_IDENTIFIER, ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ATTRIBUTES_OID}
    builder = _with_extensions(builder.subject_name(subject), model, its_own)
    if holder.attributes:
        builder = builder.add_extension(attributes_extension(dict(holder.attributes)), critical=False)
    return builder


def _with_extensions(
    builder: x509.CertificateBuilder, present: x509.Certificate, but: Set[x509.ObjectIdentifier]
) -> x509.CertificateBuilder:
    for extension in present.extensions:
        if extension.oid not in but:
            builder = builder.add_extension(extension.value, extension.critical)
    return builder


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    found = next(iter(folder.glob("*-cert.pem")), None)
    if found is None:
        raise Unavailable("there is no certificate authority here", reason="no-authority", place=folder.name)
    with disk_errors(folder):
        certificate, pem = parse_certificate(found.read_bytes()), (folder / "priv_sk").read_bytes()
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise Invalid("this is no unencrypted private key", reason="bad-key", place=folder.name) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise Invalid("certificate and key do not belong together", reason="bad-key", place=folder.name)
    return certificate, key
