"""Who acts: an organisation's name on the channel and credentials that it vouches for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from network.blocks.protos import identities, serialize
from network.fabric.gateway.errors import MalformedError


@dataclass(frozen=True, slots=True)
class Identity:
    """An X.509 identity.

    Attributes:
        msp_id: the Membership Service Provider that issued the certificate.
        credentials: the certificate in PEM.
    """

    msp_id: str
    credentials: bytes

    def __post_init__(self) -> None:
        try:
            x509.load_pem_x509_certificate(self.credentials)
        except ValueError as error:
            raise MalformedError("the credentials are no PEM certificate") from error

    @classmethod
    def of(cls, msp_id: str, certificate: x509.Certificate) -> Self:
        """The identity of a certificate that is already read."""
        return cls(msp_id, certificate.public_bytes(Encoding.PEM))

    def serialize(self) -> bytes:
        """``msp.SerializedIdentity``: the creator of proposals and requests."""
        return serialize(identities.SerializedIdentity(mspid=self.msp_id, id_bytes=self.credentials))
