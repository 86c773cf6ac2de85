"""The wallet's keys: per hospital and key epoch, so that no key is equal or derivable across hospitals.

Seed → HKDF-SHA-256 (RFC 5869) with info = JCS ["yilian wallet 1", use, MSP id, key epoch].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain import ed25519, jcs
from domain.identifiers import encode_bytes
from domain.statements import PatientKeys
from domain.vocabulary import PATIENT_WRAP_ALG
from offchain.envelope.hpke import HPKE_X25519, RecipientPrivateKey
from patient_wallet.words import Seed

_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class HospitalKeys:
    """The patient's private keys at one hospital in one key epoch; never printed or pickled."""

    msp_id: str
    key_epoch: int
    signing_seed: bytes = field(repr=False)
    wrap_secret: bytes = field(repr=False)

    @property
    def public(self) -> PatientKeys:
        """The public halves as they are enrolled."""
        signing = Ed25519PrivateKey.from_private_bytes(self.signing_seed).public_key().public_bytes_raw()
        return PatientKeys(ed25519.ALG, encode_bytes(signing), PATIENT_WRAP_ALG, self.wrap.public.text)

    @property
    def wrap(self) -> RecipientPrivateKey:
        """The private key to which the hospital wraps data keys."""
        return RecipientPrivateKey(HPKE_X25519, self.wrap_secret)

    def sign(self, text: str) -> str:
        """Sign a statement's text; base64url."""
        return encode_bytes(self.sign_bytes(text.encode()))

    def sign_bytes(self, message: bytes) -> bytes:
        """Sign bytes, for the proofs of a session's token (DPoP)."""
        return Ed25519PrivateKey.from_private_bytes(self.signing_seed).sign(message)

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled or copied")


def derive(seed: Seed, msp_id: str, key_epoch: int) -> HospitalKeys:
    """The keys for a hospital and key epoch; the same seed always gives the same keys."""
    return HospitalKeys(
        msp_id, key_epoch, _derive(seed, "signing", msp_id, key_epoch), _derive(seed, "wrap", msp_id, key_epoch)
    )


def _derive(seed: Seed, use: str, msp_id: str, key_epoch: int) -> bytes:
    info = jcs.canonical(["yilian wallet 1", use, msp_id, key_epoch])
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(seed.secret)
