"""A certificate once more: the same subject and extensions, another key, other dates, by the same authority.

For networks that keep their authorities' keys beside the material, as cryptogen makes them. A hospital with an
authority of its own enrols there and puts certificate and key in the same places.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from domain.errors import Invalid, Unavailable
from network.blocks.identity import parse_certificate
from network.topology.layout import NodeFiles, disk_errors, write_file

BACKDATED: Final = timedelta(minutes=5)
PENDING_SUFFIX: Final = ".new"
_REPLACED_SUFFIX: Final = ".old"


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
        making = _beside(files.folder, f"{PENDING_SUFFIX}.making")
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


def _reissue(authority: Path, certificate: Path, key: Path) -> None:
    with disk_errors(certificate):
        present = parse_certificate(certificate.read_bytes())
    issuer, signing = _authority(authority)
    fresh = ec.generate_private_key(ec.SECP256R1())
    issued = _again(present, issuer, fresh.public_key(), datetime.now(UTC)).sign(signing, hashes.SHA256())
    write_file(certificate, issued.public_bytes(serialization.Encoding.PEM))
    write_file(
        key,
        fresh.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _again(
    present: x509.Certificate, issuer: x509.Certificate, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    begins = now - BACKDATED
    lasts = present.not_valid_after_utc - present.not_valid_before_utc
    builder = (
        x509.CertificateBuilder()
        .subject_name(present.subject)
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(min(begins + lasts, issuer.not_valid_after_utc))
    )
    for extension in present.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier):
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
